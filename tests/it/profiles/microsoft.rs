//! Azure, Microsoft Graph, Power BI, Durable Functions; and Google's operations.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        profile: "azure:arm",
        name: "a resource that is made",
        talk: &[
            (
                "PUT subscriptions/1/vm?api-version=2024-03-01 | {\"location\":\"westus\"}",
                "201 | azure-asyncoperation: https://api.example.com/v1/ops/7?api-version=2024-03-01 | retry-after: 15 | \
                 {\"id\":\"/vm\",\"properties\":{\"provisioningState\":\"Creating\"}}",
            ),
            ("+15 GET ops/7?api-version=2024-03-01", "200 | {\"id\":\"/ops/7\",\"status\":\"InProgress\"}"),
            ("+15 GET ops/7?api-version=2024-03-01", "200 | {\"id\":\"/ops/7\",\"status\":\"Succeeded\"}"),
            (
                "GET subscriptions/1/vm?api-version=2024-03-01",
                "200 | {\"id\":\"/vm\",\"properties\":{\"provisioningState\":\"Succeeded\"}}",
            ),
        ],
        told: "running, running, succeeded 100%",
        end: "value {\"id\":\"/vm\",\"properties\":{\"provisioningState\":\"Succeeded\"}}",
    },
    Case {
        profile: "azure:arm",
        name: "a failure",
        talk: &[
            ("POST vm/start?api-version=2024-03-01", "202 | azure-asyncoperation: /v1/ops/7 | retry-after: 15"),
            (
                "+15 GET ops/7?api-version=2024-03-01",
                "200 | {\"status\":\"Failed\",\"error\":{\"code\":\"OverconstrainedAllocationRequest\",\"message\":\"No room\"}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed OverconstrainedAllocationRequest: No room",
    },
    Case {
        profile: "microsoft_graph",
        name: "an export of device management, throttled",
        talk: &[
            (
                "POST deviceManagement/reports/exportJobs | {\"reportName\":\"DeviceCompliance\"}",
                "201 | {\"id\":\"DeviceCompliance_6f\",\"status\":\"notStarted\",\"url\":null}",
            ),
            (
                "GET deviceManagement/reports/exportJobs('DeviceCompliance_6f')",
                "429 | retry-after: 40 | {\"error\":{\"code\":\"TooManyRequests\",\"message\":\"Too many\"}}",
            ),
            (
                "+40 GET deviceManagement/reports/exportJobs('DeviceCompliance_6f')",
                "200 | {\"id\":\"DeviceCompliance_6f\",\"status\":\"completed\",\
                 \"url\":\"https://blob.example/r.zip?sv=1&sig=x\"}",
            ),
            ("GET https://blob.example/r.zip?sv=1&sig=x", "200 | PK"),
        ],
        told: "accepted, accepted (the status answered with 429: TooManyRequests: Too many), succeeded 100%",
        end: "links https://blob.example/r.zip?sv=1&sig=x=PK",
    },
    Case {
        profile: "microsoft_graph",
        name: "an export of Cloud PCs",
        talk: &[
            (
                "POST deviceManagement/virtualEndpoint/reports/exportJobs | {\"reportName\":\"x\"}",
                "201 | {\"id\":\"c1\",\"exportJobStatus\":\"notStarted\",\"exportUrl\":null}",
            ),
            (
                "GET deviceManagement/virtualEndpoint/reports/exportJobs('c1')",
                "200 | {\"id\":\"c1\",\"exportJobStatus\":\"inProgress\",\"exportUrl\":null}",
            ),
            (
                "GET deviceManagement/virtualEndpoint/reports/exportJobs('c1')",
                "200 | {\"id\":\"c1\",\"exportJobStatus\":\"completed\",\"exportUrl\":\"https://blob.example/c?sig=x\"}",
            ),
            ("GET https://blob.example/c?sig=x", "200 | PK"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "links https://blob.example/c?sig=x=PK",
    },
    Case {
        profile: "microsoft_graph",
        name: "an export that failed",
        talk: &[
            ("POST deviceManagement/reports/exportJobs | {}", "201 | {\"id\":\"e\",\"status\":\"notStarted\"}"),
            (
                "GET deviceManagement/reports/exportJobs('e')",
                "200 | {\"id\":\"e\",\"status\":\"failed\",\"error\":{\"code\":\"BadFilter\",\"message\":\"No such column\"}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed BadFilter: No such column",
    },
    Case {
        profile: "microsoft_graph:teams",
        name: "a team that is made",
        talk: &[
            (
                "POST teams | {\"displayName\":\"x\"}",
                "202 | location: /teams('8a1')/operations('4b2') | content-location: /teams('8a1')",
            ),
            ("GET teams%28%278a1%27%29/operations%28%274b2%27%29", "200 | {\"id\":\"4b2\",\"status\":\"inProgress\"}"),
            (
                "+30 GET teams%28%278a1%27%29/operations%28%274b2%27%29",
                "200 | {\"id\":\"4b2\",\"status\":\"succeeded\",\"targetResourceLocation\":\"/teams('8a1')\"}",
            ),
            ("GET teams%28%278a1%27%29", "200 | {\"id\":\"8a1\"}"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "value {\"id\":\"8a1\"}",
    },
    Case {
        profile: "microsoft_graph:teams",
        name: "a team that is not made",
        talk: &[
            ("POST teams | {}", "202 | location: /teams('8a1')/operations('4b2')"),
            (
                "GET teams%28%278a1%27%29/operations%28%274b2%27%29",
                "200 | {\"status\":\"failed\",\"error\":{\"code\":\"Conflict\",\"message\":\"It exists\"}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed Conflict: It exists",
    },
    Case {
        profile: "power_bi",
        name: "a report of a group",
        talk: &[
            (
                "POST groups/g/reports/r/ExportTo | {\"format\":\"PDF\"}",
                "202 | {\"id\":\"e1==\",\"reportId\":\"r\",\"status\":\"NotStarted\",\"percentComplete\":0}",
            ),
            (
                "GET groups/g/reports/r/exports/e1%3D%3D",
                "202 | retry-after: 30 | {\"id\":\"e1==\",\"status\":\"Running\",\"percentComplete\":70}",
            ),
            (
                "+30 GET groups/g/reports/r/exports/e1%3D%3D",
                "200 | {\"id\":\"e1==\",\"status\":\"Succeeded\",\"percentComplete\":100,\
                 \"resourceLocation\":\"https://api.example.com/v1/groups/g/reports/r/exports/e1/file\",\
                 \"ResourceFileExtension\":\".pdf\"}",
            ),
            ("GET groups/g/reports/r/exports/e1%3D%3D/file", "200 | content-type: application/pdf | %PDF"),
        ],
        told: "accepted 0%, running 70%, succeeded 100%",
        end: "links groups/g/reports/r/exports/e1%3D%3D/file=%PDF",
    },
    Case {
        profile: "power_bi",
        name: "a failure, and a submit that is throttled",
        talk: &[
            ("POST reports/r/ExportTo | {}", "429 | retry-after: 9 | {\"error\":{\"code\":\"TooManyRequests\"}}"),
            ("+9 POST reports/r/ExportTo | {}", "202 | {\"id\":\"e\",\"status\":\"Undefined\",\"percentComplete\":0}"),
            (
                "GET reports/r/exports/e",
                "200 | {\"id\":\"e\",\"status\":\"Failed\",\"error\":{\"code\":\"ExportData_DisabledByTenant\",\
                 \"details\":[]}}",
            ),
        ],
        told: "running 0%, failed 0%",
        end: "failed ExportData_DisabledByTenant: -",
    },
    Case {
        profile: "durable_functions",
        name: "an orchestration",
        talk: &[
            (
                "POST orchestrators/Hello | {}",
                "202 | location: https://api.example.com/v1/instances/i1?code=k | retry-after: 10 | {\"id\":\"i1\",\
                 \"statusQueryGetUri\":\"https://api.example.com/v1/instances/i1?taskHub=h&code=k\",\
                 \"terminatePostUri\":\"https://api.example.com/v1/instances/i1/terminate?reason={text}&code=k\"}",
            ),
            (
                "+10 GET instances/i1?taskHub=h&code=k",
                "202 | location: https://api.example.com/v1/instances/i1?code=k | retry-after: 10 | \
                 {\"name\":\"Hello\",\"instanceId\":\"i1\",\"runtimeStatus\":\"Running\",\"output\":null}",
            ),
            (
                "+10 GET instances/i1?taskHub=h&code=k",
                "200 | {\"name\":\"Hello\",\"instanceId\":\"i1\",\"runtimeStatus\":\"Completed\",\"output\":[\"Hello\"]}",
            ),
        ],
        told: "accepted, running, succeeded 100%",
        end: "value [\"Hello\"]",
    },
    Case {
        profile: "durable_functions",
        name: "an orchestration that failed, behind a 500",
        talk: &[
            (
                "POST orchestrators/Hello | {}",
                "202 | retry-after: 10 | {\"id\":\"i1\",\"statusQueryGetUri\":\"https://api.example.com/v1/instances/i1\"}",
            ),
            (
                "+10 GET instances/i1",
                "500 | {\"name\":\"Hello\",\"instanceId\":\"i1\",\"runtimeStatus\":\"Failed\",\"output\":\"It broke\",\
                 \"createdTime\":\"2030-01-01T00:00:00Z\"}",
            ),
        ],
        told: "accepted, failed",
        end: "failed -: It broke",
    },
    Case {
        profile: "google_operations",
        name: "an operation",
        talk: &[
            ("POST projects/1/exports | {}", "200 | {\"name\":\"operations/7\",\"metadata\":{}}"),
            ("GET operations/7", "200 | {\"name\":\"operations/7\",\"metadata\":{\"progressPercent\":40}}"),
            ("GET operations/7", "200 | {\"name\":\"operations/7\",\"done\":true,\"response\":{\"rows\":3}}"),
        ],
        told: "accepted, running 40%, succeeded 100%",
        end: "value {\"rows\":3}",
    },
    Case {
        profile: "google_operations",
        name: "an operation that failed",
        talk: &[
            ("POST projects/1/exports | {}", "200 | {\"name\":\"operations/7\"}"),
            (
                "GET operations/7",
                "200 | {\"name\":\"operations/7\",\"done\":true,\"error\":{\"code\":7,\"message\":\"No right\"}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed 7: No right",
    },
];

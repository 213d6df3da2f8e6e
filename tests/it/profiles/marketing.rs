//! Salesforce, Marketo, HubSpot, Twilio, Mailchimp, Dropbox, Shopify, Zuora.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        profile: "salesforce_bulk",
        name: "a query, beyond the limit of the day",
        talk: &[
            (
                "POST jobs/query | {\"operation\":\"query\",\"query\":\"SELECT Id FROM Account\"}",
                "200 | {\"id\":\"750x\",\"operation\":\"query\",\"object\":\"Account\",\"state\":\"UploadComplete\"}",
            ),
            ("GET jobs/query/750x", "403 | [{\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\",\"message\":\"TotalRequests\"}]"),
            (
                "GET jobs/query/750x",
                "200 | sforce-limit-info: api-usage=18/5000 | {\"id\":\"750x\",\"state\":\"InProgress\",\
                 \"numberRecordsProcessed\":0}",
            ),
            ("GET jobs/query/750x", "200 | {\"id\":\"750x\",\"state\":\"JobComplete\",\"numberRecordsProcessed\":2}"),
            (
                "GET jobs/query/750x/results",
                "200 | content-type: text/csv | sforce-locator: MTAw | sforce-numberofrecords: 1 | Id\n1\n",
            ),
            (
                "GET jobs/query/750x/results?locator=MTAw",
                "200 | content-type: text/csv | sforce-locator: null | sforce-numberofrecords: 1 | Id\n2\n",
            ),
        ],
        told: "accepted, accepted (the status answered with 429: REQUEST_LIMIT_EXCEEDED: TotalRequests), running, succeeded 100%",
        end: "bytes Id\n1\n2\n",
    },
    Case {
        profile: "salesforce_bulk",
        name: "a query that failed",
        talk: &[
            ("POST jobs/query | {}", "200 | {\"id\":\"750x\",\"state\":\"UploadComplete\"}"),
            (
                "GET jobs/query/750x",
                "200 | {\"id\":\"750x\",\"state\":\"Failed\",\"errorMessage\":\"API_ERROR: No such column\"}",
            ),
        ],
        told: "accepted, failed",
        end: "failed -: API_ERROR: No such column",
    },
    Case {
        profile: "marketo",
        name: "an extract, which is enqueued",
        talk: &[
            (
                "POST bulk/v1/leads/export/create.json | {\"fields\":[\"id\"]}",
                "200 | {\"requestId\":\"e42b\",\"success\":true,\"result\":[{\"exportId\":\"ce45\",\"format\":\"CSV\",\
                 \"status\":\"Created\"}]}",
            ),
            (
                "POST bulk/v1/leads/export/ce45/enqueue.json",
                "200 | {\"success\":true,\"result\":[{\"exportId\":\"ce45\",\"status\":\"Queued\"}]}",
            ),
            (
                "GET bulk/v1/leads/export/ce45/status.json",
                "200 | {\"success\":true,\"result\":[{\"exportId\":\"ce45\",\"status\":\"Processing\"}]}",
            ),
            (
                "+60 GET bulk/v1/leads/export/ce45/status.json",
                "200 | {\"success\":true,\"result\":[{\"exportId\":\"ce45\",\"status\":\"Completed\",\"fileSize\":5}]}",
            ),
            ("GET bulk/v1/leads/export/ce45/file.json", "200 | content-type: text/csv | id\n7\n"),
        ],
        told: "running, running, succeeded 100%",
        end: "links bulk/v1/leads/export/ce45/file.json=id\n7\n",
    },
    Case {
        profile: "marketo",
        name: "throttled with 200, and a failure",
        talk: &[
            (
                "POST bulk/v1/activities/export/create.json | {}",
                "200 | {\"success\":false,\"errors\":[{\"code\":\"606\",\"message\":\"Max rate limit '100' exceeded with in \
                 '20' secs\"}]}",
            ),
            (
                "POST bulk/v1/activities/export/create.json | {}",
                "200 | {\"success\":true,\"result\":[{\"exportId\":\"a\",\"status\":\"Created\"}]}",
            ),
            (
                "POST bulk/v1/activities/export/a/enqueue.json",
                "200 | {\"success\":true,\"result\":[{\"exportId\":\"a\",\"status\":\"Queued\"}]}",
            ),
            (
                "GET bulk/v1/activities/export/a/status.json",
                "200 | {\"success\":true,\"result\":[{\"exportId\":\"a\",\"status\":\"Failed\",\"errorMsg\":\"No disk\"}]}",
            ),
        ],
        told: "running, failed",
        end: "failed -: No disk",
    },
    Case {
        profile: "marketo",
        name: "a quota that is spent, and a filter that is wrong",
        talk: &[
            (
                "POST bulk/v1/leads/export/create.json | {}",
                "200 | {\"success\":false,\"errors\":[{\"code\":\"1029\",\"message\":\"Too many jobs in queue\"}]}",
            ),
            (
                "POST bulk/v1/leads/export/create.json | {}",
                "200 | {\"success\":false,\"errors\":[{\"code\":\"1003\",\"message\":\"No filter\"}]}",
            ),
        ],
        told: "",
        end: "refused 400 1003: No filter",
    },
    Case {
        profile: "hubspot",
        name: "an export with errors",
        talk: &[
            ("POST crm/v3/exports/export/async | {\"format\":\"CSV\"}", "202 | {\"id\":\"9\",\"links\":{}}"),
            (
                "GET crm/v3/exports/export/async/tasks/9/status",
                "429 | {\"status\":\"error\",\"message\":\"You have reached your secondly limit.\",\
                 \"errorType\":\"RATE_LIMIT\",\"policyName\":\"SECONDLY\"}",
            ),
            ("GET crm/v3/exports/export/async/tasks/9/status", "200 | {\"status\":\"PROCESSING\",\"links\":{}}"),
            (
                "GET crm/v3/exports/export/async/tasks/9/status",
                "200 | {\"status\":\"COMPLETE\",\"numErrors\":1,\"errors\":[{\"message\":\"x\"}],\
                 \"result\":\"https://s3.example/e.csv?X-Amz-Signature=x\"}",
            ),
            ("GET https://s3.example/e.csv?X-Amz-Signature=x", "200 | id\n"),
        ],
        told: "accepted, accepted (the status answered with 429: You have reached your secondly limit.), running, \
               partially_succeeded 100%",
        end: "links https://s3.example/e.csv?X-Amz-Signature=x=id\n",
    },
    Case {
        profile: "hubspot",
        name: "an export that is canceled",
        talk: &[
            ("POST crm/v3/exports/export/async | {}", "202 | {\"id\":\"9\"}"),
            ("GET crm/v3/exports/export/async/tasks/9/status", "200 | {\"status\":\"CANCELED\",\"numErrors\":0}"),
        ],
        told: "accepted, canceled",
        end: "canceled -: -",
    },
    Case {
        profile: "twilio",
        name: "days that end one by one",
        talk: &[
            (
                "POST v1/Exports/Messages/Jobs | StartDay=2030-01-01",
                "201 | {\"job_sid\":\"JS1\",\"resource_type\":\"Messages\",\"details\":null,\"job_queue_position\":\"1\"}",
            ),
            (
                "GET v1/Exports/Jobs/JS1",
                "200 | {\"job_sid\":\"JS1\",\"details\":[{\"status\":\"Completed\",\"count\":1,\"days\":[\"2030-01-01\"]},\
                 {\"status\":\"ErrorDuringRun\",\"count\":1,\"days\":[\"2030-01-02\"]}]}",
            ),
            (
                "GET v1/Exports/Jobs/JS1",
                "200 | {\"job_sid\":\"JS1\",\"details\":[{\"status\":\"Completed\",\"count\":1,\"days\":[\"2030-01-01\"]},\
                 {\"status\":\"CompletedEmptyRecords\",\"count\":1,\"days\":[\"2030-01-02\"]}]}",
            ),
            (
                "GET v1/Exports/Messages/Days/2030-01-01",
                "307 | location: https://s3.example/1?X-Amz-Signature=x | {\"redirect_to\":\"https://s3.example/1\"}",
            ),
            ("GET https://s3.example/1?X-Amz-Signature=x", "200 | one"),
            (
                "GET v1/Exports/Messages/Days/2030-01-02",
                "307 | location: https://s3.example/2?X-Amz-Signature=x | {\"redirect_to\":\"https://s3.example/2\"}",
            ),
            ("GET https://s3.example/2?X-Amz-Signature=x", "200 | two"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "links v1/Exports/Messages/Days/2030-01-01=one v1/Exports/Messages/Days/2030-01-02=two",
    },
    Case {
        profile: "twilio",
        name: "days that failed",
        talk: &[
            ("POST v1/Exports/Calls/Jobs | StartDay=2030-01-01", "201 | {\"job_sid\":\"JS1\",\"details\":[]}"),
            ("GET v1/Exports/Jobs/JS1", "429 | {\"code\":20429,\"message\":\"Too Many Requests\",\"status\":429}"),
            (
                "GET v1/Exports/Jobs/JS1",
                "200 | {\"job_sid\":\"JS1\",\"details\":[{\"status\":\"Failed\",\"count\":1,\"days\":[\"2030-01-01\"]}]}",
            ),
        ],
        told: "accepted, accepted (the status answered with 429: 20429: Too Many Requests), failed",
        end: "failed -: -",
    },
    Case {
        profile: "mailchimp",
        name: "a batch, one of whose operations failed",
        talk: &[
            (
                "POST batches | {\"operations\":[]}",
                "200 | {\"id\":\"b1\",\"status\":\"pending\",\"total_operations\":0,\"finished_operations\":0,\
                 \"errored_operations\":0,\"response_body_url\":\"\"}",
            ),
            (
                "GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"preprocessing\",\"total_operations\":4,\"finished_operations\":0,\
                 \"errored_operations\":0,\"response_body_url\":\"\"}",
            ),
            (
                "GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"started\",\"total_operations\":4,\"finished_operations\":2,\
                 \"errored_operations\":0,\"response_body_url\":\"\"}",
            ),
            (
                "GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"finished\",\"total_operations\":4,\"finished_operations\":4,\
                 \"errored_operations\":1,\"response_body_url\":\"https://mailchimp.example/b1.tar.gz?sig=x\"}",
            ),
            ("GET https://mailchimp.example/b1.tar.gz?sig=x", "200 | tar"),
        ],
        told: "accepted, accepted 0%, running 50%, partially_succeeded 100%",
        end: "links https://mailchimp.example/b1.tar.gz?sig=x=tar",
    },
    Case {
        profile: "mailchimp",
        name: "a batch that is refused",
        talk: &[(
            "POST batches | {}",
            "400 | content-type: application/problem+json | {\"type\":\"https://mailchimp.example/err\",\
             \"title\":\"Invalid Resource\",\"status\":400,\"detail\":\"The resource submitted could not be validated.\"}",
        )],
        told: "",
        end: "refused 400 https://mailchimp.example/err: The resource submitted could not be validated.",
    },
    Case {
        profile: "dropbox",
        name: "entries that are deleted",
        talk: &[
            (
                "POST files/delete_batch | {\"entries\":[]}",
                "200 | {\".tag\":\"async_job_id\",\"async_job_id\":\"34g93hh\"}",
            ),
            (
                "POST files/delete_batch/check | {\"async_job_id\":\"34g93hh\"}",
                "429 | {\"error_summary\":\"too_many_requests/..\",\"error\":{\"reason\":{\".tag\":\"too_many_requests\"},\
                 \"retry_after\":15}}",
            ),
            ("+15 POST files/delete_batch/check | {\"async_job_id\":\"34g93hh\"}", "200 | {\".tag\":\"in_progress\"}"),
            (
                "POST files/delete_batch/check | {\"async_job_id\":\"34g93hh\"}",
                "200 | {\".tag\":\"complete\",\"entries\":[{\".tag\":\"success\",\"metadata\":{}}]}",
            ),
        ],
        told: "accepted, accepted (the status answered with 429: too_many_requests/..), running, succeeded 100%",
        end: "value {\".tag\":\"complete\",\"entries\":[{\".tag\":\"success\",\"metadata\":{}}]}",
    },
    Case {
        profile: "dropbox:move",
        name: "complete at once, in part",
        talk: &[(
            "POST files/move_batch_v2 | {\"entries\":[]}",
            "200 | {\".tag\":\"complete\",\"entries\":[{\".tag\":\"failure\",\"failure\":{\".tag\":\"internal_error\"}}]}",
        )],
        told: "partially_succeeded 100%",
        end: "value {\".tag\":\"complete\",\"entries\":[{\".tag\":\"failure\",\"failure\":{\".tag\":\"internal_error\"}}]}",
    },
    Case {
        profile: "dropbox:copy",
        name: "a job that failed",
        talk: &[
            ("POST files/copy_batch_v2 | {}", "200 | {\".tag\":\"async_job_id\",\"async_job_id\":\"j\"}"),
            (
                "POST files/copy_batch/check_v2 | {\"async_job_id\":\"j\"}",
                "200 | {\".tag\":\"failed\",\"failed\":{\".tag\":\"too_many_write_operations\"}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed too_many_write_operations: -",
    },
    Case {
        profile: "shopify",
        name: "a bulk query, throttled",
        talk: &[
            (
                "POST graphql.json | {\"query\":\"mutation { bulkOperationRunQuery }\"}",
                "200 | {\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":\"THROTTLED\"}}],\
                 \"extensions\":{\"cost\":{\"throttleStatus\":{\"maximumAvailable\":2000.0,\"currentlyAvailable\":1,\
                 \"restoreRate\":100.0}}}}",
            ),
            (
                "POST graphql.json | {\"query\":\"mutation { bulkOperationRunQuery }\"}",
                "200 | {\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":{\"id\":\"gid://shopify/BulkOperation/7\",\
                 \"status\":\"CREATED\"},\"userErrors\":[]}}}",
            ),
            (
                POLL,
                "200 | {\"data\":{\"node\":{\"id\":\"gid://shopify/BulkOperation/7\",\"status\":\"RUNNING\",\
                 \"objectCount\":\"3\",\"url\":null}}}",
            ),
            (
                POLL,
                "200 | {\"data\":{\"node\":{\"id\":\"gid://shopify/BulkOperation/7\",\"status\":\"COMPLETED\",\
                 \"objectCount\":\"9\",\"url\":\"https://storage.example/b.jsonl?Signature=x\"}}}",
            ),
            ("GET https://storage.example/b.jsonl?Signature=x", "200 | {\"id\":1}"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "links https://storage.example/b.jsonl?Signature=x={\"id\":1}",
    },
    Case {
        profile: "shopify",
        name: "a bulk query that failed",
        talk: &[
            (
                "POST graphql.json | {\"query\":\"\"}",
                "200 | {\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":{\"id\":\"gid://shopify/BulkOperation/7\",\
                 \"status\":\"CREATED\"},\"userErrors\":[]}}}",
            ),
            (POLL, "200 | {\"data\":{\"node\":{\"status\":\"FAILED\",\"errorCode\":\"TIMEOUT\",\"url\":null}}}"),
        ],
        told: "accepted, failed",
        end: "failed TIMEOUT: -",
    },
    Case {
        profile: "shopify:mutation",
        name: "a user error",
        talk: &[(
            "POST graphql.json | {\"query\":\"\"}",
            "200 | {\"data\":{\"bulkOperationRunMutation\":{\"bulkOperation\":null,\"userErrors\":[{\"field\":null,\
             \"message\":\"A bulk operation is already running\"}]}}}",
        )],
        told: "",
        end: "refused 422 -: A bulk operation is already running",
    },
    Case {
        profile: "zuora",
        name: "a data query",
        talk: &[
            ("POST query/jobs | {\"query\":\"x\"}", "200 | {\"data\":{\"id\":\"q1\",\"queryStatus\":\"accepted\"}}"),
            ("GET query/jobs/q1", "200 | {\"data\":{\"id\":\"q1\",\"queryStatus\":\"in_progress\",\"dataFile\":null}}"),
            (
                "GET query/jobs/q1",
                "200 | {\"data\":{\"id\":\"q1\",\"queryStatus\":\"completed\",\"outputRows\":1,\
                 \"dataFile\":\"https://s3.example/q1.jsonl?X-Amz-Security-Token=t&X-Amz-Signature=x\"}}",
            ),
            ("GET https://s3.example/q1.jsonl?X-Amz-Security-Token=t&X-Amz-Signature=x", "200 | {}"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "links https://s3.example/q1.jsonl?X-Amz-Security-Token=t&X-Amz-Signature=x={}",
    },
    Case {
        profile: "zuora",
        name: "a data query that failed",
        talk: &[
            ("POST query/jobs | {}", "200 | {\"data\":{\"id\":\"q1\",\"queryStatus\":\"accepted\"}}"),
            (
                "GET query/jobs/q1",
                "200 | {\"data\":{\"id\":\"q1\",\"queryStatus\":\"failed\",\"errorCode\":\"LINK_10000005\",\
                 \"errorMessage\":\"Query failed\"}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed LINK_10000005: Query failed",
    },
    Case {
        profile: "zuora:aqua",
        name: "an aggregate query",
        talk: &[
            (
                "POST v1/batch-query/ | {}",
                "200 | {\"id\":\"j1\",\"status\":\"submitted\",\"batches\":[{\"status\":\"pending\"}]}",
            ),
            (
                "GET v1/batch-query/jobs/j1",
                "200 | {\"id\":\"j1\",\"status\":\"executing\",\"batches\":[{\"status\":\"executing\"}]}",
            ),
            (
                "GET v1/batch-query/jobs/j1",
                "200 | {\"id\":\"j1\",\"status\":\"completed\",\"batches\":[{\"status\":\"completed\",\"message\":\"\",\
                 \"fileId\":\"f1\"},{\"status\":\"completed\",\"fileId\":\"f2\"}]}",
            ),
            ("GET v1/files/f1", "200 | one"),
            ("GET v1/files/f2", "200 | two"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "links v1/files/f1=one v1/files/f2=two",
    },
    Case {
        profile: "zuora:aqua",
        name: "an aggregate query that failed",
        talk: &[
            ("POST v1/batch-query/ | {}", "200 | {\"id\":\"j1\",\"status\":\"submitted\"}"),
            (
                "GET v1/batch-query/jobs/j1",
                "200 | {\"id\":\"j1\",\"status\":\"aborted\",\"batches\":[{\"status\":\"aborted\",\"message\":\"No such \
                 field\"}]}",
            ),
        ],
        told: "accepted, failed",
        end: "failed -: No such field",
    },
];

const POLL: &str = "POST graphql.json | {\"query\":\"query Poll($id: ID!) { node(id: $id) { ... on BulkOperation { id \
                    status errorCode objectCount fileSize url partialDataUrl } } }\",\"variables\":{\"id\":\
                    \"gid://shopify/BulkOperation/7\"}}";

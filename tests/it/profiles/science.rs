//! FHIR bulk data, OGC API Processes, IVOA UWS.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        profile: "fhir",
        name: "an export",
        talk: &[
            ("GET Patient/$export?_type=Patient", "202 | content-location: https://api.example.com/v1/bulkstatus/1"),
            ("GET bulkstatus/1", "202 | x-progress: in-progress, 30% done | retry-after: 120"),
            ("+120 GET bulkstatus/1", "429 | retry-after: 240 | {\"resourceType\":\"OperationOutcome\"}"),
            (
                "+240 GET bulkstatus/1",
                "200 | content-type: application/json | {\"transactionTime\":\"2030-01-01T00:00:00Z\",\
                 \"request\":\"https://api.example.com/v1/Patient/$export\",\"requiresAccessToken\":true,\
                 \"output\":[{\"type\":\"Patient\",\"url\":\"https://api.example.com/v1/files/p.ndjson\"},\
                 {\"type\":\"Patient\",\"url\":\"https://s3.example/p2.ndjson?sig=x\"}],\"error\":[]}",
            ),
            ("GET files/p.ndjson", "200 | {\"id\":1}"),
            ("GET https://s3.example/p2.ndjson?sig=x", "200 | {\"id\":2}"),
        ],
        told: "accepted, running 30%, running 30% (the status answered with 429), succeeded 100%",
        end: "links files/p.ndjson={\"id\":1} https://s3.example/p2.ndjson?sig=x={\"id\":2}",
    },
    Case {
        profile: "fhir",
        name: "an export with errors",
        talk: &[
            ("GET $export", "202 | content-location: /v1/bulkstatus/1"),
            (
                "GET bulkstatus/1",
                "500 | {\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\"code\":\"transient\"}]}",
            ),
            (
                "GET bulkstatus/1",
                "200 | content-type: application/json | {\"requiresAccessToken\":true,\"output\":[{\"type\":\"Patient\",\
                 \"url\":\"files/p.ndjson\"}],\"error\":[{\"type\":\"OperationOutcome\",\"url\":\"files/e.ndjson\"}]}",
            ),
            ("GET bulkstatus/files/p.ndjson", "200 | {}"),
        ],
        told: "accepted, accepted (the status answered with 503: transient), partially_succeeded 100%",
        end: "links bulkstatus/files/p.ndjson={}",
    },
    Case {
        profile: "fhir",
        name: "an export that failed",
        talk: &[
            ("GET $export", "202 | content-location: /v1/bulkstatus/1"),
            (
                "GET bulkstatus/1",
                "500 | content-type: application/fhir+json | {\"resourceType\":\"OperationOutcome\",\
                 \"issue\":[{\"severity\":\"error\",\"code\":\"processing\",\"details\":{\"text\":\"The export broke\"}}]}",
            ),
        ],
        told: "accepted, failed",
        end: "failed processing: The export broke",
    },
    Case {
        profile: "ogc_processes",
        name: "a job with links",
        talk: &[
            (
                "POST processes/hello/execution | {\"inputs\":{}}",
                "201 | location: https://api.example.com/v1/jobs/j1 | {\"jobID\":\"j1\",\"type\":\"process\",\
                 \"status\":\"accepted\"}",
            ),
            (
                "GET jobs/j1",
                "200 | {\"jobID\":\"j1\",\"type\":\"process\",\"status\":\"running\",\"progress\":10,\"links\":[]}",
            ),
            (
                "GET jobs/j1",
                "200 | {\"jobID\":\"j1\",\"type\":\"process\",\"status\":\"successful\",\"progress\":100,\"links\":[\
                 {\"href\":\"https://api.example.com/v1/jobs/j1/results?f=html\",\"type\":\"text/html\",\
                 \"rel\":\"http://www.opengis.net/def/rel/ogc/1.0/results\"},\
                 {\"href\":\"https://api.example.com/v1/jobs/j1/results?f=json\",\"type\":\"application/json\",\
                 \"rel\":\"http://www.opengis.net/def/rel/ogc/1.0/results\"}]}",
            ),
            ("GET jobs/j1/results?f=json", "200 | {\"echo\":{\"value\":\"hello\"}}"),
        ],
        told: "accepted, running 10%, succeeded 100%",
        end: "value {\"echo\":{\"value\":\"hello\"}}",
    },
    Case {
        profile: "ogc_processes",
        name: "a job without links",
        talk: &[
            (
                "POST processes/hello/execution | {}",
                "201 | location: /v1/jobs/j1 | {\"jobID\":\"j1\",\"status\":\"accepted\"}",
            ),
            ("GET jobs/j1", "200 | {\"jobID\":\"j1\",\"type\":\"process\",\"status\":\"successful\"}"),
            ("GET jobs/j1/results", "200 | {\"n\":1}"),
        ],
        told: "accepted, succeeded 100%",
        end: "value {\"n\":1}",
    },
    Case {
        profile: "ogc_processes",
        name: "a job that failed",
        talk: &[
            (
                "POST processes/hello/execution | {}",
                "201 | location: /v1/jobs/j1 | {\"jobID\":\"j1\",\"status\":\"accepted\"}",
            ),
            (
                "GET jobs/j1",
                "200 | {\"jobID\":\"j1\",\"type\":\"process\",\"status\":\"failed\",\"message\":\"Cannot process without a name\"}",
            ),
        ],
        told: "accepted, failed",
        end: "failed -: Cannot process without a name",
    },
    Case {
        profile: "ivoa_uws",
        name: "a query of TAP",
        talk: &[
            ("POST tap/async | LANG=ADQL", "303 | location: https://api.example.com/v1/tap/async/7"),
            ("GET tap/async/7/phase", "200 | content-type: text/plain | PENDING"),
            ("POST tap/async/7/phase | PHASE=RUN", "303 | location: https://api.example.com/v1/tap/async/7"),
            ("GET tap/async/7/phase", "200 | content-type: text/plain | QUEUED"),
            ("GET tap/async/7/phase", "200 | content-type: text/plain | EXECUTING"),
            ("GET tap/async/7/phase", "200 | content-type: text/plain | COMPLETED"),
            ("GET tap/async/7/results/result", "200 | content-type: application/x-votable+xml | <VOTABLE/>"),
        ],
        told: "accepted, running, accepted, running, succeeded 100%",
        end: "links tap/async/7/results/result=<VOTABLE/>",
    },
    Case {
        profile: "ivoa_uws:results",
        name: "the results of another service",
        talk: &[
            ("POST jobs | RUNID=1&PHASE=RUN", "303 | location: https://api.example.com/v1/jobs/7"),
            ("GET jobs/7/phase", "200 | content-type: text/plain | COMPLETED"),
            ("GET jobs/7/results", "200 | content-type: text/xml | <uws:results/>"),
        ],
        told: "accepted, succeeded 100%",
        end: "value <uws:results/>",
    },
    Case {
        profile: "ivoa_uws",
        name: "a query that failed",
        talk: &[
            ("POST tap/async | LANG=ADQL", "303 | location: https://api.example.com/v1/tap/async/7"),
            ("GET tap/async/7/phase", "503 | retry-after: 20 | busy"),
            ("+20 GET tap/async/7/phase", "200 | content-type: text/plain | ERROR"),
        ],
        told: "accepted, accepted (the status answered with 503: busy), failed",
        end: "failed -: ERROR",
    },
];

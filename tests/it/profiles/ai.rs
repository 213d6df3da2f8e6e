//! Replicate and `OpenAI`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        profile: "replicate",
        name: "a prediction that makes files",
        talk: &[
            (
                "POST predictions | {\"input\":{}}",
                "201 | {\"id\":\"p1\",\"status\":\"starting\",\"output\":null,\"error\":null,\"urls\":{\
                 \"get\":\"https://api.example.com/v1/predictions/p1\",\
                 \"cancel\":\"https://api.example.com/v1/predictions/p1/cancel\"}}",
            ),
            (
                "GET predictions/p1",
                "429 | {\"detail\":\"Request was throttled. Expected available in 12 seconds.\",\"status\":429}",
            ),
            (
                "+12 GET predictions/p1",
                "200 | {\"id\":\"p1\",\"status\":\"processing\",\"output\":null,\"error\":null}",
            ),
            (
                "GET predictions/p1",
                "200 | {\"id\":\"p1\",\"status\":\"succeeded\",\"error\":null,\
                 \"output\":[\"https://delivery.example/a.png\",\"https://delivery.example/b.png\"]}",
            ),
            ("GET https://delivery.example/a.png", "200 | a"),
            ("GET https://delivery.example/b.png", "200 | b"),
        ],
        told: "accepted, accepted (the status answered with 429: Request was throttled. Expected available in 12 \
               seconds.), running, succeeded 100%",
        end: "links https://delivery.example/a.png=a https://delivery.example/b.png=b",
    },
    Case {
        profile: "replicate",
        name: "a prediction that makes a value",
        talk: &[
            (
                "POST predictions | {}",
                "201 | {\"id\":\"p1\",\"status\":\"starting\",\"urls\":{\"get\":\"https://api.example.com/v1/predictions/p1\"}}",
            ),
            ("GET predictions/p1", "200 | {\"id\":\"p1\",\"status\":\"succeeded\",\"output\":{\"text\":\"hi\"}}"),
        ],
        told: "accepted, succeeded 100%",
        end: "value {\"text\":\"hi\"}",
    },
    Case {
        profile: "replicate",
        name: "a prediction that failed",
        talk: &[
            (
                "POST predictions | {}",
                "201 | {\"id\":\"p1\",\"status\":\"starting\",\"urls\":{\"get\":\"https://api.example.com/v1/predictions/p1\"}}",
            ),
            ("GET predictions/p1", "200 | {\"id\":\"p1\",\"status\":\"failed\",\"error\":\"CUDA out of memory\"}"),
        ],
        told: "accepted, failed",
        end: "failed -: CUDA out of memory",
    },
    Case {
        profile: "openai",
        name: "a batch",
        talk: &[
            (
                "POST batches | {\"input_file_id\":\"f0\"}",
                "200 | {\"id\":\"b1\",\"object\":\"batch\",\"status\":\"validating\",\"errors\":null,\"output_file_id\":null,\
                 \"request_counts\":{\"total\":0,\"completed\":0,\"failed\":0}}",
            ),
            (
                "GET batches/b1",
                "429 | retry-after: 5 | {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Rate limit reached\"}}",
            ),
            (
                "+5 GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"in_progress\",\"request_counts\":{\"total\":4,\"completed\":1,\"failed\":0}}",
            ),
            (
                "GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"completed\",\"errors\":null,\"output_file_id\":\"f1\",\
                 \"error_file_id\":\"f2\",\"request_counts\":{\"total\":4,\"completed\":3,\"failed\":1}}",
            ),
            ("GET files/f1/content", "200 | {\"id\":1}"),
        ],
        told: "accepted, accepted (the status answered with 429: rate_limit_exceeded: Rate limit reached), running 25%, \
               partially_succeeded 75%",
        end: "links files/f1/content={\"id\":1}",
    },
    Case {
        profile: "openai",
        name: "a batch that failed",
        talk: &[
            ("POST batches | {}", "200 | {\"id\":\"b1\",\"status\":\"validating\"}"),
            (
                "GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"failed\",\"errors\":{\"object\":\"list\",\"data\":[{\"code\":\"invalid_json_line\",\
                 \"message\":\"This line is not parseable as valid JSON.\",\"line\":1}]}}",
            ),
        ],
        told: "accepted, failed",
        end: "failed invalid_json_line: This line is not parseable as valid JSON.",
    },
    Case {
        profile: "openai",
        name: "a batch that expired",
        talk: &[
            ("POST batches | {}", "200 | {\"id\":\"b1\",\"status\":\"validating\"}"),
            (
                "GET batches/b1",
                "200 | {\"id\":\"b1\",\"status\":\"expired\",\"output_file_id\":\"f1\",\"errors\":null}",
            ),
        ],
        told: "accepted, expired",
        end: "expired -: -",
    },
];

//! Snowflake, Databricks, Trino.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        profile: "snowflake",
        name: "a statement with two partitions",
        talk: &[
            (
                "POST api/v2/statements?async=true&requestId=u1 | {\"statement\":\"select 1\"}",
                "202 | {\"code\":\"333334\",\"message\":\"Asynchronous execution in progress.\",\
                 \"statementHandle\":\"h1\",\"statementStatusUrl\":\"/v1/api/v2/statements/h1?requestId=u1\"}",
            ),
            (
                "GET api/v2/statements/h1?requestId=u1",
                "202 | {\"code\":\"333334\",\"message\":\"in progress\",\"statementHandle\":\"h1\",\
                 \"statementStatusUrl\":\"/v1/api/v2/statements/h1?requestId=u1\"}",
            ),
            (
                "GET api/v2/statements/h1?requestId=u1",
                "200 | link: </v1/api/v2/statements/h1?requestId=u1&partition=1>; rel=\"next\", \
                 </v1/api/v2/statements/h1?requestId=u1&partition=1>; rel=\"last\" | {\"code\":\"090001\",\
                 \"message\":\"Statement executed successfully.\",\"statementHandle\":\"h1\",\
                 \"statementStatusUrl\":\"/v1/api/v2/statements/h1?requestId=u1\",\
                 \"resultSetMetaData\":{\"numRows\":2,\"partitionInfo\":[{},{}]},\"data\":[[\"1\"]]}",
            ),
            ("GET api/v2/statements/h1?requestId=u1&partition=1", "200 | {\"data\":[[\"2\"]]}"),
        ],
        told: "accepted, running, succeeded 100%",
        end: "rows [[\"1\"],[\"2\"]]",
    },
    Case {
        profile: "snowflake",
        name: "a statement that failed",
        talk: &[
            (
                "POST api/v2/statements?async=true | {}",
                "202 | {\"code\":\"333334\",\"statementHandle\":\"h1\",\"statementStatusUrl\":\"/v1/api/v2/statements/h1\"}",
            ),
            ("GET api/v2/statements/h1", "429 | {\"code\":\"390505\",\"message\":\"Too many requests.\"}"),
            (
                "GET api/v2/statements/h1",
                "422 | {\"code\":\"000904\",\"sqlState\":\"42000\",\"message\":\"invalid identifier 'X'\",\
                 \"statementHandle\":\"h1\"}",
            ),
        ],
        told: "accepted, accepted (the status answered with 429: 390505: Too many requests.), failed",
        end: "failed 000904: invalid identifier 'X'",
    },
    Case {
        profile: "snowflake",
        name: "a statement that timed out at the service",
        talk: &[
            (
                "POST api/v2/statements?async=true | {}",
                "202 | {\"statementHandle\":\"h1\",\"statementStatusUrl\":\"/v1/api/v2/statements/h1\"}",
            ),
            ("GET api/v2/statements/h1", "408 | {\"code\":\"000630\",\"message\":\"Statement reached its timeout.\"}"),
        ],
        told: "accepted, failed",
        end: "failed 000630: Statement reached its timeout.",
    },
    Case {
        profile: "databricks",
        name: "links of chunks",
        talk: &[
            (
                "POST api/2.0/sql/statements | {\"disposition\":\"EXTERNAL_LINKS\"}",
                "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"PENDING\"}}",
            ),
            ("GET api/2.0/sql/statements/s1", "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"RUNNING\"}}"),
            (
                "GET api/2.0/sql/statements/s1",
                "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"SUCCEEDED\"},\"manifest\":{\"total_chunk_count\":2},\
                 \"result\":{\"external_links\":[{\"chunk_index\":0,\"external_link\":\"https://s3.example/0?sig=x\"}]}}",
            ),
            (
                "GET api/2.0/sql/statements/s1/result/chunks/0",
                "200 | {\"external_links\":[{\"chunk_index\":0,\"external_link\":\"https://s3.example/0?sig=x\",\
                 \"next_chunk_index\":1,\"next_chunk_internal_link\":\"/v1/api/2.0/sql/statements/s1/result/chunks/1\"}]}",
            ),
            (
                "GET api/2.0/sql/statements/s1/result/chunks/1",
                "200 | {\"external_links\":[{\"chunk_index\":1,\"external_link\":\"https://s3.example/1?sig=x\"}]}",
            ),
        ],
        told: "accepted, running, succeeded 100%",
        end: "rows [{\"chunk_index\":0,\"external_link\":\"https://s3.example/0?sig=x\",\"next_chunk_index\":1,\
              \"next_chunk_internal_link\":\"/v1/api/2.0/sql/statements/s1/result/chunks/1\"},{\"chunk_index\":1,\
              \"external_link\":\"https://s3.example/1?sig=x\"}]",
    },
    Case {
        profile: "databricks:inline",
        name: "rows",
        talk: &[
            ("POST api/2.0/sql/statements/ | {}", "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"PENDING\"}}"),
            ("GET api/2.0/sql/statements/s1", "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"SUCCEEDED\"}}"),
            (
                "GET api/2.0/sql/statements/s1/result/chunks/0",
                "200 | {\"chunk_index\":0,\"data_array\":[[\"1\"]],\
                 \"next_chunk_internal_link\":\"/v1/api/2.0/sql/statements/s1/result/chunks/1\"}",
            ),
            ("GET api/2.0/sql/statements/s1/result/chunks/1", "200 | {\"chunk_index\":1,\"data_array\":[[\"2\"]]}"),
        ],
        told: "accepted, succeeded 100%",
        end: "rows [[\"1\"],[\"2\"]]",
    },
    Case {
        profile: "databricks",
        name: "a statement that failed",
        talk: &[
            ("POST api/2.0/sql/statements | {}", "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"PENDING\"}}"),
            ("GET api/2.0/sql/statements/s1", "503 | retry-after: 7 | {\"error_code\":\"TEMPORARILY_UNAVAILABLE\"}"),
            (
                "+7 GET api/2.0/sql/statements/s1",
                "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"FAILED\",\"error\":{\"error_code\":\"BAD_REQUEST\",\
                 \"message\":\"Table or view not found\"}}}",
            ),
        ],
        told: "accepted, accepted (the status answered with 503), failed",
        end: "failed BAD_REQUEST: Table or view not found",
    },
    Case {
        profile: "databricks",
        name: "a result that is gone",
        talk: &[
            ("POST api/2.0/sql/statements | {}", "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"PENDING\"}}"),
            ("GET api/2.0/sql/statements/s1", "200 | {\"statement_id\":\"s1\",\"status\":{\"state\":\"CLOSED\"}}"),
        ],
        told: "accepted, expired",
        end: "expired -: -",
    },
    Case {
        profile: "trino",
        name: "rows that come in parts",
        talk: &[
            (
                "POST v1/statement | SELECT_1",
                "200 | {\"id\":\"q1\",\"infoUri\":\"https://api.example.com/ui/q1\",\
                 \"nextUri\":\"https://api.example.com/v1/v1/statement/queued/q1/y/1\",\"stats\":{\"state\":\"QUEUED\"},\
                 \"warnings\":[]}",
            ),
            (
                "GET v1/statement/queued/q1/y/1",
                "200 | {\"id\":\"q1\",\"nextUri\":\"https://api.example.com/v1/v1/statement/executing/q1/y/0\",\
                 \"stats\":{\"state\":\"RUNNING\",\"progressPercentage\":25.0}}",
            ),
            (
                "GET v1/statement/executing/q1/y/0",
                "200 | {\"id\":\"q1\",\"nextUri\":\"https://api.example.com/v1/v1/statement/executing/q1/y/1\",\
                 \"columns\":[{\"name\":\"_col0\",\"type\":\"integer\"}],\"stats\":{\"state\":\"RUNNING\"}}",
            ),
            (
                "GET v1/statement/executing/q1/y/1",
                "200 | {\"id\":\"q1\",\"nextUri\":\"https://api.example.com/v1/v1/statement/executing/q1/y/2\",\
                 \"columns\":[{\"name\":\"_col0\"}],\"data\":[[1],[2]],\"stats\":{\"state\":\"RUNNING\"}}",
            ),
            (
                "GET v1/statement/executing/q1/y/2",
                "200 | {\"id\":\"q1\",\"columns\":[{\"name\":\"_col0\"}],\"data\":[[3]],\"stats\":{\"state\":\"FINISHED\"}}",
            ),
        ],
        told: "accepted, running 25%, succeeded 100%",
        end: "rows [[1],[2],[3]]",
    },
    Case {
        profile: "trino",
        name: "a query that failed",
        talk: &[
            (
                "POST v1/statement | SELECT_X",
                "200 | {\"id\":\"q1\",\"nextUri\":\"https://api.example.com/v1/v1/statement/queued/q1/y/1\",\
                 \"stats\":{\"state\":\"QUEUED\"}}",
            ),
            ("GET v1/statement/queued/q1/y/1", "503"),
            (
                "GET v1/statement/queued/q1/y/1",
                "200 | {\"id\":\"q1\",\"stats\":{\"state\":\"FAILED\"},\"error\":{\"message\":\"line 1:8: Column 'x' cannot be \
                 resolved\",\"errorCode\":47,\"errorName\":\"COLUMN_NOT_FOUND\",\"errorType\":\"USER_ERROR\"}}",
            ),
        ],
        told: "accepted, accepted (the status answered with 503), failed",
        end: "failed COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved",
    },
    Case {
        profile: "trino",
        name: "a query that failed between its rows",
        talk: &[
            (
                "POST v1/statement | SELECT_1",
                "200 | {\"id\":\"q1\",\"nextUri\":\"https://api.example.com/v1/v1/statement/q1/1\",\"stats\":{}}",
            ),
            (
                "GET v1/statement/q1/1",
                "200 | {\"id\":\"q1\",\"nextUri\":\"https://api.example.com/v1/v1/statement/q1/2\",\
                 \"columns\":[{\"name\":\"_col0\"}],\"data\":[[1]],\"stats\":{}}",
            ),
            (
                "GET v1/statement/q1/2",
                "200 | {\"id\":\"q1\",\"stats\":{\"state\":\"FAILED\"},\"error\":{\"message\":\"Division by zero\",\
                 \"errorName\":\"DIVISION_BY_ZERO\"}}",
            ),
        ],
        told: "accepted, succeeded 100%",
        end: "rows end with Rejected -: Division by zero",
    },
];

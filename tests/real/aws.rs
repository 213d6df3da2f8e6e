//! Against moto: a job of AWS that is polled by POST, each action named in a header.
//!
//! `tests/run.sh` installs it with `LONGHAUL_LONG=1`; without it these tests are skipped. The profile is data that the
//! test holds; the signature is code, and moto does not check it.

use std::error::Error;

use futures::TryStreamExt;
use http::{HeaderMap, HeaderValue};
use longhaul::credentials::Sign;
use longhaul::http::Request;
use longhaul::{Client, Credential, ErrorKind, Profile};
use serde_json::{Value, json};

use super::python::Server;

const ATHENA: &str = r#"
    name = "athena"

    [protocol]
    name = "athena"
    id = ["/QueryExecutionId"]
    status_url = []
    status_template = "{submit}"
    poll = """
POST {submit}
X-Amz-Target: AmazonAthena.GetQueryExecution
Content-Type: application/x-amz-json-1.1

{"QueryExecutionId": "{id}"}"""
    cancel = """
POST {submit}
X-Amz-Target: AmazonAthena.StopQueryExecution
Content-Type: application/x-amz-json-1.1

{"QueryExecutionId": "{id}"}"""
    state = ["/QueryExecution/Status/State"]
    error_message = ["/QueryExecution/Status/StateChangeReason"]
    default_interval = 0.25
    final_state_via = "operation"
    result = []
"#;

/// Names the service, as a signature does.
struct Unchecked;

impl Sign for Unchecked {
    fn sign(&self, _: &Request, headers: &mut HeaderMap) -> Result<(), Box<dyn Error + Send + Sync>> {
        let text =
            "AWS4-HMAC-SHA256 Credential=id/20300101/us-east-1/athena/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert("authorization", HeaderValue::from_static(text));
        Ok(())
    }
}

fn client(server: &Server) -> Client {
    let profile: Profile = toml::from_str(ATHENA).unwrap();
    let client = Client::builder(&server.url).profile(profile).credential(Credential::signed(Unchecked));
    client.no_proxy().build().unwrap()
}

fn query(client: &Client) -> longhaul::TaskBuilder {
    let body = json!({"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "s3://bucket/out/"}});
    let task = client.task().post("/").header("x-amz-target", "AmazonAthena.StartQueryExecution");
    task.body(body.to_string(), "application/x-amz-json-1.1")
}

/// Lets a query take this many polls for each state.
async fn slow_down(server: &Server) {
    let transition = json!({"model_name": "athena::execution", "transition": {"progression": "manual", "times": 2}});
    let set = reqwest::Client::builder().no_proxy().build().unwrap();
    let set = set.post(format!("{}/moto-api/state-manager/set-transition", server.url)).body(transition.to_string());
    assert!(set.send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn a_query_is_polled_by_another_action_than_it_was_submitted_by() {
    let Some(server) = Server::start("aws.py") else { return };
    slow_down(&server).await;
    let mut task = query(&client(&server)).submit::<Value>().await.unwrap();
    let id = task.id().unwrap();
    let mut words = Vec::new();
    let mut updates = task.updates();
    while let Some(update) = updates.try_next().await.unwrap() {
        words.extend(update.word().map(str::to_owned));
    }
    words.dedup();
    assert_eq!(words, ["QUEUED", "RUNNING", "SUCCEEDED"]);
    let document = task.await.unwrap().value().unwrap();
    assert_eq!(document["QueryExecution"]["QueryExecutionId"], id);
    assert_eq!(
        document["QueryExecution"]["ResultConfiguration"]["OutputLocation"],
        format!("s3://bucket/out/{id}.csv")
    );
}

#[tokio::test]
async fn a_query_is_canceled_by_a_third_action() {
    let Some(server) = Server::start("aws.py") else { return };
    slow_down(&server).await;
    let task = query(&client(&server)).submit::<Value>().await.unwrap();
    task.handle().cancel().await.unwrap();
    let error = task.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskCanceled, "{error}");
}

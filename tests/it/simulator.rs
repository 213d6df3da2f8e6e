//! The simulated service, seen from outside: plain HTTP, nothing of our own client.

mod door;
mod limits;
mod storage;
mod tasks;
mod tokens;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use longhaul::testing::{Finish, Seen, Side, Simulator, SimulatorBuilder};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::MINUTE;

const KEY: &str = "Ocp-Apim-Subscription-Key";

/// A simulator and a bare client of it.
struct Bench {
    service: Simulator,
    http: Client,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn bench(builder: SimulatorBuilder) -> Bench {
    Bench { service: builder.start().await.unwrap(), http: bare() }
}

fn bare() -> Client {
    let builder = Client::builder().no_proxy().retry(reqwest::retry::never());
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Tasks that are finished as soon as they are submitted.
fn quick() -> SimulatorBuilder {
    Simulator::builder().task_duration(Duration::ZERO)
}

async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

impl Bench {
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, self.service.url().join(path).unwrap())
            .bearer_auth(self.service.bearer())
            .header(KEY, self.service.subscription_key())
    }

    async fn get(&self, path: &str) -> Reply {
        send(self.call(Method::GET, path)).await
    }

    async fn submit(&self, body: Value) -> String {
        let reply = send(self.call(Method::POST, "exports").body(body.to_string())).await;
        assert!(reply.status.is_success(), "{reply:?}");
        reply.json()["TaskUid"].as_str().unwrap().to_owned()
    }

    async fn poll(&self, uid: &str) -> Reply {
        self.get(&format!("tasks/{uid}")).await
    }

    /// A fresh signed link to the result of a finished task.
    async fn link(&self, uid: &str) -> String {
        let reply = self.get(&format!("results/{uid}")).await;
        reply.json()["Result"].as_str().unwrap().to_owned()
    }

    fn fetch(&self, link: &str) -> RequestBuilder {
        self.http.get(link)
    }

    /// What arrives of a body, and whether it is all.
    async fn read(&self, link: &str, from: usize) -> (Vec<u8>, bool) {
        let request = self.fetch(link).header("Range", format!("bytes={from}-"));
        let mut response = request.send().await.unwrap();
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return (bytes, true),
                Err(_) => return (bytes, false),
            }
        }
    }
}

//! The simulated services of single vendors, seen from outside: plain HTTP, nothing of our own client.

mod aprimo;
mod constant_contact;
mod genesys;
mod sitecore_send;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn bare() -> Client {
    let builder = Client::builder().no_proxy().retry(reqwest::retry::never());
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap(),
    }
}

fn form(request: RequestBuilder, body: String) -> RequestBuilder {
    request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

//! Headers that belong to the connection, from everybody who can set one.

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use longhaul::credentials::{Sign, Token, TokenEndpoint, TokenError, TokenSource};
use longhaul::http::Request;
use longhaul::testing::{reply, script};
use longhaul::{Client, Credential, Error, ErrorKind, OAuth};
use serde_json::Value;

use super::{accepted, client};

const RESERVED: [&str; 12] = [
    "content-length",
    "Transfer-Encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "proxy-authorization",
    "Proxy-Connection",
    "expect",
    "HOST",
    "proxy-anything",
];

fn is_refused(error: &Error, kind: ErrorKind, name: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{name}: {text}");
    assert!(text.contains(&format!("`{}`", name.to_ascii_lowercase())), "{name}: {text}");
    assert!(text.contains("connection"), "{name}: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_callers_header_of_the_connection_is_refused_by_name() {
    let service = script([]);
    let client = client(&service);
    for name in RESERVED {
        let call = client.request(Method::GET, "farms").header(name, "7").send().await.unwrap_err();
        let task = client.task().post("x").header(name, "7").submit::<Value>().await.unwrap_err();
        let plain = client.task().post("x").plain_header(name, "7").submit::<Value>().await.unwrap_err();
        let secret = client.task().post("x").secret_header(name, "7").submit::<Value>().await.unwrap_err();
        let key = client.task().post("x").idempotency_key_in(name, "7").submit::<Value>().await.unwrap_err();
        for error in [call, task, plain, secret, key] {
            is_refused(&error, ErrorKind::Request, name);
        }
    }
    assert!(service.requests().is_empty(), "nothing was sent");
}

#[test]
fn a_credential_in_a_connection_header_is_refused_at_build() {
    let oauth = || OAuth::client_credentials("https://login.example.com/token", "me", "s3cret");
    for name in RESERVED {
        for credential in [
            Credential::api_key_header(name, "K3Y"),
            Credential::bearer("T0KEN").and(Credential::api_key_header(name, "K3Y")),
            Credential::oauth(oauth().token_header(name, "Bearer")),
            Credential::oauth(oauth().header(name, "K3Y")),
        ] {
            let error = Client::builder("https://api.example.com").credential(credential).build().unwrap_err();
            is_refused(&error, ErrorKind::Config, name);
        }
    }
}

struct Signs(&'static str);

impl Sign for Signs {
    fn sign(&self, _: &Request, headers: &mut HeaderMap) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        headers.insert(HeaderName::try_from(self.0)?, HeaderValue::from_static("evil.example"));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_sets_a_connection_header_sends_nothing() {
    for name in RESERVED {
        let service = script([reply(200)]);
        let client = service.client().credential(Credential::signed(Signs(name))).build().unwrap();
        let error = client.request(Method::GET, "farms").send().await.unwrap_err();
        is_refused(&error, ErrorKind::Request, name);
        assert!(service.requests().is_empty(), "{name}");
    }
    let service = script([reply(200)]);
    let client = service.client().credential(Credential::signed(Signs("x-signature"))).build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap();
    assert_eq!(service.requests()[0].header("x-signature"), Some("evil.example"));
}

#[derive(Debug)]
struct Asks(&'static str);

impl TokenSource for Asks {
    fn fetch<'a>(
        &'a self,
        _: Option<&'a Token>,
        endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(async move {
            let request = http::Request::get("https://login.example.com/token").header(self.0, "evil.example");
            let request = request.body(bytes::Bytes::new()).map_err(TokenError::failed)?;
            endpoint.send(request).await?;
            Ok(endpoint.token("T0KEN"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_sets_a_connection_header_sends_nothing() {
    for name in ["host", "Content-Length", "transfer-encoding", "proxy-authorization"] {
        let service = script([reply(200), reply(200)]);
        let client = service.client().credential(Credential::source(Asks(name))).build().unwrap();
        let error = client.request(Method::GET, "farms").send().await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&format!("`{}`", name.to_ascii_lowercase())), "{shown}");
        assert!(service.requests().is_empty(), "{name}");
    }
    let service = script([reply(200), reply(200)]);
    let client = service.client().credential(Credential::source(Asks("metadata"))).build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap();
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_headers_go_as_they_are() {
    let service = script([accepted(), reply(200)]);
    let headers =
        [("Accept", "text/csv"), ("Content-Language", "de"), ("X-Host", "a"), ("Test", "b"), ("Trailers", "c")];
    let new = headers.iter().fold(client(&service).task().post("x"), |new, (name, value)| new.header(*name, *value));
    new.submit::<Value>().await.unwrap().await.unwrap();
    for seen in service.requests() {
        for (name, value) in headers {
            assert_eq!(seen.header(name), Some(value), "{name}");
        }
    }
}

//! No secret at any level of what is logged, in no file and no text.
//!
//! Alone in its process: it listens to all threads, with the one subscriber that a process can have for them.

#![cfg(test)]

use std::time::Duration;

use futures::StreamExt;
use http::{Method, StatusCode};
use longhaul::credentials::{CredentialStore, FileStore};
use longhaul::testing::{self, Simulator, TokenTrouble};
use longhaul::{Credential, OAuth};
use serde_json::{Value, json};

use log::{Log, subscriber};

#[path = "it/support/log.rs"]
mod log;

#[tokio::test]
async fn no_secret_shows_at_any_level() {
    // For all threads and tasks: a refresh has one of its own.
    let log = Log::default();
    tracing::subscriber::set_global_default(subscriber(&log)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let service = Simulator::builder().tokens(Duration::from_secs(3600)).hint_on_submit(true).start().await.unwrap();
    let store = FileStore::encrypted(folder.path().join("token"), [7; 32]);
    let oauth = OAuth::authorization_code(
        "https://l.example/authorize",
        service.token_url(),
        service.client_id(),
        "http://localhost/",
    )
    .client_secret(service.client_secret())
    .store(store.clone())
    .revoke_at(service.revoke_url());
    let mut secrets =
        vec![service.client_secret().to_owned(), service.subscription_key().to_owned(), "sig=".to_owned()];
    let mut shown = String::new();
    let telling = async {
        let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
        let client = testing::client(&service).credential(Credential::oauth(oauth.clone()).and(key)).build().unwrap();
        let mut events = client.events();
        let login = oauth.login().unwrap();
        let query: std::collections::HashMap<_, _> = login.url().query_pairs().into_owned().collect();
        let code = service.authorize("http://localhost/", &query["code_challenge"]);
        secrets.extend([login.state().to_owned(), code.clone()]);
        let back = format!("/?code={code}&state={}", login.state());
        shown += &format!("{login:?} {oauth:?} {store:?}");
        client.log_in(login, back).await.unwrap();
        for trouble in [None, Some(TokenTrouble::Denied(StatusCode::OK, "server_error")), Some(TokenTrouble::NotJson)] {
            let token = store.load().await.unwrap().unwrap();
            shown += &format!("{token:?}");
            secrets.extend([token.expose().to_owned(), token.expose_refresh().unwrap().to_owned()]);
            if let Some(trouble) = trouble {
                service.token_trouble(1, trouble);
            }
            service.void_tokens();
            match client.request(Method::GET, "farms").send().await {
                Ok(response) => shown += &format!("{response:?}"),
                Err(error) => {
                    shown += &format!("{error} {error:?} {error:#?}");
                    tokio::time::sleep(Duration::from_millis(1100)).await;
                    client.request(Method::GET, "farms").send().await.unwrap();
                }
            }
        }
        let task = client.task().post("exports").json(&json!({"size": 1000})).submit::<Value>().await.unwrap();
        let outcome = task.await.unwrap();
        outcome.download().to_file(folder.path().join("result")).await.unwrap();
        let token = store.load().await.unwrap().unwrap();
        secrets.extend([token.expose().to_owned(), token.expose_refresh().unwrap().to_owned()]);
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            shown += &String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap());
        }
        service.void_logins();
        let error = client.request(Method::GET, "farms").send().await.unwrap_err();
        shown += &format!("{error} {error:?} {client:?} {:?} {outcome:?}", client.stats());
        client.revoke().await.unwrap();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(10), events.next()).await {
            shown += &format!("{event:?}");
        }
    };
    telling.await;
    let text = log.text();
    assert!(
        text.contains("hyper") && text.contains("token refreshed") && text.contains("refresh{credential=\"oauth\"}"),
        "all is listened to: {text}"
    );
    for secret in &secrets {
        assert!(secret.len() > 3);
        for (place, text) in [("log", &text), ("text", &shown)] {
            if let Some(at) = text.find(secret.as_str()) {
                panic!("`{secret}` in the {place}: {}", &text[at.saturating_sub(300)..(at + 100).min(text.len())]);
            }
        }
    }
}

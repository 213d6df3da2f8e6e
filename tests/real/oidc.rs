//! Against a certified identity provider (oidc-provider, for node): clients, logins, rotation, logout.
//!
//! `tests/run.sh` installs it, and names node in the environment; without it these tests are skipped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use futures::future::join_all;
use http::Method;
use longhaul::credentials::{CredentialStore, MemoryStore, Token};
use longhaul::{Client, Credential, ErrorKind, OAuth};
use reqwest::header;
use serde_json::{Value, json};

const SECRET: &str = "a secret: 50% of it/longer+than most";
const BACK: &str = "http://127.0.0.1:9/callback";

/// The provider, and an API that takes its tokens. It ends with its standard input.
struct Provider {
    process: Child,
    /// What it says; it dies of a closed pipe.
    _said: BufReader<ChildStdout>,
    url: String,
}

impl Provider {
    /// `None` where there is no node.
    fn start() -> Option<Self> {
        let node = std::env::var_os("LONGHAUL_OIDC_NODE")?;
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/oidc.mjs");
        let mut node = Command::new(node);
        let node = node.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = node.spawn().unwrap();
        let mut url = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "the provider did not come up");
        Some(Self { process, _said: said, url: url.trim().to_owned() })
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A client of the API.
    fn client(&self, oauth: OAuth) -> Client {
        let client = Client::builder(self.at("/api")).credential(Credential::oauth(oauth)).no_proxy();
        client.limit(longhaul::Limit::per_second(100).scope(longhaul::limits::Scope::TokenEndpoint)).build().unwrap()
    }

    fn machine(&self, id: &str, secret: &str) -> OAuth {
        OAuth::client_credentials(self.at("/token"), id, secret)
    }

    fn login(&self, id: &str, store: &MemoryStore) -> OAuth {
        OAuth::authorization_code(self.at("/auth"), self.at("/token"), id, BACK)
            .scope("openid offline_access")
            .store(store.clone())
            .revoke_at(self.at("/token/revocation"))
    }

    /// How many requests for tokens there were, and how many requests with a token that was not good.
    async fn counts(&self) -> (u64, u64) {
        let counts = reqwest::get(self.at("/counts")).await.unwrap().bytes().await.unwrap();
        let counts: Value = serde_json::from_slice(&counts).unwrap();
        (counts["tokens"].as_u64().unwrap(), counts["unauthorized"].as_u64().unwrap())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A browser: it keeps cookies, and goes where it is sent, until that is the application.
async fn browse(url: &str) -> String {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let mut cookies = BTreeMap::new();
    let mut next = reqwest::Url::parse(url).unwrap();
    for _ in 0..12 {
        if next.as_str().starts_with(BACK) {
            return next.into();
        }
        let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = browser.get(next.clone()).header(header::COOKIE, jar.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let Some(location) = answer.headers().get(header::LOCATION) else {
            panic!("{next} answers {}", answer.status());
        };
        next = next.join(location.to_str().unwrap()).unwrap();
    }
    panic!("no end of redirects")
}

async fn get(client: &Client, path: &str) -> longhaul::Result<Value> {
    client.request(Method::GET, path).send().await?.json().await
}

#[tokio::test]
async fn a_program_in_its_own_name_has_one_token_for_all_requests() {
    let Some(provider) = Provider::start() else { return };
    let in_basic = provider.machine("machine", SECRET);
    let in_form = provider.machine("poster", SECRET).in_form();
    for (id, oauth) in [("machine", in_basic), ("poster", in_form)] {
        let client = provider.client(oauth);
        let (tokens, refused) = provider.counts().await;
        let answers = join_all((0..200).map(|_| get(&client, "farms"))).await;
        assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == json!({"client": id, "account": null})));
        assert_eq!(provider.counts().await, (tokens + 1, refused));

        // The provider forgets the token: one more, for all.
        get(&client, "end").await.unwrap();
        assert!(join_all((0..200).map(|_| get(&client, "farms"))).await.iter().all(Result::is_ok));
        let (tokens_then, refused_then) = provider.counts().await;
        assert_eq!(tokens_then, tokens + 2);
        assert!(refused_then > refused, "nobody met the end of the token");
        let stats = client.stats();
        assert_eq!((stats.refreshes(), stats.failed_refreshes()), (2, 0));
    }
}

#[tokio::test]
async fn a_login_lasts_over_rotations_and_clients_until_the_logout() {
    let Some(provider) = Provider::start() else { return };
    for (id, secret) in [("web", Some(SECRET)), ("desktop", None)] {
        let store = MemoryStore::new();
        let oauth = provider.login(id, &store);
        let oauth = secret.into_iter().fold(oauth, OAuth::client_secret);
        let client = provider.client(oauth.clone());
        assert!(get(&client, "farms").await.unwrap_err().needs_login());

        let login = oauth.login().unwrap();
        let back = browse(login.url().as_str()).await;
        client.log_in(login, &back).await.unwrap();
        assert_eq!(get(&client, "farms").await.unwrap(), json!({"client": id, "account": "farmer"}));

        // Each refresh token is good once: the provider ends the login of one who brings an old one.
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(refresh_token(&store).await);
            get(&client, "end").await.unwrap();
            assert_eq!(get(&client, "farms").await.unwrap()["account"], "farmer");
        }
        seen.push(refresh_token(&store).await);
        seen.dedup();
        assert_eq!(seen.len(), 4, "no rotation");

        // As after a restart.
        drop(client);
        let client = provider.client(oauth.clone());
        assert_eq!(get(&client, "farms").await.unwrap()["account"], "farmer");

        let last = seen.pop().unwrap();
        client.revoke().await.unwrap();
        assert!(store.load().await.unwrap().is_none());
        assert!(get(&client, "farms").await.unwrap_err().needs_login());

        // It is void at the provider, not only here.
        store.save(Some(Token::new("void").refreshed_by(last))).await.unwrap();
        let error = get(&provider.client(oauth), "farms").await.unwrap_err();
        assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{error}");
        assert_eq!(error.fault().unwrap().code(), Some("invalid_grant"));
    }
}

#[tokio::test]
async fn a_spent_refresh_token_logs_out_and_says_so() {
    let Some(provider) = Provider::start() else { return };
    let store = MemoryStore::new();
    let oauth = provider.login("desktop", &store);
    let client = provider.client(oauth.clone());
    let login = oauth.login().unwrap();
    let back = browse(login.url().as_str()).await;
    client.log_in(login, &back).await.unwrap();
    let spent = refresh_token(&store).await;
    get(&client, "end").await.unwrap();
    get(&client, "farms").await.unwrap();

    // Another program, with a copy of the login.
    let copy = MemoryStore::new();
    copy.save(Some(Token::new("void").refreshed_by(spent))).await.unwrap();
    let other = provider.client(provider.login("desktop", &copy));
    let error = get(&other, "farms").await.unwrap_err();
    assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{error}");
    // The provider has ended the whole login: a copy was about.
    let error = get(&client, "farms").await.unwrap_err();
    assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{error}");
}

#[tokio::test]
async fn refusals_of_a_provider_are_told_apart() {
    let Some(provider) = Provider::start() else { return };
    let error = get(&provider.client(provider.machine("machine", "wrong secret")), "farms").await.unwrap_err();
    assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, false), "{error}");
    assert_eq!(error.fault().unwrap().code(), Some("invalid_client"));
    assert!(!format!("{error} {error:?}").contains("wrong secret"));

    // A code is good once, and for the login that asked for it.
    let store = MemoryStore::new();
    let oauth = provider.login("desktop", &store);
    let client = provider.client(oauth.clone());
    let (one, other) = (oauth.login().unwrap(), oauth.login().unwrap());
    let back = browse(one.url().as_str()).await;
    let error = client.log_in(other, &back).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenRefused, "{error}");
    client.log_in(one, &back).await.unwrap();
    assert_eq!(get(&client, "farms").await.unwrap()["account"], "farmer");
}

async fn refresh_token(store: &MemoryStore) -> String {
    store.load().await.unwrap().unwrap().expose_refresh().unwrap().to_owned()
}

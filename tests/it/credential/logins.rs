//! Logins where something goes wrong: sources that panic, stores that hang, endpoints that are down, clocks that differ.

mod bodies;
mod fetching;
mod fleet;
mod logouts;
mod refusals;
mod rests;
mod road;
mod runtimes;
mod saving;
mod words;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use longhaul::credentials::{CredentialStore, StoreError, Token, TokenEndpoint, TokenError, TokenSource};
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::limits::{Clock, Priority, Scope};
use longhaul::testing::{Canned, reply, script};
use longhaul::{Client, ClientBuilder, Credential, Limit, OAuth};
use serde_json::json;
use url::Url;

use crate::support::{HOUR, MINUTE, SECOND};

const ENDPOINT: &str = "https://login.example.com/token";
const REVOKE: &str = "https://login.example.com/revoke";

/// What time it is when a service begins.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + 525_600 * HOUR
}

/// A service that makes its answers as it is asked, and keeps what it was asked. Its clock is that of its clients.
#[derive(Clone)]
struct Service {
    answer: Arc<dyn Fn(&Asked) -> Canned + Send + Sync>,
    asked: Arc<Mutex<Vec<Asked>>>,
    clock: Clock,
}

/// A request, and how many went to its path before.
#[derive(Clone, Debug)]
struct Asked {
    url: Url,
    headers: HeaderMap,
    body: String,
    class: Priority,
    nth: usize,
}

impl Asked {
    fn is_for_token(&self) -> bool {
        self.class == Priority::Token && self.url.path() == "/token"
    }

    /// Of the API, or of a revocation.
    fn token(&self) -> &str {
        let value = self.headers.get("authorization").and_then(|value| value.to_str().ok());
        value.unwrap_or_default().trim_start_matches("Bearer ")
    }

    fn refresh_token(&self) -> &str {
        self.body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap_or_default()
    }
}

fn service(answer: impl Fn(&Asked) -> Canned + Send + Sync + 'static) -> Service {
    Service { answer: Arc::new(answer), asked: Arc::default(), clock: Clock::starting_at(start()) }
}

/// Its API takes every token; these are the answers for tokens.
fn endpoint(answer: impl Fn(&Asked) -> Canned + Send + Sync + 'static) -> Service {
    service(move |asked| if asked.is_for_token() { answer(asked) } else { reply(200) })
}

/// Each refresh token is good once: `R0` gives `A1` and `R1`, and so on.
fn rotating() -> Service {
    endpoint(|asked| match asked.refresh_token() == format!("R{}", asked.nth) {
        true => token(&format!("A{}", asked.nth + 1), &format!("R{}", asked.nth + 1), 3600),
        false => denied("invalid_grant"),
    })
}

fn token(access: &str, refresh: &str, life: u64) -> Canned {
    reply(200).json(json!({"access_token": access, "refresh_token": refresh, "expires_in": life}))
}

fn denied(code: &str) -> Canned {
    reply(400).json(json!({"error": code}))
}

impl Service {
    /// A client that logs in so.
    fn client(&self, oauth: OAuth) -> Client {
        self.builder(Credential::oauth(oauth)).build().unwrap()
    }

    fn builder(&self, credential: Credential) -> ClientBuilder {
        let builder = script([]).client().http(self.clone()).storage_http(self.clone()).clock(self.clock);
        // Not one at a time, or nothing would meet at the endpoint.
        builder.credential(credential).limit(Limit::per_second(1000).scope(Scope::TokenEndpoint))
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn at(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.url.path() == path).collect()
    }

    /// How many requests for a token there were.
    fn fetches(&self) -> usize {
        self.at("/token").len()
    }

    /// The refresh tokens that it was shown.
    fn shown(&self) -> Vec<String> {
        self.at("/token").iter().map(|asked| asked.refresh_token().to_owned()).collect()
    }

    /// The token on the last request.
    fn last_token(&self) -> String {
        self.asked().last().unwrap().token().to_owned()
    }
}

impl Http for Service {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let asked = Asked {
            url: request.url().clone(),
            headers: request.headers().clone(),
            body: String::from_utf8_lossy(request.body()).into_owned(),
            class: request.priority(),
            nth: self.at(request.url().path()).len(),
        };
        self.asked.lock().unwrap().push(asked.clone());
        script([(self.answer)(&asked)]).send(request)
    }
}

/// A program in its own name.
fn program() -> OAuth {
    OAuth::client_credentials(ENDPOINT, "id", "secret")
}

/// A user who logged in elsewhere.
fn user() -> OAuth {
    OAuth::refresh_only(ENDPOINT, "id")
}

/// An access token of an hour's life that has so much left, and `R0` beside it.
fn old(access: &str, left: Duration) -> Token {
    let millis = |moment: SystemTime| moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let expires_at = millis(start() + left);
    let (obtained_at, expires_at) = (expires_at - HOUR.as_millis(), expires_at);
    let written = format!(
        r#"{{"access": "{access}", "refresh": "R0", "obtained_at": {obtained_at}, "expires_at": {expires_at}}}"#
    );
    Token::from_json(&written).unwrap()
}

/// One that is over.
fn spent() -> Token {
    old("A0", Duration::ZERO)
}

async fn get(client: &Client, path: &str) -> longhaul::Result<StatusCode> {
    client.request(Method::GET, path).send().await.map(|response| response.status())
}

async fn farms(client: &Client) -> longhaul::Result<StatusCode> {
    get(client, "farms").await
}

/// A store that does what it is told.
#[derive(Clone, Default)]
struct Vault(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    kept: Option<Token>,
    manner: Manner,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Manner {
    #[default]
    Works,
    /// What it has is not given.
    IsUnreadable,
    /// Nothing is kept.
    IsFull,
    Hangs,
    Panics,
    /// It takes a second to save.
    IsSlow,
}

impl Vault {
    fn with(token: Token) -> Self {
        let vault = Self::default();
        vault.put(token);
        vault
    }

    fn put(&self, token: Token) {
        self.0.lock().unwrap().kept = Some(token);
    }

    fn behaves(&self, manner: Manner) {
        self.0.lock().unwrap().manner = manner;
    }

    fn kept(&self) -> Option<Token> {
        self.0.lock().unwrap().kept.clone()
    }

    fn manner(&self) -> Manner {
        self.0.lock().unwrap().manner
    }

    /// The refresh token that it has.
    fn refresh_token(&self) -> Option<String> {
        self.kept()?.expose_refresh().map(str::to_owned)
    }
}

impl CredentialStore for Vault {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        Box::pin(async {
            match self.manner() {
                Manner::IsUnreadable => Err("the database is down".into()),
                _ => Ok(self.kept()),
            }
        })
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            match self.manner() {
                Manner::IsFull => return Err("the disk is full".into()),
                Manner::Hangs => std::future::pending().await,
                Manner::Panics => panic!("the store panics"),
                Manner::IsSlow => tokio::time::sleep(SECOND).await,
                Manner::Works | Manner::IsUnreadable => {}
            }
            self.0.lock().unwrap().kept = token;
            Ok(())
        })
    }
}

/// A source by a function, and how often it was asked.
#[derive(Clone)]
struct Own<F> {
    fetch: F,
    asked: Arc<Mutex<usize>>,
}

fn own<F: Fn(usize, &TokenEndpoint) -> Result<Token, TokenError>>(fetch: F) -> Own<F> {
    Own { fetch, asked: Arc::default() }
}

impl<F> Own<F> {
    fn times(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl<F> TokenSource for Own<F>
where
    F: Fn(usize, &TokenEndpoint) -> Result<Token, TokenError> + Send + Sync + 'static,
{
    fn fetch<'a>(
        &'a self,
        _: Option<&'a Token>,
        endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(async move {
            let nth = {
                let mut asked = self.asked.lock().unwrap();
                *asked += 1;
                *asked - 1
            };
            (self.fetch)(nth, endpoint)
        })
    }
}

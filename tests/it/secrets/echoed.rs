//! A property: whatever a service is sent, and however it writes it when it repeats it, none of it shows.
//!
//! `LONGHAUL_LONG=1` runs more cases.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures::{FutureExt, Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Method};
use longhaul::credentials::{Sign, StoreError, Token};
use longhaul::http::Request;
use longhaul::limits::Scope;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, Credential, Error, Event, Limit, OAuth, Profile, RetryPolicy, SecretUrl, Throttle};
use percent_encoding::utf8_percent_encode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::forms::{FORMS, Form, UNRESERVED, lower};
use crate::support;
use crate::support::callsites::listen;
use crate::support::log::Log;

/// How many cases of each property.
fn cases() -> u32 {
    if std::env::var_os("LONGHAUL_LONG").is_some() { 4000 } else { 60 }
}

/// Secrets that are no part of any text of this crate, of the characters that each kind may hold.
fn secret(characters: &'static str) -> impl Strategy<Value = String> {
    proptest::string::string_regex(&format!("Z[{characters}]{{14,30}}q9")).unwrap()
}

/// Where a secret is put.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Bearer,
    HeaderKey,
    SchemeKey,
    QueryKey,
    Password,
    ClientSecret,
    ClientSecretInForm,
    Param,
    TokenHeader,
    JsonBody,
    Access,
    Refresh,
    Signed,
    SignedParameter,
    SecretHeader,
    NamedHeader,
    Query,
}

const KINDS: [Kind; 17] = [
    Kind::Bearer,
    Kind::HeaderKey,
    Kind::SchemeKey,
    Kind::QueryKey,
    Kind::Password,
    Kind::ClientSecret,
    Kind::ClientSecretInForm,
    Kind::Param,
    Kind::TokenHeader,
    Kind::JsonBody,
    Kind::Access,
    Kind::Refresh,
    Kind::Signed,
    Kind::SignedParameter,
    Kind::SecretHeader,
    Kind::NamedHeader,
    Kind::Query,
];

/// Puts this header on each request.
struct Signature(String);

impl Sign for Signature {
    fn sign(&self, _request: &Request, headers: &mut HeaderMap) -> Result<(), StoreError> {
        headers.insert("x-proof", HeaderValue::from_str(&self.0)?);
        Ok(())
    }
}

const ENDPOINT: &str = "https://login.example.com/token";

impl Kind {
    fn is_fetched(self) -> bool {
        use Kind::{Access, ClientSecret, ClientSecretInForm, JsonBody, Param, Refresh, TokenHeader};
        matches!(self, ClientSecret | ClientSecretInForm | Param | TokenHeader | JsonBody | Access | Refresh)
    }

    fn credential(self, secret: &str) -> Credential {
        let program = || OAuth::client_credentials(ENDPOINT, "my-id", "nothing-of-it");
        match self {
            Self::Bearer => Credential::bearer(secret),
            Self::HeaderKey => Credential::api_key_header("x-key", secret),
            Self::SchemeKey => Credential::api_key_header("authorization", format!("ApiKey {secret}")),
            Self::QueryKey => Credential::api_key_query("apikey", secret),
            Self::Password => Credential::basic("user", secret),
            Self::ClientSecret => Credential::oauth(OAuth::client_credentials(ENDPOINT, "my-id", secret)),
            Self::ClientSecretInForm => {
                Credential::oauth(OAuth::client_credentials(ENDPOINT, "my-id", secret).in_form())
            }
            Self::Param => Credential::oauth(program().param("assertion", secret)),
            Self::TokenHeader => Credential::oauth(program().header("x-key", secret)),
            Self::JsonBody => Credential::oauth(OAuth::json(ENDPOINT, &json!({"user": {"password": [secret]}}))),
            Self::Access | Self::Refresh => Credential::oauth(program()),
            Self::Signed => Credential::signed(Signature(secret.to_owned())),
            Self::SignedParameter => Credential::signed(Signature(format!("HMAC id=\"me\", mac=\"{secret}\""))),
            Self::SecretHeader | Self::NamedHeader | Self::Query => Credential::bearer("nothing-of-it"),
        }
    }

    fn token(self, secret: &str) -> Canned {
        let (access, refresh) = match self {
            Self::Access => (secret, "nothing-of-it"),
            Self::Refresh => ("nothing-of-it", secret),
            _ => ("nothing-of-it", "nothing-of-it"),
        };
        reply(200).json(json!({"access_token": access, "refresh_token": refresh, "expires_in": 3600}))
    }
}

/// Where in an answer the secret comes back.
#[derive(Clone, Copy, Debug)]
enum Place {
    Message,
    Code,
    Nested,
    CorrelationId,
    Text,
    Word,
    Headers,
    RetryAfter,
    Budgets,
    LinkQuery,
    Value,
}

const PLACES: [Place; 11] = [
    Place::Message,
    Place::Code,
    Place::Nested,
    Place::CorrelationId,
    Place::Text,
    Place::Word,
    Place::Headers,
    Place::RetryAfter,
    Place::Budgets,
    Place::LinkQuery,
    Place::Value,
];

impl Place {
    fn answer(self, status: u16, said: &str) -> Canned {
        match self {
            Self::Message => reply(status).json(json!({"error": {"message": said}, "Status": "failed"})),
            Self::Code => reply(status).json(json!({"code": said, "message": "no", "Status": "failed"})),
            Self::Nested => reply(status).json(json!({"errors": [{"code": said, "message": said}]})),
            Self::CorrelationId => reply(status).json(json!({"correlationId": said, "message": said})),
            Self::Text => reply(status).body(format!("no: {said}")),
            Self::Word => reply(status).json(json!({"Status": said, "status": said, "id": said})),
            Self::Headers => {
                let answer = reply(status).header("x-request-id", said).header("x-ms-error-code", said);
                answer.header("x-ms-request-id", said)
            }
            Self::RetryAfter => reply(status).header("retry-after", said).header("x-ms-retry-after-ms", said),
            Self::Budgets => {
                let answer = reply(status).header("x-ratelimit-reset", said).header("ratelimit", said);
                answer.header("x-ratelimit-remaining-minute", said)
            }
            Self::LinkQuery => reply(status).json(json!({"message": format!("see https://a.example/b?x={said}")})),
            Self::Value => reply(status).json(json!(said)),
        }
    }
}

/// All that can be read of an error, but for the raw body.
fn of_error(error: &Error) -> String {
    let mut text = format!("{}{:?} {:?}", support::shown(error), error.explain(), error.last_update());
    if let Some(fault) = error.fault() {
        text += &format!(" {fault} {fault:?} {:?} {:?} {:?}", fault.code(), fault.message(), fault.correlation_id());
        text += &format!(
            " {} {} {}",
            fault.code().unwrap_or_default(),
            fault.message().unwrap_or_default(),
            fault.correlation_id().unwrap_or_default()
        );
    }
    text
}

fn of_events(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    let mut text = String::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        write!(text, "{event} {event:?} {event:#?} ").unwrap();
    }
    text
}

/// What shows of a client whose service repeats the secret at this place: with its first answer, or with a later one.
async fn shown(kind: Kind, place: Place, status: u16, secret: &str, said: &str) -> String {
    let mut text = String::new();
    let throttle = Throttle::new();
    let of = |service: &Script| -> Client {
        let limit = Limit::per_second(1000).scope(Scope::TokenEndpoint);
        let builder = service.client().throttle(&throttle).limit(limit).retry(RetryPolicy::none());
        builder.profile(Profile::smag_task()).credential(kind.credential(secret)).build().unwrap()
    };
    let token = || kind.is_fetched().then(|| kind.token(secret));
    let answer = || place.answer(status, said);
    let accepted = || reply(202).header("location", "/v1/tasks/7");
    let running = || place.answer(200, said);

    // A call; the token endpoint; a task that is submitted, polled, and fails; a value of another shape.
    let endpoint = || (0..5).map(|_| answer());
    let mut scripts: Vec<Vec<Canned>> = vec![
        token().into_iter().chain([answer(), answer()]).collect(),
        // A token that never came is known to nobody.
        if matches!(kind, Kind::Access | Kind::Refresh) { Vec::new() } else { endpoint().collect() },
    ];
    let polls = [accepted(), running(), answer(), answer(), answer(), answer()];
    scripts.push(token().into_iter().chain([answer(), answer()]).collect());
    // A key in the caller's own query goes with the submit alone: no poll can repeat it.
    if !matches!(kind, Kind::Query) {
        scripts.push(token().into_iter().chain(polls).collect());
    }
    for (at, answers) in scripts.into_iter().enumerate() {
        let service = script(answers);
        let client = of(&service);
        let (mut events, mut all) = (client.events(), throttle.events());
        if at < 2 {
            let mut call = client.request(Method::GET, "farms");
            match kind {
                Kind::NamedHeader | Kind::SecretHeader => call = call.header("x-session-token", secret),
                Kind::Query => call = call.query([("token", secret)]),
                _ => {}
            }
            match call.send().await {
                Err(error) => text += &of_error(&error),
                Ok(response) => match response.json::<u32>().await {
                    Err(error) => text += &of_error(&error),
                    Ok(number) => text += &number.to_string(),
                },
            }
        } else {
            let mut task = client.task().post("exports");
            match kind {
                Kind::SecretHeader => task = task.secret_header("x-of-its-own", secret),
                Kind::NamedHeader => task = task.header("x-session-token", secret),
                Kind::Query => task = task.query([("token", secret)]),
                _ => {}
            }
            match task.submit::<u32>().await {
                Err(error) => text += &of_error(&error),
                Ok(mut task) => {
                    let handle = task.handle();
                    while let Some(update) = task.advance().await {
                        match update {
                            Ok(update) => {
                                text += &format!("{update:?} {:?} {:?}", update.word(), update.warning());
                                text += update.word().unwrap_or_default();
                            }
                            Err(error) => text += &of_error(&error),
                        }
                        text += &format!("{} {task:?} {handle:?} {}", task.explain(), handle.explain());
                    }
                    match task.await {
                        Err(error) => text += &of_error(&error),
                        Ok(outcome) => {
                            text += &format!("{outcome:?}");
                            if let Err(error) = outcome.value() {
                                text += &of_error(&error);
                            }
                        }
                    }
                }
            }
        }
        text += &format!("{} {} {client:?} {:?}", of_events(&mut events), of_events(&mut all), client.stats());
        text += &client.summary().to_string();
    }
    text
}

/// Runs it on a paused clock, and gives what it shows with what it logs.
fn with_log(work: impl Future<Output = String>) -> String {
    let log = Log::default();
    let watched = listen(&log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let text = runtime.block_on(work);
    drop(watched);
    text + &log.text()
}

#[track_caller]
fn check(text: &str, secret: &str, form: Form, about: &str) -> Result<(), TestCaseError> {
    let mut marks: HashSet<String> = form.marks(secret).into_iter().collect();
    marks.extend([secret.to_owned(), STANDARD_NO_PAD.encode(secret)]);
    // `Debug` writes a text with quotes and backslashes once more.
    marks.extend(marks.clone().iter().map(|mark| mark.escape_debug().to_string()));
    for mark in marks {
        if let Some(at) = text.find(&mark) {
            let around: String = text[..at + mark.len()].chars().rev().take(300).collect();
            let around: String = around.chars().rev().collect();
            prop_assert!(false, "{mark} ({form:?} of {secret}, {about}) shows in: ..{around}");
        }
    }
    Ok(())
}

/// The characters that the kind may hold: a header's printable ones, and those of a body.
fn any_secret() -> impl Strategy<Value = String> {
    secret(r#"A-Za-z0-9+/=._~%&"'\\<>?#:;,{}|!$*()@-"#)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Every kind of secret, written in any form, at any place of an answer of any status.
    #[test]
    fn what_a_service_repeats_does_not_show(
        kind in prop::sample::select(&KINDS[..]),
        form in prop::sample::select(&FORMS[..]),
        place in prop::sample::select(&PLACES[..]),
        status in prop::sample::select(&[200_u16, 202, 400, 401, 403, 404, 410, 422, 429, 500, 503][..]),
        secret in any_secret(),
        before in "[a-z ]{0,12}",
        after in "[ .,;)]{1,2}[a-z ]{0,12}",
    ) {
        // Its quotes would end the parameter.
        prop_assume!(!matches!(kind, Kind::SignedParameter) || !secret.contains(['"', '\\']));
        let said = format!("{before} {}{after}", form.write(&secret));
        let text = with_log(shown(kind, place, status, &secret, &said));
        check(&text, &secret, form, &format!("{kind:?} {place:?} {status}"))?;
    }

    /// The code, the verifier and the state of a login, whatever answers it.
    #[test]
    fn what_a_login_repeats_does_not_show(
        form in prop::sample::select(&FORMS[..]),
        place in prop::sample::select(&PLACES[..]),
        status in prop::sample::select(&[200_u16, 400, 401, 403, 500][..]),
        code in any_secret(),
        which in 0..3_u8,
    ) {
        let mut secret = code.clone();
        let text = with_log(async {
            let oauth = OAuth::authorization_code("https://login.example.com/authorize", ENDPOINT, "my-id", "http://localhost/back")
                .client_secret("nothing-of-it");
            let login = oauth.login().unwrap();
            let redirected = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("state", login.state()).append_pair("code", &code).finish();
            if which == 1 {
                secret = login.state().to_owned();
                let said = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("state", login.state()).append_pair("code", &code)
                    .append_pair("error", &form.write(&secret)).append_pair("error_description", &form.write(&secret)).finish();
                let client = script([]).client().credential(Credential::oauth(oauth.clone())).build().unwrap();
                return of_error(&client.log_in(login, format!("/back?{said}")).await.unwrap_err());
            }
            // The verifier is known to the service by the form alone: it is read there.
            let answers: Arc<std::sync::Mutex<String>> = Arc::default();
            let http = Repeating { said: answers.clone(), form, place, status, verifier: which == 2, code: code.clone() };
            let client = script([]).client().http(http).credential(Credential::oauth(oauth.clone())).build().unwrap();
            let (mut events, mut all) = (client.events(), client.throttle().events());
            let mut text = match client.log_in(login, format!("/back?{redirected}")).await {
                Err(error) => of_error(&error),
                Ok(()) => String::new(),
            };
            // The API repeats them later.
            if let Err(error) = client.request(Method::GET, "farms").send().await {
                text += &of_error(&error);
            }
            text += &format!("{} {}", of_events(&mut events), of_events(&mut all));
            secret = answers.lock().unwrap().clone();
            text
        });
        check(&text, &secret, form, &format!("{which} {place:?} {status}"))?;
    }

    /// A storage that repeats what the link is signed with.
    #[test]
    fn what_a_storage_repeats_of_a_link_does_not_show(
        form in prop::sample::select(&FORMS[..]),
        place in prop::sample::select(&PLACES[..]),
        status in prop::sample::select(&[400_u16, 401, 403, 404, 410, 412, 429, 503][..]),
        name in prop::sample::select(&[
            "sig", "Sig", "X-Amz-Signature", "X-Amz-Security-Token", "X-Goog-Signature", "Signature", "token",
        ][..]),
        secret in secret("A-Za-z0-9+/=._~-"),
        is_lower in any::<bool>(),
        is_redirected in any::<bool>(),
    ) {
        let encoded = utf8_percent_encode(&secret, UNRESERVED).to_string();
        let encoded = if is_lower { lower(&encoded) } else { encoded };
        let link = format!("https://store.example.net/7.parquet?se=2030-01-01&{name}={encoded}&sig=other-signature");
        let text = with_log(async {
            let said = format!("wrong: {} it is", form.write(&secret));
            let mut answers: Vec<Canned> = (0..10).map(|_| place.answer(status, &said)).collect();
            if is_redirected {
                answers.insert(0, reply(307).header("location", &link));
            }
            let service = script(answers);
            let first = if is_redirected { "https://store.example.net/first?sig=another" } else { &link };
            let client = service.client().retry(RetryPolicy::none()).build().unwrap();
            let mut events = client.events();
            let parsed = SecretUrl::parse(first).unwrap();
            let error = client.download(parsed.expose()).to_memory(100).await.unwrap_err();
            format!("{} {parsed} {parsed:?} {}", of_error(&error), of_events(&mut events))
        });
        check(&text, &secret, form, &format!("{name} {place:?} {status} {is_redirected}"))?;
    }
}

/// A service that repeats the code of a login or its verifier, which it reads in the form that it gets.
#[derive(Clone)]
struct Repeating {
    said: Arc<std::sync::Mutex<String>>,
    form: Form,
    place: Place,
    status: u16,
    verifier: bool,
    code: String,
}

impl longhaul::http::Http for Repeating {
    fn send(
        &self,
        request: Request,
    ) -> futures::future::BoxFuture<'static, Result<longhaul::http::Response, longhaul::http::HttpError>> {
        let fields: std::collections::HashMap<String, String> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        if let Some(verifier) = fields.get("code_verifier") {
            *self.said.lock().unwrap() = if self.verifier { verifier.clone() } else { self.code.clone() };
        }
        let said = self.form.write(&self.said.lock().unwrap());
        let answer = self.place.answer(self.status, &format!("no: {said} it is"));
        longhaul::http::Http::send(&script([answer]), request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_refresh_token_does_not_show() {
    use longhaul::credentials::{CredentialStore, MemoryStore};

    for (status, given) in [(400, false), (401, true), (500, false), (429, true)] {
        let store = MemoryStore::new();
        let stored = Token::new("ST0RED-ACCESS").refreshed_by("ST0RED/REFRESH").expires_in(std::time::Duration::ZERO);
        store.save(Some(stored)).await.unwrap();
        let said = "ST0RED%2FREFRESH and ST0RED-ACCESS and ST0RED\\/REFRESH";
        let answers = (0..10)
            .map(|_| reply(status).header("ratelimit", said).json(json!({"error": said, "error_description": said})));
        let service = script(answers);
        let oauth = OAuth::refresh_only(ENDPOINT, "my-id").store(store);
        let oauth = if given { oauth.token(Token::new("GIVEN")) } else { oauth };
        let client = service.client().credential(Credential::oauth(oauth)).build().unwrap();
        let (mut events, mut all) = (client.events(), client.throttle().events());
        let error = client.request(Method::GET, "farms").send().await.unwrap_err();
        let text = format!("{} {} {}", of_error(&error), of_events(&mut events), of_events(&mut all));
        assert!(!text.contains("REFRESH") && !text.contains("ST0RED-ACCESS"), "{status}: {text}");
        assert!(text.contains("ignored ratelimit"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn long_words_and_odd_characters_are_one_short_line() {
    const JWT: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzb21lYm9keSJ9.c2ln";
    let said = format!("a\u{202e}b\u{2028}c {JWT} Cookie: sid=S3SSION; b=2 {}", "x".repeat(10_000));
    let long = || json!({"code": said, "message": said, "requestId": said, "Status": said, "error": said});
    let service = script([
        reply(400).json(long()),
        reply(202).header("location", "tasks/7").json(json!({"Status": said})),
        reply(400).json(long()),
    ]);
    let log = Log::default();
    let watched = listen(&log);
    let client = service.client().retry(RetryPolicy::none()).profile(Profile::smag_task()).build().unwrap();
    let error = client.request(Method::GET, "farms").send().await.unwrap_err();
    assert!(error.to_string().chars().count() < 1000, "{}", error.to_string().len());
    assert_eq!(error.fault().and_then(longhaul::Fault::message), Some(&*said), "the getter has all of it");
    let mut text = format!("{error} {error:?}");
    let task = client.task().post("exports").submit::<Value>().await.unwrap();
    text += &task.await.unwrap_err().to_string();
    drop(watched);
    text += &log.text();
    for mark in ["\u{202e}", "\u{2028}", "eyJ", "S3SSION", &"x".repeat(600)] {
        assert!(!text.contains(mark), "{mark}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_of_another_shape_shows_none_of_what_it_repeats() {
    use longhaul::Protocol;
    use longhaul::protocols::{PageRule, Source};

    for credential in [Credential::bearer("S3CRET/KEY"), Credential::signed(Signature("S3CRET/KEY".to_owned()))] {
        let service = script([
            reply(202).json(json!({"jobId": "j7"})),
            reply(200).json(json!({"state": "FULFILLED"})),
            reply(200).json(json!({"rows": ["the key S3CRET/KEY"]})),
        ]);
        let client = service.client().credential(credential).build().unwrap();
        let jobs = Protocol::auto()
            .status_template("jobs/{id}")
            .pages(PageRule::new("jobs/{id}/results", Source::pointer("/rows/*")));
        let task = client.task().protocol(jobs).post("jobs").submit::<()>().await.unwrap();
        let error = task.await.unwrap().pages::<u32>().next().await.unwrap().unwrap_err();
        let text = of_error(&error);
        assert!(text.contains("the key …") && !text.contains("S3CRET"), "{text}");
    }
}

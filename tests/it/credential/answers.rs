//! What a token endpoint can answer, and what becomes of each; how long a source is waited for; what a secret out of a
//! file is.

use std::future::pending;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::Method;
use longhaul::credentials::{CredentialStore, MemoryStore, Token, TokenEndpoint, TokenError, TokenSource};
use longhaul::limits::{Clock, Priority};
use longhaul::protocols::Source;
use longhaul::retries::EnvelopeRule;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, Credential, ErrorKind, OAuth, Profile};
use serde_json::{Value, json};

use crate::support::MINUTE;

const ENDPOINT: &str = "https://login.example.com/token";
const FORM: &str = "application/x-www-form-urlencoded";
/// Ten years of 366 days.
const LONGEST: u64 = 316_224_000;

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + 30_000_000 * MINUTE
}

fn client(service: &Script, oauth: OAuth) -> Client {
    service.client().clock(Clock::starting_at(start())).credential(Credential::oauth(oauth)).build().unwrap()
}

async fn farms(client: &Client) -> longhaul::Result<u16> {
    client.request(Method::GET, "farms").send().await.map(|response| response.status().as_u16())
}

fn program() -> OAuth {
    OAuth::client_credentials(ENDPOINT, "my-id", "my-secret")
}

fn user() -> OAuth {
    OAuth::refresh_only(ENDPOINT, "my-id").token(Token::new("OLD").refreshed_by("R0").expires_at(start()))
}

fn form(status: u16, body: &'static str) -> Canned {
    reply(status).header("content-type", FORM).body(body)
}

/// The access token that is used, its life in seconds, and the refresh token.
type Kept = (String, Option<u64>, Option<String>);

async fn kept(answer: Canned) -> Result<Kept, longhaul::Error> {
    let (service, store) = (script([answer, reply(200)]), MemoryStore::new());
    farms(&client(&service, program().store(store.clone()))).await?;
    let token = store.load().await.unwrap().unwrap();
    assert_eq!(service.requests()[1].header("authorization"), Some(&*format!("Bearer {}", token.expose())));
    let life = token.expiry().map(|expiry| expiry.duration_since(token.obtained_at()).unwrap().as_secs());
    Ok((token.expose().to_owned(), life, token.expose_refresh().map(str::to_owned)))
}

#[tokio::test(start_paused = true)]
async fn a_life_is_what_the_answer_says() {
    for (stated, life) in [
        (json!(3600), Some(3600)),
        (json!("3600"), Some(3600)),
        (json!(" 3600 "), Some(3600)),
        (json!(3600.9), Some(3600)),
        (json!("3.6e3"), Some(3600)),
        (json!(0), None),
        (json!("0"), None),
        (json!(0.0), None),
        (json!(-0.0), None),
        (json!(-5), None),
        (json!("-5"), None),
        (json!(1e-12), None),
        (json!(null), None),
        (json!(""), None),
        (json!(true), None),
        (json!(false), None),
        (json!("soon"), None),
        (json!("NaN"), None),
        (json!([3600]), None),
        (json!({"seconds": 3600}), None),
        (json!(u64::MAX), Some(LONGEST)),
        (json!(i64::MAX), Some(LONGEST)),
        (json!(1e300), Some(LONGEST)),
        (json!("1e999"), Some(LONGEST)),
        (json!("Infinity"), Some(LONGEST)),
        (json!(LONGEST + 1), Some(LONGEST)),
    ] {
        let answer = reply(200).json(json!({"access_token": "A", "expires_in": stated}));
        assert_eq!(kept(answer).await.unwrap(), ("A".to_owned(), life, None), "{stated}");
    }
    assert_eq!(kept(reply(200).json(json!({"access_token": "A"}))).await.unwrap().1, None);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_a_text_or_a_number_and_nothing_else() {
    for (stated, refresh) in [
        (json!("R"), Some("R")),
        (json!(" R\n"), Some("R")),
        (json!(12345), Some("12345")),
        (json!(false), None),
        (json!(true), None),
        (json!(null), None),
        (json!(""), None),
        (json!("  "), None),
        (json!("null"), None),
        (json!("False"), None),
        (json!([]), None),
        (json!({"value": "R"}), None),
    ] {
        let answer = reply(200).json(json!({"access_token": "A", "refresh_token": stated}));
        assert_eq!(kept(answer).await.unwrap().2.as_deref(), refresh, "{stated}");
        let access = kept(reply(200).json(json!({"access_token": stated, "error": ""}))).await;
        match refresh {
            Some(access_token) => assert_eq!(access.unwrap().0, access_token, "{stated}"),
            None => {
                let error = access.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TokenUnavailable, "{stated}: {error}");
                assert!(error.to_string().contains("no token at /access_token"), "{stated}: {error}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_is_none_leaves_the_one_before() {
    for stated in [json!(false), json!(null), json!(""), json!("undefined"), json!(0.5)] {
        let answer = json!({"access_token": "A", "refresh_token": stated, "expires_in": 60});
        let service = script([reply(200).json(answer), reply(200)]);
        let store = MemoryStore::new();
        farms(&client(&service, user().store(store.clone()))).await.unwrap();
        let expected = if stated.is_number() { "0.5" } else { "R0" };
        assert_eq!(store.load().await.unwrap().unwrap().expose_refresh(), Some(expected), "{stated}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_read_by_its_shape_and_content_type() {
    let json = r#"{"access_token":"A","expires_in":"60","refresh_token":"R"}"#;
    let fields = "access_token=A&expires_in=60&refresh_token=R&scope=a+b";
    let whole = ("A".to_owned(), Some(60), Some("R".to_owned()));
    for answer in [
        reply(200).body(json),
        reply(200).header("content-type", "text/html").body(json),
        // Some say a form and send JSON.
        reply(200).header("content-type", FORM).body(json),
        reply(201).header("content-type", "application/json").body(format!("\u{feff}{json}")),
        form(200, fields),
        reply(200).header("content-type", "Application/X-WWW-Form-URLencoded; charset=UTF-8").body(fields),
        form(200, "ACCESS_TOKEN=A&Expires_In=60&refresh_token=R\r\n"),
        form(200, "access_token=%41&expires_in=6%30&refresh_token=R&access_token=B"),
    ] {
        assert_eq!(kept(answer.clone()).await.unwrap(), whole, "{answer:?}");
    }
    assert_eq!(kept(form(200, "access_token=A&expires_in=0&refresh_token=false")).await.unwrap().1, None);
    for (answer, kind, words) in [
        (reply(200).body(fields), ErrorKind::TokenUnavailable, "no JSON"),
        (reply(200).header("content-type", "text/plain").body(fields), ErrorKind::TokenUnavailable, "no JSON"),
        (form(200, ""), ErrorKind::TokenUnavailable, "no JSON"),
        (form(200, "scope=a"), ErrorKind::TokenUnavailable, "no token at /access_token"),
        (form(200, "access_token="), ErrorKind::TokenUnavailable, "no token at /access_token"),
        (reply(200).body("7"), ErrorKind::TokenUnavailable, "no token at"),
        (reply(200).body("[]"), ErrorKind::TokenUnavailable, "no token at"),
        (reply(200).body("<html>log in</html>"), ErrorKind::TokenUnavailable, "a page of HTML"),
        (
            reply(200).header("content-type", "text/html").body("log in"),
            ErrorKind::TokenUnavailable,
            "the URL of the token endpoint looks wrong",
        ),
        (reply(404).body("<html>nothing here</html>"), ErrorKind::TokenRefused, "looks wrong"),
        (reply(403).body("<html>blocked</html>"), ErrorKind::TokenUnavailable, "answered with 403"),
        (reply(400).body("<html>bad request</html>"), ErrorKind::TokenRefused, "answered with 400"),
    ] {
        let error = kept(answer.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert!(error.to_string().contains(words), "{answer:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oauth_error_is_one_in_any_form_and_status() {
    let in_json = |status, code: Value| reply(status).json(json!({"error": code, "error_description": "no"}));
    for (answer, code, needs_login) in [
        (in_json(400, json!("invalid_grant")), "invalid_grant", true),
        (in_json(200, json!("invalid_grant")), "invalid_grant", true),
        (in_json(401, json!({"code": "invalid_grant"})), "invalid_grant", true),
        (in_json(400, json!({"type": "invalid_client"})), "invalid_client", false),
        (reply(400).json(json!({"Error": "invalid_scope", "Error_Description": "no"})), "invalid_scope", false),
        (form(400, "error=invalid_grant&error_description=no"), "invalid_grant", true),
        (form(200, "error=bad_verification_code&error_description=no"), "bad_verification_code", true),
        (form(401, "error=invalid_client&error_description=no"), "invalid_client", false),
    ] {
        let error = farms(&client(&script([answer.clone()]), user())).await.unwrap_err();
        assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, needs_login), "{answer:?}: {error}");
        let fault = error.fault().unwrap();
        assert_eq!((fault.code(), fault.message()), (Some(code), Some("no")), "{answer:?}");
    }
    // One that is none, or that stands beside a token.
    for code in [json!(""), json!(null), json!(false), json!(7), json!([]), json!("invalid_grant")] {
        let answer = reply(200).json(json!({"access_token": "A", "error": code}));
        assert_eq!(kept(answer).await.unwrap().0, "A", "{code}");
    }
    assert_eq!(kept(form(200, "access_token=A&error=")).await.unwrap().0, "A");
    for code in [json!(400), json!(true), json!({})] {
        let error = farms(&client(&script([in_json(400, code.clone())]), user())).await.unwrap_err();
        assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{code}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_4xx_that_says_expired_is_named_as_one_by_an_envelope() {
    let token = |name: &str| reply(200).json(json!({"access_token": name, "expires_in": 3600}));
    for (status, at, word, rule) in [
        (400, "/error", "token_expired", "token_expired"),
        (403, "/error", "Expired or unknown", "expired*"),
        (422, "/code", "190", "190"),
    ] {
        let pointer = Source::pointer(at);
        let profile = Profile::auto().envelope(EnvelopeRule::reads_as(401, pointer, [rule]).status(status));
        let said = reply(status).json(json!({&at[1..]: word}));
        let service = script([token("one"), said, token("two"), reply(200)]);
        let client = service.client().profile(profile).credential(Credential::oauth(program())).build().unwrap();
        assert_eq!(farms(&client).await.unwrap(), 200, "{status} {word}");
        assert_eq!(service.requests()[3].header("authorization"), Some("Bearer two"));
        // Another word of the same status is no matter of the token.
        let service = script([token("one"), reply(status).json(json!({&at[1..]: "no rights"}))]);
        let profile = Profile::auto().envelope(EnvelopeRule::reads_as(401, Source::pointer(at), [rule]).status(status));
        let client = service.client().profile(profile).credential(Credential::oauth(program())).build().unwrap();
        assert_eq!(farms(&client).await.unwrap_err().kind(), ErrorKind::Rejected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_as_far_ahead_as_is_set() {
    for (ahead, fresh_until) in [(None, 3300), (Some(60), 3540), (Some(1200), 2400), (Some(86_400), 1800)] {
        let token = |name: &str| reply(200).json(json!({"access_token": name, "expires_in": 3600}));
        let service = script([token("one"), reply(200), reply(200), token("two"), reply(200)]);
        let oauth = ahead.into_iter().fold(program(), |oauth, ahead| oauth.refresh_ahead(Duration::from_secs(ahead)));
        let client = client(&service, oauth);
        farms(&client).await.unwrap();
        tokio::time::sleep(Duration::from_secs(fresh_until - 1)).await;
        farms(&client).await.unwrap();
        client.settle().await;
        assert_eq!(service.requests().len(), 3, "{ahead:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        farms(&client).await.unwrap();
        client.settle().await;
        let fetches = service.requests().iter().filter(|seen| seen.priority() == Priority::Token).count();
        assert_eq!(fetches, 2, "{ahead:?}");
    }
}

/// Never answers, or is as patient as it says.
struct Silent(Option<Duration>);

impl TokenSource for Silent {
    fn fetch<'a>(
        &'a self,
        _before: Option<&'a Token>,
        _endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(pending())
    }

    fn patience(&self) -> Duration {
        self.0.unwrap_or(Silent::DEFAULT)
    }
}

impl Silent {
    const DEFAULT: Duration = Duration::from_secs(1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_fails_when_its_patience_ends() {
    for patience in [None, Some(30 * MINUTE), Some(Duration::ZERO)] {
        let client = script([]).client().credential(Credential::source(Silent(patience))).build().unwrap();
        let begun = tokio::time::Instant::now();
        let error = farms(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TokenUnavailable);
        assert!(error.to_string().contains("the token source gave no answer within"), "{error}");
        let expected = patience.unwrap_or(Silent::DEFAULT);
        assert!(begun.elapsed() >= expected && begun.elapsed() < expected + MINUTE, "{:?}", begun.elapsed());
    }
}

/// As most are: it says nothing of its patience.
struct Stuck;

impl TokenSource for Stuck {
    fn fetch<'a>(
        &'a self,
        _before: Option<&'a Token>,
        _endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_has_ten_minutes_where_it_says_nothing() {
    let client = script([]).client().credential(Credential::source(Stuck)).build().unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(farms(&client).await.unwrap_err().kind(), ErrorKind::TokenUnavailable);
    assert_eq!(begun.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_secret_out_of_a_file_goes_without_its_line_end() {
    let token = || reply(200).json(json!({"access_token": "A", "expires_in": 3600}));
    for end in ["", "\n", "\r\n", " \n", "\n\n"] {
        let service = script([token(), reply(200), token(), reply(200)]);
        let with = |text: &str| format!("{text}{end}");
        let oauth = || OAuth::client_credentials(ENDPOINT, with("my-id"), with("my-secret")).header("x-key", with("K"));
        farms(&client(&service, oauth())).await.unwrap();
        farms(&client(&service, oauth().in_form())).await.unwrap();
        let requests = service.requests();
        assert_eq!(requests[0].header("authorization"), Some("Basic bXktaWQ6bXktc2VjcmV0"), "{end:?}");
        assert_eq!(requests[0].header("x-key"), Some("K"));
        let body = String::from_utf8_lossy(requests[2].body()).into_owned();
        assert!(body.ends_with("client_id=my-id&client_secret=my-secret"), "{end:?}: {body}");

        let service = script([reply(200)]);
        let credential = Credential::api_key_query("key", with("Q"))
            .and(Credential::api_key_header("x-key", with("K")))
            .and(Credential::basic("user", format!("pass{}", end.trim_start_matches(' '))));
        farms(&service.client().credential(credential).build().unwrap()).await.unwrap();
        let sent = &service.requests()[0];
        assert_eq!((sent.url().query(), sent.header("x-key")), (Some("key=Q"), Some("K")), "{end:?}");
        assert_eq!(sent.header("authorization"), Some("Basic dXNlcjpwYXNz"), "{end:?}");

        let given = Token::new(with("A")).refreshed_by(with("R"));
        assert_eq!((given.expose(), given.expose_refresh()), ("A", Some("R")), "{end:?}");
    }
}

#[test]
fn a_secret_with_a_line_break_is_refused_and_not_shown() {
    let oauth = |secret: &str| Credential::oauth(OAuth::client_credentials(ENDPOINT, "my-id", secret));
    for credential in [
        oauth("S3CRET\nS3CRET"),
        oauth("S3CRET\0S3CRET"),
        oauth("S3CRET\u{7f}S3CRET"),
        Credential::oauth(OAuth::client_credentials(ENDPOINT, "my\nid", "S3CRET")),
        Credential::oauth(program().header("x-key", "S3CRET\r\nS3CRET")),
        Credential::basic("user", "S3CRET\nS3CRET"),
        Credential::basic("us\ner", "S3CRET"),
        Credential::api_key_query("key", "S3CRET\nS3CRET"),
        Credential::api_key_header("x-key", "S3CRET\nS3CRET"),
        Credential::bearer("S3CRET\nS3CRET"),
    ] {
        let error = Client::builder("https://api.example.com").credential(credential.clone()).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{credential:?}");
        assert!(error.to_string().contains("look at how it is read from its file"), "{credential:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error}");
    }
}

//! The tokens of the simulated service, seen from outside: plain HTTP, nothing of our own client.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use longhaul::testing::{Side, Simulator, SimulatorBuilder, TokenTrouble};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::support::HOUR;

const KEY: &str = "Ocp-Apim-Subscription-Key";
const BACK: &str = "http://127.0.0.1:7/back";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A simulator that issues tokens, and a bare client of it.
struct Bench {
    service: Simulator,
    http: Client,
}

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

    fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    /// The status and the `error` of RFC 6749.
    fn refusal(&self) -> (u16, String) {
        (self.status, self.member("error"))
    }
}

async fn bench(builder: SimulatorBuilder) -> Bench {
    let http = Client::builder().no_proxy().retry(reqwest::retry::never());
    let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Bench { service: builder.start().await.unwrap(), http }
}

fn hourly() -> SimulatorBuilder {
    Simulator::builder().tokens(HOUR)
}

async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}

fn with_form(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

fn with_query(mut url: Url, name: &str, value: &str) -> Url {
    url.query_pairs_mut().append_pair(name, value);
    url
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

impl Bench {
    fn post(&self, form: &[(&str, &str)]) -> RequestBuilder {
        let request = with_form(self.http.post(self.service.token_url()), form);
        request.basic_auth(self.service.client_id(), Some(self.service.client_secret()))
    }

    async fn by_client(&self) -> Reply {
        send(self.post(&[("grant_type", "client_credentials")])).await
    }

    async fn refresh(&self, token: &str) -> Reply {
        send(self.post(&[("grant_type", "refresh_token"), ("refresh_token", token)])).await
    }

    async fn redeem(&self, code: &str, redirect_uri: &str, verifier: &str) -> Reply {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
            ("client_id", self.service.client_id()),
        ];
        send(with_form(self.http.post(self.service.token_url()), &form)).await
    }

    fn agreed(&self) -> String {
        self.service.authorize(BACK, &URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER)))
    }

    /// What a login with a code gives: an access token and a refresh token.
    async fn by_code(&self) -> (String, String) {
        let reply = self.redeem(&self.agreed(), BACK, VERIFIER).await;
        (reply.member("access_token"), reply.member("refresh_token"))
    }

    /// The status of an ordinary call with this token.
    async fn call(&self, token: &str) -> u16 {
        let call = self.http.get(self.service.url().join("farms").unwrap()).bearer_auth(token);
        send(call.header(KEY, self.service.subscription_key())).await.status
    }
}

#[tokio::test]
async fn the_api_wants_a_token_that_was_issued_and_still_the_key() {
    let bench = bench(hourly()).await;
    assert_eq!(bench.call(bench.service.bearer()).await, 401);
    let reply = bench.by_client().await;
    assert_eq!((reply.status, &reply.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
    let body = reply.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3_600)));
    assert_eq!(body.get("refresh_token"), None);
    let token = reply.member("access_token");
    assert_eq!(bench.call(&token).await, 200);
    let keyless = bench.http.get(bench.service.url().join("farms").unwrap()).bearer_auth(&token);
    assert_eq!(send(keyless).await.status, 401);

    let counts = bench.service.counts();
    assert_eq!((counts.token_requests(), counts.logins(), counts.refreshes()), (1, 1, 0));
    assert_eq!((counts.tokens_refused(), counts.unauthorized(), counts.misplaced_credentials()), (1, 2, 0));
    assert_eq!(counts.requests(), 3);
}

#[tokio::test]
async fn a_token_expires_and_another_is_good_again() {
    let bench = bench(Simulator::builder().tokens(Duration::from_millis(1_500))).await;
    let reply = bench.by_client().await;
    assert_eq!(reply.json()["expires_in"], 1);
    let token = reply.member("access_token");
    assert_eq!(bench.call(&token).await, 200);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(bench.call(&token).await, 401);
    assert_eq!(bench.call(&bench.by_client().await.member("access_token")).await, 200);
}

#[tokio::test]
async fn knows_a_client_by_basic_or_in_the_form() {
    let bench = bench(hourly().client("app", "s3cret-of-the-app").refreshable()).await;
    let url = bench.service.token_url();
    let grant = ("grant_type", "client_credentials");
    let form = [grant, ("client_id", "app"), ("client_secret", "s3cret-of-the-app")];
    let reply = send(with_form(bench.http.post(url.clone()), &form)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(bench.refresh(&reply.member("refresh_token")).await.status, 200);

    let wrong = send(with_form(bench.http.post(url.clone()), &[grant]).basic_auth("app", Some("another"))).await;
    assert_eq!(wrong.refusal(), (401, "invalid_client".to_owned()));
    assert!(wrong.headers.contains_key("www-authenticate"));
    let json = send(bench.http.post(url.clone()).body("{}")).await;
    assert_eq!(json.refusal(), (400, "invalid_request".to_owned()));
    let magic = send(bench.post(&[("grant_type", "magic")])).await;
    assert_eq!(magic.refusal(), (400, "unsupported_grant_type".to_owned()));
    assert_eq!(send(bench.http.get(url)).await.status, 405);
}

#[tokio::test]
async fn a_spent_refresh_token_ends_the_login_and_no_other() {
    let bench = bench(hourly()).await;
    let (access, first) = bench.by_code().await;
    let (other, _) = bench.by_code().await;
    let next = bench.refresh(&first).await;
    let (newer, second) = (next.member("access_token"), next.member("refresh_token"));
    assert_ne!(first, second);
    assert_eq!((bench.call(&access).await, bench.call(&newer).await), (200, 200));

    assert_eq!(bench.refresh(&first).await.refusal(), invalid_grant());
    assert_eq!(bench.refresh(&second).await.refusal(), invalid_grant());
    assert_eq!((bench.call(&access).await, bench.call(&newer).await, bench.call(&other).await), (401, 401, 200));
    assert_eq!((bench.service.counts().logins(), bench.service.counts().refreshes()), (2, 1));
}

#[tokio::test]
async fn a_code_wants_its_verifier_and_its_redirect_and_is_good_once() {
    let bench = bench(hourly()).await;
    for (redirect_uri, verifier) in [(BACK, "another"), ("http://127.0.0.1:8/back", VERIFIER)] {
        assert_eq!(bench.redeem(&bench.agreed(), redirect_uri, verifier).await.refusal(), invalid_grant());
    }
    let code = bench.agreed();
    let token = bench.redeem(&code, BACK, VERIFIER).await.member("access_token");
    assert_eq!(bench.call(&token).await, 200);
    assert_eq!(bench.redeem(&code, BACK, VERIFIER).await.refusal(), invalid_grant());
    assert_eq!(bench.call(&token).await, 401);
}

#[tokio::test]
async fn revokes_one_access_token_or_a_whole_login() {
    let bench = bench(hourly()).await;
    let revoke = |token: &str| {
        let request = with_form(bench.http.post(bench.service.revoke_url()), &[("token", token)]);
        send(request.basic_auth(bench.service.client_id(), Some(bench.service.client_secret())))
    };
    let (access, refresh) = bench.by_code().await;
    assert_eq!(revoke(&access).await.status, 200);
    assert_eq!(bench.call(&access).await, 401);
    let next = bench.refresh(&refresh).await;
    let (access, refresh) = (next.member("access_token"), next.member("refresh_token"));
    assert_eq!(revoke(&refresh).await.status, 200);
    assert_eq!(bench.call(&access).await, 401);
    assert_eq!(bench.refresh(&refresh).await.refusal(), invalid_grant());
    assert_eq!(revoke("unknown").await.status, 200);
    let stranger = with_form(bench.http.post(bench.service.revoke_url()), &[("token", "unknown")]);
    assert_eq!(send(stranger).await.refusal(), (401, "invalid_client".to_owned()));
    assert_eq!(bench.service.counts().revocations(), 3);
}

#[tokio::test]
async fn logs_a_user_in_as_smag_does_with_a_jwt_that_tells_its_expiry() {
    let bench = bench(hourly()).await;
    let login = |password: &str| {
        let (id, user) = (bench.service.client_id(), bench.service.user());
        let body = json!({ "ApplicationId": id, "UserName": user, "Password": password });
        send(bench.http.post(bench.service.login_url()).body(body.to_string()))
    };
    let body = login(bench.service.password()).await.json();
    assert_eq!(body["UserId"], bench.service.user());
    let token = body["Token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let life = claims["exp"].as_f64().unwrap() - claims["iat"].as_f64().unwrap();
    assert!((life - 3_600.0).abs() < 1.0, "{claims}");
    let left = longhaul::credentials::Token::new(token)
        .expiry()
        .unwrap()
        .duration_since(std::time::SystemTime::now())
        .unwrap();
    assert!(left <= HOUR + Duration::from_secs(1) && left > HOUR - Duration::from_secs(60), "{left:?}");

    assert_eq!(bench.call(token).await, 200);
    assert_eq!(bench.refresh(body["Refresh_Token"].as_str().unwrap()).await.status, 200);
    assert_eq!(login("another").await.status, 401);
    assert_eq!(send(bench.http.post(bench.service.login_url()).body("{}")).await.status, 400);
}

#[tokio::test]
async fn voids_access_tokens_alone_or_whole_logins() {
    let bench = bench(hourly()).await;
    let (access, refresh) = bench.by_code().await;
    bench.service.void_tokens();
    assert_eq!(bench.call(&access).await, 401);
    let next = bench.refresh(&refresh).await;
    let (access, refresh) = (next.member("access_token"), next.member("refresh_token"));
    assert_eq!(bench.call(&access).await, 200);

    let code = bench.agreed();
    bench.service.void_logins();
    assert_eq!(bench.call(&access).await, 401);
    assert_eq!(bench.refresh(&refresh).await.refusal(), invalid_grant());
    assert_eq!(bench.redeem(&code, BACK, VERIFIER).await.refusal(), invalid_grant());
    assert_eq!(bench.service.counts().tokens_refused(), 2);
}

#[tokio::test]
async fn troubles_so_many_requests_as_it_was_told_to() {
    let bench = bench(hourly()).await;
    let service = &bench.service;
    service.token_trouble(2, TokenTrouble::NotJson);
    service.token_trouble(1, TokenTrouble::NoToken);
    service.token_trouble(1, TokenTrouble::Denied(StatusCode::OK, "invalid_grant"));
    service.token_trouble(1, TokenTrouble::Status(StatusCode::INTERNAL_SERVER_ERROR));
    service.token_trouble(1, TokenTrouble::Wait(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(2)));
    for _ in 0..2 {
        let page = bench.by_client().await;
        assert!(page.status == 200 && page.text.starts_with("<html>"), "{page:?}");
    }
    let empty = bench.by_client().await;
    assert_eq!((empty.status, empty.json()), (200, json!({})));
    assert_eq!(bench.by_client().await.refusal(), (200, "invalid_grant".to_owned()));
    assert_eq!(bench.by_client().await.status, 500);
    let busy = bench.by_client().await;
    assert_eq!((busy.status, &busy.headers["retry-after"]), (503, &"2".parse().unwrap()));

    for (trouble, stated) in [
        (TokenTrouble::NoExpiry, Value::Null),
        (TokenTrouble::ExpiresIn(0), json!(0)),
        (TokenTrouble::ExpiresIn(-5), json!(-5)),
        (TokenTrouble::ExpiresInText(3_600), json!("3600")),
    ] {
        service.token_trouble(1, trouble);
        let reply = bench.by_client().await;
        assert_eq!(reply.json()["expires_in"], stated);
        assert_eq!(bench.call(&reply.member("access_token")).await, 200);
    }
    assert_eq!(bench.by_client().await.json()["expires_in"], 3_600);
    assert_eq!((service.counts().token_requests(), service.counts().logins()), (11, 5));
}

#[tokio::test]
async fn loses_an_answer_after_all_was_done() {
    let bench = bench(hourly()).await;
    let (access, refresh) = bench.by_code().await;
    bench.service.token_trouble(1, TokenTrouble::Lost);
    let lost = bench.post(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).send().await;
    assert!(lost.is_err());
    assert_eq!(bench.service.counts().refreshes(), 1);
    assert_eq!(bench.service.log().last().unwrap().status(), None);
    assert_eq!(bench.refresh(&refresh).await.refusal(), invalid_grant());
    assert_eq!(bench.call(&access).await, 401);
}

#[tokio::test]
async fn hangs_until_the_client_gives_up_and_answers_the_next() {
    let bench = bench(hourly()).await;
    bench.service.token_trouble(1, TokenTrouble::Hang);
    let hung = bench.post(&[("grant_type", "client_credentials")]).timeout(Duration::from_millis(200)).send().await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(bench.by_client().await.status, 200);
}

#[tokio::test]
async fn notices_who_follows_a_redirect_with_a_secret() {
    let bench = bench(hourly()).await;
    bench.service.token_trouble(2, TokenTrouble::Redirect);
    let reply = bench.by_client().await;
    assert_eq!(reply.status, 307);
    let elsewhere = reply.headers["location"].to_str().unwrap().to_owned();
    assert!(elsewhere.starts_with(bench.service.storage_url().as_str()), "{elsewhere}");
    assert_eq!(bench.service.counts().misplaced_credentials(), 0);

    let (id, secret) = (bench.service.client_id(), bench.service.client_secret());
    send(bench.http.post(elsewhere).basic_auth(id, Some(secret))).await;
    assert_eq!(bench.service.counts().misplaced_credentials(), 1);
}

#[tokio::test]
async fn notices_secrets_at_the_wrong_origin() {
    let bench = bench(hourly()).await;
    let (service, http) = (&bench.service, &bench.http);
    let (access, refresh) = bench.by_code().await;
    let (tokens, storage, farms) = (service.token_url(), service.storage_url(), service.url().join("farms").unwrap());
    for (number, request) in (1..).zip([
        http.post(tokens.clone()).header(KEY, service.subscription_key()),
        http.post(tokens.clone()).bearer_auth(&access),
        http.post(with_query(tokens.clone(), "client_secret", service.client_secret())),
        http.get(with_query(storage.clone(), "token", &access)),
        http.get(storage).header("X-Token", &refresh),
        http.get(farms.clone()).bearer_auth(&refresh),
        http.get(farms).header("X-Password", service.password()),
    ]) {
        send(request).await;
        assert_eq!(service.counts().misplaced_credentials(), number);
    }
}

#[tokio::test]
async fn logs_which_headers_went_to_which_side() {
    let bench = bench(hourly()).await;
    let token = bench.by_client().await.member("access_token");
    bench.call(&token).await;
    let log = bench.service.log();
    let (login, call) = (&log[0], &log[1]);
    assert_eq!((login.side(), login.path(), login.status()), (Side::Token, "/oauth/token", Some(StatusCode::OK)));
    assert!(login.header_names().iter().any(|name| name == "authorization"));
    assert!(!login.header_names().iter().any(|name| *name == KEY));
    assert_eq!(call.side(), Side::Api);
    let shown = format!("{log:?} {:?}", bench.service);
    assert!(![token.as_str(), bench.service.client_secret()].iter().any(|secret| shown.contains(secret)));
}

#[tokio::test]
async fn limits_the_token_endpoint_alone() {
    let bench = bench(hourly().token_limit(1, Duration::from_secs(60))).await;
    let token = bench.by_client().await.member("access_token");
    bench.service.token_trouble(1, TokenTrouble::NotJson);
    let refused = bench.by_client().await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!((bench.call(&token).await, bench.call(&token).await), (200, 200));
    let counts = bench.service.counts();
    assert_eq!((counts.token_requests(), counts.tokens_throttled(), counts.throttled()), (2, 1, 0));
}

#[tokio::test]
async fn issues_nothing_unless_it_was_told_to() {
    let bench = bench(Simulator::builder()).await;
    assert_eq!(bench.by_client().await.status, 404);
    assert_eq!(bench.call(bench.service.bearer()).await, 200);
    assert_eq!(bench.agreed(), "");
}

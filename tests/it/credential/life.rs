//! The life of a token over hours, on a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::{Method, StatusCode};
use longhaul::credentials::{CredentialStore, MemoryStore, StoreError, Token, TokenAnswer};
use longhaul::limits::{Clock, Priority};
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, Credential, ErrorKind, Limit, OAuth, PollPolicy, RetryPolicy};
use serde_json::json;

use crate::support::MINUTE;

fn token(name: &str, life: u64) -> Canned {
    reply(200).json(json!({"access_token": name, "token_type": "Bearer", "expires_in": life}))
}

fn oauth() -> OAuth {
    OAuth::client_credentials("https://login.example.com/token", "id", "secret")
}

fn client(service: &Script, oauth: OAuth) -> longhaul::ClientBuilder {
    service
        .client()
        .credential(Credential::oauth(oauth))
        .clock(Clock::starting_at(SystemTime::UNIX_EPOCH + 30_000_000 * MINUTE))
}

async fn get(client: &Client) -> longhaul::Result<StatusCode> {
    client.request(Method::GET, "farms").send().await.map(|response| response.status())
}

/// What each request was for, and the token on it.
fn seen(service: &Script) -> Vec<(Priority, String)> {
    let shown = |value: Option<&str>| value.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    service.requests().iter().map(|seen| (seen.priority(), shown(seen.header("authorization")))).collect()
}

const BASIC: &str = "Basic aWQ6c2VjcmV0";

fn fetch() -> (Priority, String) {
    (Priority::Token, BASIC.to_owned())
}

fn call(token: &str) -> (Priority, String) {
    (Priority::Call, token.to_owned())
}

#[tokio::test(start_paused = true)]
async fn is_fetched_when_needed_and_refreshed_ahead() {
    let service = script([token("one", 3600), reply(200), reply(200), token("two", 3600), reply(200)]);
    let client = client(&service, oauth()).build().unwrap();
    assert!(service.requests().is_empty());
    get(&client).await.unwrap();
    tokio::time::sleep(55 * MINUTE + Duration::from_secs(1)).await;
    // It ages: this request goes with the old one, and the new one is fetched beside it.
    get(&client).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    get(&client).await.unwrap();
    let (mut seen, mut expected) = (seen(&service), vec![fetch(), call("one"), call("one"), fetch(), call("two")]);
    seen[2..4].sort();
    expected[2..4].sort();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn is_looked_at_again_after_the_queue() {
    let service = script([token("one", 300), reply(200), token("two", 3600), reply(200)]);
    let client = client(&service, oauth()).limit(Limit::per(1, 20 * MINUTE)).build().unwrap();
    get(&client).await.unwrap();
    // It stands in the queue for 20 minutes, and the token lives for five.
    get(&client).await.unwrap();
    assert_eq!(seen(&service), [fetch(), call("one"), fetch(), call("two")]);
    assert!(service.gaps()[2] < MINUTE, "the permit was given back, and had at once: {:?}", service.gaps());
}

#[tokio::test(start_paused = true)]
async fn is_fetched_without_holding_up_others() {
    let service = script([token("one", 300), reply(200), reply(401), token("two", 300), reply(200), reply(200)]);
    let client = client(&service, oauth()).limit(Limit::concurrent(1)).build().unwrap();
    get(&client).await.unwrap();
    let both = async { tokio::join!(get(&client), get(&client)) };
    let (first, second) = tokio::time::timeout(10 * MINUTE, both).await.expect("no deadlock");
    assert_eq!((first.unwrap(), second.unwrap()), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_is_the_answer() {
    let service = script([token("one", 3600), reply(401), token("two", 3600), reply(401), reply(401)]);
    let client = client(&service, oauth()).build().unwrap();
    let error = get(&client).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthorized, 2));
    // A third token would fare no better.
    assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_jwt_counts_by_the_services_clock() {
    // The service is an hour ahead: its `exp` in 70 minutes is in 10 of ours.
    let now = SystemTime::UNIX_EPOCH + 30_000_000 * MINUTE;
    let exp = (30_000_070 * MINUTE).as_secs();
    let claims = format!("{{\"exp\":{exp}}}");
    let jwt = format!("e30.{}.c2ln", base64_url(claims.as_bytes()));
    let first = reply(200).json(json!({"Token": jwt})).header("date", &httpdate(now + 60 * MINUTE));
    let service = script([first, reply(200), reply(200).json(json!({"Token": "two"})), reply(200)]);
    let client = client(&service, oauth().answer(TokenAnswer::smag())).build().unwrap();
    get(&client).await.unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    get(&client).await.unwrap();
    assert_eq!(seen(&service)[2].0, Priority::Token, "{:?}", seen(&service));
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A Date, by the one library that writes it here.
fn httpdate(at: SystemTime) -> String {
    httpdate::fmt_http_date(at)
}

#[tokio::test(start_paused = true)]
async fn a_waiting_task_outlives_a_token_endpoint_that_is_down() {
    let down = || (0..5).map(|_| reply(500));
    let answers =
        [token("one", 100), reply(202).header("location", "tasks/1").header("retry-after", "120")].into_iter();
    let answers = answers.chain(down()).chain(down()).chain([token("two", 600), reply(200).json(json!(7))]);
    let service = script(answers);
    let client = client(&service, oauth()).build().unwrap();
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let outcome = task.await.unwrap();
    assert_eq!((outcome.value().unwrap(), service.left()), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_given_token_is_used_first_and_its_refresh_token_after() {
    let service = script([reply(200), reply(401), token("two", 600), reply(200)]);
    let given = Token::new("given").refreshed_by("R");
    let oauth = OAuth::refresh_only("https://login.example.com/token", "id").token(given);
    let client = client(&service, oauth).build().unwrap();
    get(&client).await.unwrap();
    get(&client).await.unwrap();
    let requests = service.requests();
    assert_eq!(
        seen(&service).iter().map(|(_, token)| token.as_str()).collect::<Vec<_>>(),
        ["given", "given", "", "two"]
    );
    let form = String::from_utf8_lossy(requests[2].body()).into_owned();
    assert_eq!(form, "grant_type=refresh_token&refresh_token=R&client_id=id");
}

#[tokio::test(start_paused = true)]
async fn a_route_that_refuses_every_token_costs_one_fetch() {
    let answers = [token("one", 3600), reply(200), reply(401), token("two", 3600), reply(401), reply(200), reply(401)];
    let service = script(answers);
    let client = client(&service, oauth()).build().unwrap();
    let admin = || async { client.request(Method::GET, "admin").send().await.map(|response| response.status()) };
    get(&client).await.unwrap();
    assert_eq!(admin().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    get(&client).await.unwrap();
    let error = admin().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthorized, 1));
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_has_not_taken_a_token() {
    for failure in [500, 503, 429] {
        // The second token is refused without having been taken: a third would fare no better.
        let answers = [token("one", 3600), reply(401), token("two", 3600), reply(failure), reply(401)];
        let service = script(answers);
        let client = client(&service, oauth()).retry(RetryPolicy::none()).build().unwrap();
        assert_eq!(get(&client).await.unwrap_err().status().map(|status| status.as_u16()), Some(failure));
        assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::Unauthorized);
        assert_eq!(service.left(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_gives_no_refresh_token_keeps_the_one_before() {
    let service =
        script([reply(200), reply(401), token("two", 600), reply(200), reply(401), token("three", 600), reply(200)]);
    let given = Token::new("given").refreshed_by("R");
    let oauth = OAuth::refresh_only("https://login.example.com/token", "id").token(given);
    let client = client(&service, oauth).build().unwrap();
    for _ in 0..3 {
        get(&client).await.unwrap();
    }
    let forms = service.requests().into_iter().filter(|seen| seen.priority() == Priority::Token);
    let forms: Vec<_> = forms.map(|seen| String::from_utf8_lossy(seen.body()).into_owned()).collect();
    assert_eq!(forms, ["grant_type=refresh_token&refresh_token=R&client_id=id"; 2]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_token_with_a_permit_in_hand() {
    // One at a time. A poll has its turn as its token expires, and the token takes 20 seconds.
    let service = script([
        token("one", 100),
        reply(202).header("location", "tasks/1").header("retry-after", "99"),
        token("two", 3600).after(Duration::from_secs(20)),
        reply(200),
        reply(200).json(json!(7)),
    ]);
    let throttle = longhaul::Throttle::new();
    let limit = Limit::concurrent(1);
    let client = client(&service, oauth())
        .throttle(&throttle)
        .limit(limit.clone())
        .poll_policy(PollPolicy::standard().without_jitter());
    let client = client.build().unwrap();
    let other = service.client().throttle(&throttle).limit(limit).build().unwrap();
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let (outcome, ()) = tokio::join!(task, async {
        tokio::time::sleep(Duration::from_secs(105)).await;
        get(&other).await.unwrap();
    });
    assert_eq!(outcome.unwrap().value().unwrap(), 7);
    let classes: Vec<_> = seen(&service).into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes, [Priority::Token, Priority::Submit, Priority::Token, Priority::Call, Priority::Poll]);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_come_expired_are_asked_for_more_and_more_seldom() {
    // By the `exp` of a JWT: the clock of one of the two is wrong.
    let jwt = format!("e30.{}.c2ln", base64_url(br#"{"exp":1000}"#));
    let service = script((0..60).map(|_| reply(200).json(json!({"access_token": jwt.clone()}))));
    let client = client(&service, oauth()).build().unwrap();
    for _ in 0..60 {
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TokenUnavailable);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(service.requests().len() <= 7, "{}", service.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_good_stored_token_serves_while_the_endpoint_is_down() {
    let service = script([reply(200)].into_iter().chain((0..5).map(|_| reply(500))));
    let store = MemoryStore::new();
    let now = SystemTime::UNIX_EPOCH + 30_000_000 * MINUTE;
    let life = |token: Token| token.expires_at(now + MINUTE);
    store.save(Some(life(Token::new("stored").refreshed_by("R")))).await.unwrap();
    let client = client(&service, oauth().store(store)).build().unwrap();
    get(&client).await.unwrap();
    assert_eq!(seen(&service)[0], call("stored"));
}

/// A store that fails as long as it is told to.
#[derive(Clone, Default)]
struct Failing {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
}

impl CredentialStore for Failing {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        self.inner.load()
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        match self.fails.load(SeqCst) {
            true => Box::pin(async { Err("the disk is full".into()) }),
            false => self.inner.save(token),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_save_loses_nothing() {
    let service = script([token("one", 600), reply(200), reply(200), token("two", 3600), reply(200), reply(200)]);
    let store = Failing::default();
    let client = client(&service, oauth().store(store.clone())).build().unwrap();
    get(&client).await.unwrap();
    store.fails.store(true, SeqCst);
    tokio::time::sleep(Duration::from_secs(500)).await;
    // It ages: the next one comes, and cannot be saved. The old one goes on.
    get(&client).await.unwrap();
    client.settle().await;
    get(&client).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    // The old one ends: the error says why, and nothing is asked.
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    // The store is mended: what came is saved and used, and no other was fetched.
    store.fails.store(false, SeqCst);
    tokio::time::sleep(MINUTE).await;
    get(&client).await.unwrap();
    assert_eq!(store.load().await.unwrap().unwrap().expose(), "two");
    let (mut seen, mut expected) =
        (seen(&service), vec![fetch(), call("one"), call("one"), fetch(), call("one"), call("two")]);
    // The old one's request and the fetch go at once.
    seen[2..4].sort();
    expected[2..4].sort();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_endpoint_asks_to_wait_is_told_and_kept() {
    let wait = Duration::from_secs(300);
    let service = script([reply(429).header("retry-after", "300"), token("one", 600), reply(200)]);
    let client = client(&service, oauth()).build().unwrap();
    let begun = tokio::time::Instant::now();
    for _ in 0..5 {
        let error = get(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::TokenUnavailable, Some(wait)), "{error}");
    }
    assert!(begun.elapsed() < MINUTE && service.requests().len() == 1);
    tokio::time::sleep(wait).await;
    get(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_logout_waits_for_a_fetch_and_nothing_comes_back_after_it() {
    let service = script([token("one", 600).after(MINUTE / 4), reply(200), reply(200)]);
    let store = MemoryStore::new();
    let oauth = oauth().revoke_at("https://login.example.com/revoke").store(store.clone());
    let client = client(&service, oauth).build().unwrap();
    let (got, revoked) = tokio::join!(get(&client), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.revoke().await
    });
    revoked.unwrap();
    drop(got);
    assert_eq!(store.load().await.unwrap(), None);
    let revocation = service.requests().into_iter().find(|seen| seen.url().path() == "/revoke").unwrap();
    assert!(String::from_utf8_lossy(revocation.body()).contains("token=one"));
}

#[tokio::test(start_paused = true)]
async fn a_post_with_a_key_is_repeated_where_its_answer_was_lost() {
    let service = script([reply(0).lost(), reply(200)]);
    let client = service.client().build().unwrap();
    let call = client.request(Method::POST, "farms").json(&json!({})).idempotency_key("k1");
    assert_eq!(call.send().await.unwrap().attempts(), 2);
    assert!(service.requests().iter().all(|seen| seen.header("idempotency-key") == Some("k1")));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_refuses_a_thousand_tokens_costs_one_fetch() {
    // Other routes take the token all the while.
    let answers = [token("one", 3600), reply(401), token("two", 3600), reply(401), reply(200)].into_iter();
    let service = script(answers.chain((1..500).flat_map(|_| [reply(401), reply(200)])));
    let client = client(&service, oauth()).build().unwrap();
    for id in 0..500 {
        let error = client.request(Method::GET, format!("users/{id}")).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        get(&client).await.unwrap();
    }
    assert_eq!(service.left(), 0);
}

#[test]
fn what_cannot_be_sent_is_a_build_error() {
    for (oauth, why) in [
        (OAuth::client_credentials("http://login.example.com/token", "id", "s"), "plain http"),
        (OAuth::client_credentials("login.example.com/t", "id", "s"), "write https://login.example.com/t"),
        (OAuth::client_credentials("https://u:p@l.example/token", "id", "s"), "names a user"),
        (OAuth::client_credentials("https://l.example/token", "", "s"), "id is empty"),
        (OAuth::client_credentials("https://l.example/token", "id", ""), "secret is empty"),
        (oauth().refresh_at("ftp://l.example"), "neither http nor https"),
        (oauth().token_header("X Token", ""), "no header"),
        (oauth().header("X-Key", "a\r\nb"), "holds a line break"),
        (oauth().revoke_at("nowhere"), "revoke"),
    ] {
        let error =
            Client::builder("https://api.example.com").credential(Credential::oauth(oauth)).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    for (credential, why) in [
        (Credential::basic("a:b", "c"), "user name with a colon"),
        (Credential::bearer("a").and(Credential::basic("b", "c")), "two parts of the credential"),
        (Credential::bearer("a").and(Credential::oauth(oauth())), "two parts of the credential"),
        (Credential::api_key_header("X-Key", "a").and(Credential::api_key_header("x-key", "b")), "room for one"),
        (Credential::basic("", "c"), "empty"),
        (Credential::bearer("a\nb"), "holds a line break"),
        (Credential::api_key_header("X-Key", "schl\u{fc}ssel\u{7f}"), "holds a control character"),
    ] {
        let error = Client::builder("https://api.example.com").credential(credential).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

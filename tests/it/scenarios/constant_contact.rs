//! Constant Contact: one limit for all tokens of an API key, a daily quota, activities, and tokens that rotate.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use futures::future::{BoxFuture, join_all};
use longhaul::credentials::{CredentialStore, MemoryStore, Secrets, StoreError, Token};
use longhaul::http::Multipart;
use longhaul::limits::Clock;
use longhaul::testing::{ActivityEnd, ConstantContact, ConstantContactBuilder};
use longhaul::{
    Client, ClientBuilder, Credential, Error, ErrorKind, Limit, OAuth, Profile, RetryPolicy, State, Throttle,
};
use serde_json::{Value, json};

use super::is_long;
use crate::support::{Folder, HOUR, SECOND};

const KEY: &str = "key-1";

/// A service that is never in the way, and whose activities are short.
fn quick() -> ConstantContactBuilder {
    ConstantContact::builder().per_second(1_000).activity_duration(Duration::from_millis(300))
}

async fn start(builder: ConstantContactBuilder) -> ConstantContact {
    let service = builder.start().await.unwrap();
    service.add_client(KEY, "secret");
    service
}

/// The profile, with the simulated token endpoint.
fn profile(service: &ConstantContact) -> Profile {
    Profile::constant_contact().map_oauth(|oauth| oauth.token_url(service.token_url()))
}

/// The profile with a limit as wide as that of [`quick`].
fn wide(service: &ConstantContact) -> Profile {
    profile(service).without_limits().limit(Limit::per_second(1_000))
}

/// The client of one tenant, whose user has just agreed.
fn tenant(service: &ConstantContact, name: &str, profile: Profile) -> ClientBuilder {
    let token = service.log_in(KEY, name);
    let secrets = Secrets::new()
        .set("client_id", KEY)
        .set("client_secret", "secret")
        .set("access_token", token.expose())
        .set("refresh_token", token.expose_refresh().unwrap());
    Client::builder(service.url()).profile(profile).account(KEY).secrets(secrets).no_proxy()
}

async fn summary(client: &Client) -> Result<Value, Error> {
    client.get("account/summary").send().await?.json().await
}

/// Sends calls in turn by these clients, and returns how many succeeded.
async fn calls(clients: &[Client], count: usize) -> usize {
    let calls = (0..count).map(|number| summary(&clients[number % clients.len()]));
    join_all(calls).await.into_iter().filter(Result::is_ok).count()
}

#[tokio::test]
async fn two_tenants_of_one_api_key_keep_its_limit_together() {
    // 4 a second would take 50 seconds.
    let per_second = if is_long() { 4 } else { 40 };
    let service = start(ConstantContact::builder().per_second(per_second)).await;
    let limited = || {
        let limit = Limit::per_second(per_second).and_per_day(10_000, "America/New_York");
        if is_long() { profile(&service) } else { profile(&service).without_limits().limit(limit) }
    };
    let throttle = Throttle::new();
    let clients = ["farm", "mill"].map(|name| tenant(&service, name, limited()).throttle(&throttle).build().unwrap());
    assert_eq!(calls(&clients, 200).await, 200);
    let counts = service.counts();
    assert_eq!((counts.requests(), counts.throttled(), counts.unauthorized()), (200, 0, 0));
    for (client, name) in clients.iter().zip(["farm", "mill"]) {
        assert_eq!(client.stats().requests(), 100);
        assert_eq!(summary(client).await.unwrap()["encoded_account_id"], name);
    }
}

/// The counterpart: as two programs that know nothing of each other, the tenants exceed the limit, and their retries
/// must make up for it.
#[tokio::test]
async fn two_tenants_apart_are_refused_and_retry() {
    let service = start(ConstantContact::builder().per_second(20)).await;
    let limited = || profile(&service).without_limits().limit(Limit::per_second(20));
    let apart = |retry: RetryPolicy| {
        ["farm", "mill"].map(|name| tenant(&service, name, limited()).retry(retry.clone()).build().unwrap())
    };
    assert!(calls(&apart(RetryPolicy::none()), 40).await < 40);
    let refused = service.counts().throttled();
    assert!(refused > 0);
    tokio::time::sleep(SECOND).await;
    assert_eq!(calls(&apart(RetryPolicy::standard()), 40).await, 40);
    assert!(service.counts().throttled() > refused);
}

#[tokio::test]
async fn the_end_of_the_daily_quota_is_told_with_its_time_and_sent_to_nobody() {
    let service = start(quick().per_day(10)).await;
    let limited = profile(&service).without_limits().limit(Limit::per_second(100).and_per_day(10, "America/New_York"));
    // An evening in New York: four hours until midnight.
    let evening = "2026-03-03T20:00:00-05:00".parse::<jiff::Timestamp>().unwrap();
    let clock = Clock::starting_at(SystemTime::from(evening));
    let client = tenant(&service, "farm", limited).clock(clock).build().unwrap();
    assert_eq!(calls(std::slice::from_ref(&client), 10).await, 10);
    let error = client.get("account/summary").timeout(HOUR).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    let text = error.to_string();
    assert!(text.contains("10 per day in America/New_York") && text.contains("admits it in 14"), "{text}");
    // Midnight in New York, and a guard for the difference of the clocks.
    assert!(text.contains("(2026-03-04T05:0"), "{text}");
    let counts = service.counts();
    assert_eq!((counts.requests(), counts.throttled()), (10, 0));
}

#[tokio::test]
async fn the_count_of_the_day_outlives_a_deploy() {
    let service = start(quick().per_day(30)).await;
    let limited = profile(&service).without_limits().limit(Limit::per_second(100).and_per_day(30, noon_zone()));
    let folder = Folder::new();
    let mut sent = Vec::new();
    for _deploy in 0..3 {
        let throttle = Throttle::file(folder.at("limits")).unwrap();
        let client = tenant(&service, "farm", limited.clone()).throttle(&throttle).build().unwrap();
        let mut count = 0;
        while count < 13 && client.get("account/summary").timeout(4 * SECOND).send().await.is_ok() {
            count += 1;
        }
        sent.push(count);
    }
    // The last one gets what is left, and the service refuses none.
    assert_eq!((sent[0], sent[1]), (13, 13), "{sent:?}");
    assert!(sent[2] <= 4, "{sent:?}");
    assert_eq!(service.counts().throttled(), 0);
}

/// A time zone in which it is around noon, so that no day ends during the test.
fn noon_zone() -> String {
    let hour = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 3_600 % 24;
    // The sign of `Etc` is the wrong way round: `Etc/GMT+5` is five hours behind.
    match hour {
        0..=12 => format!("Etc/GMT-{}", 12 - hour),
        behind => format!("Etc/GMT+{}", behind - 12),
    }
}

#[tokio::test]
async fn a_short_day_begins_anew() {
    let day = 3 * SECOND;
    let service = start(quick().per_day(10).day(day)).await;
    let limited = profile(&service).without_limits().limit(Limit::per_second(100).and_per(10, day));
    let client = tenant(&service, "farm", limited).build().unwrap();
    assert_eq!(calls(std::slice::from_ref(&client), 25).await, 25);
    let counts = service.counts();
    assert_eq!((counts.requests(), counts.throttled()), (25, 0));
}

#[tokio::test]
async fn an_export_ends_with_its_table_behind_the_bearer() {
    for early in [false, true] {
        let service = start(quick().contacts(500).results_early(early)).await;
        let client = tenant(&service, "farm", wide(&service)).build().unwrap();
        let body = json!({ "fields": ["email_address"], "status": "active" });
        let task = client.task().kind("contact_export").post("activities/contact_exports").json(&body);
        let outcome = task.submit::<Value>().await.unwrap().await.unwrap();
        let table = outcome.download().to_memory(1 << 20).await.unwrap();
        assert_eq!(Some(String::from_utf8(table.to_vec()).unwrap()), service.csv(&service.activities()[0]));
        let counts = service.counts();
        assert_eq!((counts.submits(), counts.unauthorized(), counts.throttled()), (1, 0, 0));
        assert!(counts.polls() >= 1 && counts.follow_ups() >= 1, "{counts:?}");
    }
}

#[tokio::test]
async fn an_activity_tells_its_words_and_its_progress() {
    let service = start(quick().activity_duration(3 * SECOND)).await;
    let client = tenant(&service, "farm", wide(&service)).build().unwrap();
    let task = client.task().kind("contact_export").post("activities/contact_exports").json(&json!({}));
    let updates: Vec<_> = task.submit::<Value>().await.unwrap().into_updates().try_collect().await.unwrap();
    let mut words: Vec<_> = updates.iter().map(|update| update.word().unwrap().to_owned()).collect();
    words.dedup();
    assert_eq!(words, ["initialized", "processing", "completed"]);
    let percents: Vec<_> = updates.iter().map(|update| update.percent().unwrap()).collect();
    assert!(percents.is_sorted() && percents.iter().any(|percent| (1.0..99.0).contains(percent)), "{percents:?}");
    assert_eq!((percents[0], percents[percents.len() - 1]), (0.0, 100.0));
}

#[tokio::test]
async fn activities_that_fail_say_so() {
    let service = start(quick()).await;
    let client = tenant(&service, "farm", wide(&service)).build().unwrap();
    for (end, kind, state) in [
        (ActivityEnd::Failed, ErrorKind::TaskFailed, State::Failed),
        (ActivityEnd::Cancelled, ErrorKind::TaskCanceled, State::Canceled),
        (ActivityEnd::TimedOut, ErrorKind::TaskFailed, State::Failed),
    ] {
        service.end_next(1, end);
        let task = client.task().kind("contact_export").post("activities/contact_exports").json(&json!({}));
        let mut task = task.submit::<Value>().await.unwrap();
        let error = (&mut task).await.unwrap_err();
        assert_eq!((error.kind(), task.handle().last_update().state()), (kind, state), "{end:?}: {error}");
        let said = error.fault().and_then(|fault| fault.message()).unwrap_or_default().to_owned();
        assert_eq!(said.contains("could not be carried out"), end == ActivityEnd::Failed, "{said}");
    }
}

#[tokio::test]
async fn contacts_are_imported_from_json_and_from_a_file() {
    let service = start(quick()).await;
    let client = tenant(&service, "farm", wide(&service)).build().unwrap();
    let contacts = json!({ "import_data": [{ "email": "a@b.example" }], "list_ids": ["1"] });
    let file = "email\na@b.example\nc@d.example\n";
    let form = Multipart::new().file("file", "contacts; all.csv", "text/csv", file).text("list_ids", "1");
    let import = |path| client.task().kind("contact_import").post(path);
    for (task, items) in [
        (import("activities/contacts_json_import").json(&contacts), 1),
        (import("activities/contacts_file_import").multipart(form), 2),
    ] {
        let outcome = task.submit::<Value>().await.unwrap().await.unwrap();
        assert_eq!(outcome.value().unwrap()["status"]["items_total_count"], items);
    }
    assert_eq!(service.counts().submits(), 2);
}

/// Behind a 429 to a submit stands a queue that empties slowly: submits wait long, other requests do not.
#[tokio::test]
async fn a_full_queue_of_activities_stops_submits_for_long_and_nothing_else() {
    let queued = if is_long() { 1_000 } else { 3 };
    let service = start(quick().activity_duration(HOUR).queued_activities(queued)).await;
    // Submits have the profile's limit of 4 a second: too slow for a thousand.
    let profile = if is_long() { wide(&service) } else { profile(&service) };
    let client = tenant(&service, "farm", profile).build().unwrap();
    let submit = || client.post("activities/contact_exports").json(&json!({}));
    for _ in 0..queued {
        submit().send().await.unwrap();
    }
    if is_long() {
        assert!(submit().timeout(SECOND).send().await.is_err());
        assert_eq!(service.counts().throttled(), 1);
        return;
    }
    let error = submit().timeout(2 * SECOND).send().await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(429), "{error}");
    assert_eq!(service.counts().throttled(), 1, "a refusal that lasts is met once");
    let longest = client.throttle().usage().iter().filter_map(longhaul::limits::LimitUsage::paused).max();
    assert!(longest > Some(4 * 60 * SECOND), "{:?}", client.throttle().usage());
    client.get("activities").timeout(5 * SECOND).send().await.unwrap();
    let error = submit().timeout(2 * SECOND).send().await.unwrap_err();
    assert!(error.to_string().contains("queued activities"), "{error}");
    assert_eq!(service.counts().throttled(), 1);
}

#[tokio::test]
async fn the_earlier_gateways_403_is_a_refusal_for_load() {
    let service = start(ConstantContact::builder().per_second(2).legacy_refusals(true)).await;
    let client = tenant(&service, "farm", profile(&service).without_limits()).build().unwrap();
    assert_eq!(calls(std::slice::from_ref(&client), 5).await, 5);
    assert!(service.counts().throttled() > 0);
    assert_eq!(client.stats().throttled(), service.counts().throttled());
}

#[tokio::test]
async fn the_token_endpoint_gets_one_request_a_second_from_all_tenants() {
    let service = start(quick()).await;
    let throttle = Throttle::new();
    let clients = ["farm", "mill", "barn", "yard"]
        .map(|name| tenant(&service, name, profile(&service)).throttle(&throttle).build().unwrap());
    service.void_tokens();
    assert_eq!(calls(&clients, 4).await, 4);
    let counts = service.counts();
    assert_eq!((counts.refreshes(), counts.tokens_throttled()), (4, 0));
    let of_tokens: Vec<_> = service.log().into_iter().filter(|seen| seen.path().ends_with("/token")).collect();
    assert_eq!(of_tokens.len(), 4);
    assert!(of_tokens.windows(2).all(|pair| pair[1].at() - pair[0].at() >= SECOND));
}

#[tokio::test]
async fn a_token_is_refreshed_by_its_exp_before_it_is_refused() {
    let service = start(quick().token_life(2 * SECOND).token_spacing(Duration::ZERO)).await;
    let client = tenant(&service, "farm", wide(&service)).build().unwrap();
    summary(&client).await.unwrap();
    tokio::time::sleep(3 * SECOND).await;
    summary(&client).await.unwrap();
    let counts = service.counts();
    assert_eq!((counts.unauthorized(), counts.requests()), (0, 2));
    assert!(counts.refreshes() >= 1);
}

/// Remembers how many requests the API had got at each save.
struct Witness {
    memory: MemoryStore,
    service: Arc<ConstantContact>,
    saves: Arc<Mutex<Vec<u64>>>,
}

impl CredentialStore for Witness {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        self.memory.load()
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.saves.lock().unwrap().push(self.service.counts().requests());
        self.memory.save(token)
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_is_saved_before_it_is_used() {
    let service = Arc::new(start(quick()).await);
    let (memory, saves) = (MemoryStore::new(), Arc::new(Mutex::new(Vec::new())));
    let client = || {
        let witness = Witness { memory: memory.clone(), service: service.clone(), saves: saves.clone() };
        let oauth = OAuth::refresh_only(service.token_url(), KEY).client_secret("secret").store(witness);
        Client::builder(service.url()).profile(wide(&service)).credential(Credential::oauth(oauth)).no_proxy()
    };
    let granted = service.log_in(KEY, "farm");
    memory.save(Some(granted.clone().expires_at(SystemTime::UNIX_EPOCH))).await.unwrap();
    summary(&client().build().unwrap()).await.unwrap();
    assert_eq!(*saves.lock().unwrap(), [0], "saved before any request");
    let saved = memory.load().await.unwrap().unwrap();
    assert_ne!(saved.expose_refresh(), granted.expose_refresh());

    // The next process goes on from the store, and shows no spent token: a second use would end the login.
    service.void_tokens();
    tokio::time::sleep(SECOND).await;
    summary(&client().build().unwrap()).await.unwrap();
    let counts = service.counts();
    assert_eq!((counts.refreshes(), counts.unauthorized(), saves.lock().unwrap().len()), (2, 1, 2));
}

use futures::{FutureExt, Stream, StreamExt};
use longhaul::telemetry::{Alert, AlertKind, Alerts, Severity};
use longhaul::{Credential, Event, Limit, OAuth};

use super::*;

/// The alerts that are there already.
fn alerts(events: &mut (impl Stream<Item = Event> + Unpin)) -> Vec<AlertKind> {
    texts(events).iter().map(Alert::kind).collect()
}

fn texts(events: &mut (impl Stream<Item = Event> + Unpin)) -> Vec<Alert> {
    let all = std::iter::from_fn(|| events.next().now_or_never().flatten());
    all.filter_map(|event| if let Event::Alert(alert) = event { Some(alert) } else { None }).collect()
}

fn refused() -> Canned {
    reply(429).header("retry-after", "0")
}

/// So many answers, a second apart.
async fn each_second(client: &Client, service: &Script, count: usize, answer: &Canned) {
    for _ in 0..count {
        tokio::time::advance(secs(1)).await;
        answers(client, service, [answer.clone()]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn any_429_is_told_once_and_again_after_a_quiet_time() {
    let service = empty();
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    answers(&client, &service, [refused()]).await;
    each_second(&client, &service, 1, &ok()).await;
    let told = texts(&mut events);
    assert_eq!((told.len(), told[0].severity(), told[0].kind()), (1, Severity::Warning, AlertKind::Throttled));
    assert_eq!(told[0].to_string(), "warning: 1 answer was 429 in the last five minutes");
    each_second(&client, &service, 30, &refused()).await;
    assert_eq!(alerts(&mut events), [], "it goes on, and is no error rate");
    assert_eq!(client.stats().alerts().iter().map(Alert::kind).collect::<Vec<_>>(), [AlertKind::Throttled]);
    // Five minutes until none of the last five minutes had one, and five of quiet.
    each_second(&client, &service, 9 * 60, &ok()).await;
    assert_eq!(client.stats().alerts().len(), 1, "over, and not for five minutes");
    each_second(&client, &service, 2 * 60, &ok()).await;
    assert_eq!(client.stats().alerts(), []);
    assert_eq!(alerts(&mut events), []);
    each_second(&client, &service, 2, &refused()).await;
    assert_eq!(alerts(&mut events), [AlertKind::Throttled]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_at_twice_in_a_second_but_when_asked() {
    let service = empty();
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    answers(&client, &service, (0..6).map(|_| reply(401))).await;
    assert_eq!(alerts(&mut events), []);
    assert_eq!(client.stats().alerts()[0].kind(), AlertKind::Unauthorized);
    assert_eq!(alerts(&mut events), [AlertKind::Unauthorized]);
}

#[tokio::test(start_paused = true)]
async fn refusals_that_keep_coming_for_five_minutes_are_critical() {
    let service = empty();
    let client = plain(&service).alerts(Alerts::none().throttled_for(secs(300))).build().unwrap();
    let mut events = client.events();
    // With others in between, and a gap of almost a minute.
    for _ in 0..5 {
        answers(&client, &service, [refused(), ok()]).await;
        tokio::time::advance(secs(59)).await;
    }
    tokio::time::advance(secs(3)).await;
    assert_eq!(alerts(&mut events), []);
    answers(&client, &service, [ok(), refused()]).await;
    tokio::time::advance(secs(2)).await;
    answers(&client, &service, [refused(), refused()]).await;
    tokio::time::advance(secs(1)).await;
    assert_eq!(client.stats().alerts(), [], "a minute without one ended the first stretch");
    for _ in 0..12 {
        tokio::time::advance(secs(31)).await;
        answers(&client, &service, [refused()]).await;
    }
    let told = texts(&mut events);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to_string(), "critical: answers of 429 keep coming for 313s");
}

#[tokio::test(start_paused = true)]
async fn refusals_minutes_apart_go_on_where_nothing_else_is_answered() {
    for (others, told) in [(false, vec![AlertKind::ThrottledForLong]), (true, vec![])] {
        let service = empty();
        let client = plain(&service).alerts(Alerts::none().throttled_for(secs(300))).build().unwrap();
        for _ in 0..4 {
            if others {
                answers(&client, &service, [ok()]).await;
            }
            answers(&client, &service, [refused()]).await;
            tokio::time::advance(secs(110)).await;
        }
        assert_eq!(client.stats().alerts().iter().map(Alert::kind).collect::<Vec<_>>(), told, "{others}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_401_of_a_token_endpoint_is_a_failed_refresh_and_no_spike() {
    let service = script((0..30).map(|_| reply(401)));
    let oauth = OAuth::client_credentials("https://login.example.com/token", "id", "secret");
    let alerts = Alerts::standard().unauthorized(2);
    let client = service.client().credential(Credential::oauth(oauth)).alerts(alerts).build().unwrap();
    for _ in 0..30 {
        client.request(Method::GET, "farms").send().await.unwrap_err();
        tokio::time::sleep(secs(61)).await;
    }
    let stats = client.stats();
    assert_eq!((stats.authentication_rate(), stats.failed_refreshes()), (None, 30));
    let kinds: Vec<_> = stats.alerts().iter().map(Alert::kind).collect();
    assert!(kinds.contains(&AlertKind::RefreshFailed) && !kinds.contains(&AlertKind::Unauthorized), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spike_of_401s_and_a_503_are_critical() {
    let service = empty();
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    each_second(&client, &service, 5, &reply(401)).await;
    assert_eq!(alerts(&mut events), []);
    each_second(&client, &service, 1, &reply(503)).await;
    assert_eq!(texts(&mut events)[0].to_string(), "critical: 5 answers were 401 in the last five minutes");
    each_second(&client, &service, 1, &ok()).await;
    assert_eq!(texts(&mut events)[0].to_string(), "critical: 1 answer was 503 in the last five minutes");
}

#[tokio::test(start_paused = true)]
async fn an_error_rate_counts_from_twenty_requests_on() {
    let service = empty();
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    each_second(&client, &service, 3, &reply(500)).await;
    each_second(&client, &service, 17, &ok()).await;
    assert_eq!(alerts(&mut events), [], "19 were seen");
    each_second(&client, &service, 1, &ok()).await;
    let told = texts(&mut events);
    assert_eq!((told.len(), told[0].severity()), (1, Severity::Critical));
    assert_eq!(told[0].text(), "3 of 20 requests failed (15 %) in the last five minutes");

    let client = plain(&service).alerts(Alerts::none().error_rate(0.15)).build().unwrap();
    let mut events = client.events();
    each_second(&client, &service, 3, &reply(500)).await;
    each_second(&client, &service, 18, &ok()).await;
    assert_eq!(alerts(&mut events), [], "as much is not more");
}

#[tokio::test(start_paused = true)]
async fn refusals_for_load_are_no_error_rate_beside_their_own_alerts() {
    let service = empty();
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    each_second(&client, &service, 3, &refused()).await;
    each_second(&client, &service, 2, &reply(503)).await;
    each_second(&client, &service, 20, &ok()).await;
    assert_eq!(alerts(&mut events), [AlertKind::Throttled, AlertKind::Unavailable]);
    assert_eq!(client.stats().throttled(), 5);
    each_second(&client, &service, 3, &reply(500)).await;
    each_second(&client, &service, 1, &ok()).await;
    let told = texts(&mut events);
    assert_eq!(told[0].text(), "3 of 23 requests failed (13 %) in the last five minutes");
}

#[tokio::test(start_paused = true)]
async fn a_summary_knows_the_most_that_were_at_once() {
    let service = script((0..9).map(|_| ok().after(millis(200))));
    let client = plain(&service).limit(Limit::concurrent(8)).build().unwrap();
    futures::future::join_all((0..8).map(|_| ask(&client, "farms"))).await;
    tokio::time::advance(secs(60)).await;
    // Others that look take nothing from it.
    assert_eq!(client.throttle().usage()[0].used(), 0);
    assert_eq!(client.summary().limits().collect::<Vec<_>>(), [("8 at once of the account", 100)]);
    tokio::time::advance(secs(24 * 60 * 60)).await;
    ask(&client, "farms").await;
    tokio::time::advance(secs(2)).await;
    assert_eq!(client.summary().limits().collect::<Vec<_>>(), [("8 at once of the account", 12)], "a new day");
}

#[tokio::test(start_paused = true)]
async fn latencies_and_errors_are_compared_with_the_hour_before() {
    let service = empty();
    let client = plain(&service).build().unwrap();
    let mut events = client.events();
    each_second(&client, &service, 100, &ok().after(millis(400))).await;
    tokio::time::advance(secs(5 * 60)).await;
    each_second(&client, &service, 25, &ok().after(millis(420))).await;
    assert_eq!(alerts(&mut events), []);
    // 1 of 30 is slow: the 99th percentile, and not the median.
    each_second(&client, &service, 5, &ok().after(millis(2500))).await;
    assert_eq!(alerts(&mut events), [AlertKind::LatencySpike]);
    each_second(&client, &service, 40, &ok().after(millis(700))).await;
    assert_eq!(alerts(&mut events), [AlertKind::LatencyRising]);
    each_second(&client, &service, 6, &reply(404)).await;
    each_second(&client, &service, 1, &ok()).await;
    let told = texts(&mut events);
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].to_string(),
        "warning: 2 of 72 requests failed (3 %) in the last five minutes, 0.0 % in the hour before"
    );
}

#[tokio::test(start_paused = true)]
async fn use_over_80_percent_is_a_warning_for_long_windows() {
    let service = empty();
    let client = plain(&service).limit(Limit::per(10, secs(59))).limit(Limit::per_minute(10)).build().unwrap();
    let mut events = client.events();
    each_second(&client, &service, 9, &ok()).await;
    let told = texts(&mut events);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].about(), Some("10 per 60s of the account"));
    assert_eq!(told[0].to_string(), "warning: little is left of `10 per 60s of the account`: 8 of 10 (80 %)");
}

#[tokio::test(start_paused = true)]
async fn a_summary_comes_once_a_day_and_begins_anew() {
    let service = empty();
    let client = plain(&service).limit(Limit::per_minute(100)).build().unwrap();
    let mut events = client.events();
    let slow = ok().after(millis(250));
    each_second(&client, &service, 90, &slow).await;
    each_second(&client, &service, 10, &reply(404)).await;
    drop(alerts(&mut events));
    let summary = client.summary();
    assert_eq!((summary.requests(), summary.busiest_minute(), summary.success_rate()), (100, 49, Some(0.9)));
    tokio::time::advance(secs(24 * 60 * 60) - summary.during()).await;
    answers(&client, &service, [ok()]).await;
    let told = texts(&mut events);
    assert_eq!((told.len(), told[0].severity(), told[0].kind()), (1, Severity::Information, AlertKind::Daily));
    assert_eq!(
        told[0].text(),
        "the summary of the day
use: 101 requests in 86400s, 0.1 a minute, 49 in the busiest
  100 per 60s of the account: 50 % used at most
performance: 90.0 % succeeded, 0 refused for load, 10 failed, 0 without an answer
  latency: average 225.0ms, p50 250.0ms, p95 250.0ms, p99 250.0ms, max 250.0ms
refreshes: 0, 0 failed
endpoints: 1
  GET api.example.com/v1/farms: 100 requests, 90.0 % succeeded, p95 250.0ms"
    );
    answers(&client, &service, [ok(), ok()]).await;
    let next = client.summary();
    assert_eq!((next.requests(), next.endpoints()[0].requests()), (2, 3), "the answer came after midnight");
    tokio::time::advance(secs(1)).await;
    answers(&client, &service, [ok()]).await;
    assert_eq!(alerts(&mut events), []);
    assert_eq!(client.stats().requests(), 104, "the whole goes on");
}

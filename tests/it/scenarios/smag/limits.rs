//! Limits of calls and bytes that change during the run, and a monthly cap that only warns.

use futures::StreamExt;
use futures::future::join_all;
use longhaul::testing::Simulator;
use longhaul::{Client, Event, Limit};

use super::{builder, farms};
use crate::support::{DAY, SECOND, secs};

/// Calls until so much time has passed, four at a time, and returns how many were answered.
async fn call_for(client: &Client, during: std::time::Duration) -> usize {
    let begun = tokio::time::Instant::now();
    let mut answered = 0;
    while begun.elapsed() < during {
        let calls = join_all((0..4).map(|_| farms(client))).await;
        assert!(calls.iter().all(|call| matches!(call, Ok(200))), "{calls:?}");
        answered += calls.len();
    }
    answered
}

#[tokio::test]
async fn follows_a_limit_of_calls_that_changes_during_the_run() {
    let service = Simulator::smag().limit(20, SECOND).start().await.unwrap();
    let client = builder(&service).build().unwrap();
    let wide = call_for(&client, secs(4)).await;
    let refused_before = service.counts().throttled();
    service.set_limit(5, SECOND);
    let narrow = call_for(&client, secs(3)).await;
    let refused_by_change = service.counts().throttled() - refused_before;
    assert!(wide > narrow, "{wide} {narrow}");
    assert!(refused_before <= 8 && refused_by_change <= 8, "{refused_before} {refused_by_change}");
    let learned = client.throttle().learned();
    let counts: Vec<u32> = learned.limits().map(longhaul::limits::LearnedLimit::count).collect();
    assert!(counts.iter().all(|count| *count <= 20), "{learned:?}");
}

#[tokio::test]
async fn follows_a_limit_of_bytes_that_changes_during_the_run() {
    let service = Simulator::smag().farms(100).byte_limit(60_000, SECOND).start().await.unwrap();
    let client = builder(&service).build().unwrap();
    let wide = call_for(&client, secs(4)).await;
    let refused_before = service.counts().throttled();
    service.set_byte_limit(15_000, SECOND);
    let narrow = call_for(&client, secs(3)).await;
    let refused_by_change = service.counts().throttled() - refused_before;
    assert!(wide > narrow, "{wide} {narrow}");
    assert!(refused_before <= 8 && refused_by_change <= 8, "{refused_before} {refused_by_change}");
}

#[tokio::test]
async fn a_declared_limit_of_bytes_is_kept_and_changed_without_a_refusal() {
    let service = Simulator::smag().farms(100).byte_limit(30_000, SECOND).start().await.unwrap();
    let bytes = |count| Limit::bytes_per(count, SECOND).named("bytes");
    // Room for the answers that are on their way when the window closes.
    let client = builder(&service).limit(bytes(20_000)).build().unwrap();
    for _ in 0..15 {
        assert_eq!(farms(&client).await.unwrap(), 200);
    }
    assert_eq!(service.counts().throttled(), 0);
    client.throttle().change_limit(bytes(9_000)).unwrap();
    tokio::time::sleep(SECOND).await;
    service.set_byte_limit(18_000, SECOND);
    for _ in 0..9 {
        assert_eq!(farms(&client).await.unwrap(), 200);
    }
    assert_eq!((service.counts().throttled(), service.counts().other_calls()), (0, 24));
}

#[tokio::test]
async fn a_monthly_cap_warns_once_and_never_stops() {
    let service = Simulator::smag().monthly_cap(10).start().await.unwrap();
    let month = Limit::per(10, 30 * DAY).named("month").soft();
    let client = builder(&service).limit(month).build().unwrap();
    let mut events = client.events();
    for _ in 0..30 {
        assert_eq!(farms(&client).await.unwrap(), 200);
    }
    let counts = service.counts();
    assert_eq!((counts.other_calls(), counts.over_cap(), counts.throttled()), (30, 20, 0));
    let mut exceeded = 0;
    while let Some(Some(event)) = futures::FutureExt::now_or_never(events.next()) {
        exceeded += usize::from(matches!(&event, Event::Exceeded { limit } if limit.contains("month")));
    }
    assert_eq!(exceeded, 1);
}

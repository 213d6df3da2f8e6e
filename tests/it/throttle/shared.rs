//! Limits that several throttles share by a file.

use std::time::Duration;

use futures::StreamExt;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use longhaul::limits::{Priority, RequestKey};
use longhaul::{Error, ErrorKind, Event, Limit, Throttle};
use tempfile::tempdir;

async fn answered(throttle: &Throttle) -> Result<(), Error> {
    let mut permit = throttle.acquire(Priority::Call, &RequestKey::new()).timeout(Duration::from_secs(8)).await?;
    permit.answered();
    Ok(())
}

#[tokio::test]
async fn two_throttles_of_one_file_share_a_limit_and_say_so() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("limits with a space");
    let throttles = [Throttle::file(&path).unwrap(), Throttle::file(&path).unwrap()];
    for throttle in &throttles {
        throttle.add_limit(Limit::per(4, Duration::from_secs(3600))).unwrap();
        for _ in 0..2 {
            answered(throttle).await.unwrap();
        }
    }
    // All four are used: nobody gets a fifth.
    for throttle in &throttles {
        let error = answered(throttle).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    }
    let usage = throttles[1].usage();
    let shared = usage[0].shared().unwrap();
    assert!((1..=2).contains(&shared.members()) && shared.count() == 4, "{shared:?}");
    let explained = throttles[1].explain(Priority::Call, &RequestKey::new()).to_string();
    assert!(explained.contains("shared by"), "{explained}");
}

#[tokio::test]
async fn the_smaller_of_two_counts_is_kept_and_reported() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("limits");
    let (few, many) = (Throttle::file(&path).unwrap(), Throttle::file(&path).unwrap());
    few.add_limit(Limit::per(2, Duration::from_secs(3600))).unwrap();
    many.add_limit(Limit::per(9, Duration::from_secs(3600))).unwrap();
    answered(&few).await.unwrap();
    let mut events = many.events();
    answered(&many).await.unwrap();
    let differs = async {
        loop {
            if let Some(Event::LimitsDiffer { count, .. }) = events.next().await {
                return count;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), differs).await.unwrap(), 2);
}

#[tokio::test]
async fn a_refusal_that_one_hears_pauses_the_other() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("limits");
    let throttles = [Throttle::file(&path).unwrap(), Throttle::file(&path).unwrap()];
    let keys = RequestKey::uri(&Method::GET, &"https://api.example.com/exports".parse().unwrap());
    // No limit is declared: the route pauses. Both use the account, so that both read what is told.
    for throttle in &throttles {
        throttle.acquire(Priority::Call, &keys).await.unwrap().answered();
    }
    let asks = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("60"))]);
    let mut events = throttles[1].events();
    throttles[0].acquire(Priority::Call, &keys).await.unwrap().heard(StatusCode::TOO_MANY_REQUESTS, &asks);
    let told = async {
        loop {
            // It goes on with requests of its own, and hears of the pause at the latest with the next look at the file.
            let permit = throttles[1].try_acquire(Priority::Call, &keys);
            permit.into_iter().for_each(|mut permit| permit.answered());
            let next = tokio::time::timeout(Duration::from_millis(20), events.next()).await;
            if let Ok(Some(Event::Paused { limit, during })) = next {
                return (limit, during);
            }
        }
    };
    let (limit, during) = tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    assert!(limit.contains("GET api.example.com/exports"), "{limit}");
    assert!(during > Duration::from_secs(20) && during <= Duration::from_secs(61), "{during:?}");
    let explained = throttles[1].explain(Priority::Call, &keys);
    assert!(explained.is_paused(), "{explained}");
    assert!(throttles[1].try_acquire(Priority::Call, &keys).is_none());
    // It may go on by hand, alone.
    throttles[1].resume();
    assert!(throttles[1].try_acquire(Priority::Call, &keys).is_some());
    assert!(throttles[0].try_acquire(Priority::Call, &keys).is_none());
}

#[tokio::test]
async fn a_file_that_is_damaged_stops_requests_and_is_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("limits");
    let throttle = Throttle::file(&path).unwrap();
    throttle.add_limit(Limit::per_second(4)).unwrap();
    std::fs::write(&path, "something else").unwrap();
    let mut events = throttle.events();
    assert!(answered(&throttle).await.is_err());
    let down = events.by_ref().filter_map(async |event| match event {
        Event::StoreDown { why } => Some(why),
        _ => None,
    });
    let why = Box::pin(down).next().await.unwrap();
    assert!(why.contains("holds something else") && why.contains("limits"), "{why}");
    let explained = throttle.explain(Priority::Call, &RequestKey::new()).to_string();
    assert!(explained.contains("does not answer"), "{explained}");
    assert_eq!(std::fs::read(&path).unwrap(), b"something else", "it is left as it is");
    assert_eq!(Throttle::file(&path).unwrap_err().kind(), ErrorKind::Store);
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let folder = tempdir().unwrap();
    let throttle = Throttle::file(folder.path().join("limits")).unwrap();
    for limit in
        [Limit::concurrent(4), Limit::bytes_per(9, Duration::from_secs(1)), Limit::per_second(1).and_server_queue(9)]
    {
        let error = throttle.add_limit(limit).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("cannot be shared"), "{error}");
    }
    throttle.add_limit(Limit::concurrent(4).soft()).unwrap();
}

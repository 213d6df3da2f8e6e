//! Limits that several throttles share by a file.

use std::time::Duration;

use futures::StreamExt;
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

//! The decision on each failure: 401, 429, 403, the other 4xx, 5xx, in this order.

use longhaul::testing::Genesys;
use longhaul::{ErrorKind, RetryPolicy};
use serde_json::json;

use super::{builder, client, get, quick_retries};
use crate::support::secs;

#[tokio::test]
async fn errors_that_last_are_not_tried_again_and_quote_the_service() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    for (at, (status, code)) in [
        (400, "bad.request"),
        (403, "missing.any.permissions"),
        (404, "not.found"),
        (405, "method.not.allowed"),
        (422, "bad.request"),
    ]
    .into_iter()
    .enumerate()
    {
        service.fail_next(1, status, None);
        let error = client.get("users/me").send().await.unwrap_err();
        assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Rejected, Some(status)));
        let fault = error.fault().unwrap();
        assert_eq!(fault.code(), Some(code));
        assert!(error.to_string().contains("as the test asked"), "{error}");
        assert_eq!(service.counts().requests(), at as u64 + 1, "{status}");
    }
    assert_eq!(service.counts().logins(), 1);
}

#[tokio::test]
async fn errors_that_pass_are_tried_again() {
    let service = Genesys::start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    for status in [500, 502, 503, 504] {
        service.fail_next(2, status, None);
        let before = service.counts().requests();
        assert_eq!(get(&client, "users/me").await.unwrap(), 200);
        assert_eq!(service.counts().requests() - before, 3, "{status}");
    }
    assert_eq!(service.counts().logins(), 1);
}

#[tokio::test]
async fn a_post_is_tried_again_only_if_it_was_refused() {
    let service = Genesys::start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    let post = || client.post("analytics/conversations/details/query").json(&json!({})).send();
    service.fail_next(1, 500, None);
    post().await.unwrap_err();
    assert_eq!(service.counts().requests(), 1);
    service.fail_next(1, 429, Some(secs(1)));
    assert_eq!(post().await.unwrap().status(), 200);
    assert_eq!(service.counts().requests(), 3);
}

#[tokio::test]
async fn a_refusal_states_the_limit_and_its_error_too() {
    let service = Genesys::builder().rate(1).start().await.unwrap();
    let client = builder(&service).retry(RetryPolicy::none()).build().unwrap();
    let hasty = builder(&service).feedback(longhaul::limits::Feedback::Off).retry(RetryPolicy::none()).build().unwrap();
    assert_eq!(get(&client, "users/me").await.unwrap(), 200);
    // The second client has a token of its own, and a limit of its own.
    assert_eq!(get(&hasty, "users/me").await.unwrap(), 200);
    let error = hasty.get("users/me").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.fault().unwrap().code(), Some("too.many.requests.retry.after"));
    assert!(error.to_string().contains("Rate limit exceeded the maximum [1] requests"), "{error}");
    let wait = error.retry_after().unwrap();
    assert!(wait > secs(30) && wait <= secs(60), "{wait:?}");
}

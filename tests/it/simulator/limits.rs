//! Limits that change during the run: by calls, by bytes, and a cap that only warns.

use longhaul::testing::RefusalHint;

use super::*;

#[tokio::test]
async fn limits_of_calls_can_change_and_count_what_was_admitted() {
    let bench = bench(quick().limit(1, MINUTE)).await;
    assert_eq!([bench.get("farms").await.status, bench.get("farms").await.status], [200, 429]);
    bench.service.set_limit(3, MINUTE);
    let statuses = [(); 3].map(|()| bench.get("farms"));
    let statuses: Vec<_> =
        futures::future::join_all(statuses).await.iter().map(|reply| reply.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    bench.service.set_limit(1, MINUTE);
    assert_eq!(bench.get("farms").await.status, 429);
}

#[tokio::test]
async fn limits_of_bytes_count_both_ways_and_can_change_and_go() {
    let bench = bench(quick().farms(100).byte_limit(8_000, MINUTE)).await;
    let length = bench.get("farms").await.body.len();
    assert!((2_700..4_000).contains(&length), "{length}");
    let long = bench.call(Method::POST, "exports").body(json!({ "text": "x".repeat(8_000) }).to_string());
    assert_eq!(send(long).await.status, 201);
    assert_eq!(bench.get("farms").await.status, 429);
    bench.service.set_byte_limit(100_000, MINUTE);
    assert_eq!(bench.get("farms").await.status, 200);
    bench.service.set_byte_limit(1_000, MINUTE);
    assert_eq!(bench.get("farms").await.status, 429);
    bench.service.lift_byte_limit();
    assert_eq!(bench.get("farms").await.status, 200);
    assert_eq!(bench.service.counts().throttled(), 2);
}

#[tokio::test]
async fn a_refusal_states_its_wait_in_the_units_of_the_place() {
    for (hint, in_header, in_body) in [
        (RefusalHint::Header, true, false),
        (RefusalHint::Body, false, true),
        (RefusalHint::HeaderAndBody, true, true),
        (RefusalHint::Absent, false, false),
    ] {
        let bench = bench(quick().limit(0, Duration::from_millis(1_500)).refusal_hint(hint)).await;
        let reply = bench.get("farms").await;
        assert_eq!(reply.header("retry-after"), if in_header { "2" } else { "" }, "{hint:?}");
        assert_eq!(reply.json().get("RetryAfter"), in_body.then_some(&json!(1_500)), "{hint:?}");
    }
}

#[tokio::test]
async fn a_soft_cap_warns_and_refuses_nobody() {
    let bench = bench(quick().monthly_cap(2)).await;
    let mut warnings = Vec::new();
    for _ in 0..4 {
        let reply = bench.get("farms").await;
        assert_eq!(reply.status, 200);
        warnings.push(reply.header("warning").starts_with("299 "));
    }
    assert_eq!(warnings, [false, false, true, true]);
    assert_eq!((bench.service.counts().over_cap(), bench.service.counts().throttled()), (2, 0));
}

#[tokio::test]
async fn refreshes_as_smag_does_with_the_token_alone() {
    let service = Simulator::smag().start().await.unwrap();
    let login = json!({
        "ApplicationId": service.client_id(),
        "UserName": service.user(),
        "Password": service.password(),
    });
    let http = bare();
    let log_in = || http.post(service.login_url()).body(login.to_string());
    assert_eq!(send(log_in()).await.status, 401);
    let first = send(log_in().header(KEY, service.subscription_key())).await.json();
    assert_eq!(first["Identity"], json!({}));
    let refresh = |token: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        let request = http.post(service.refresh_url()).header(KEY, service.subscription_key()).body(form);
        send(request.header("content-type", "application/x-www-form-urlencoded"))
    };
    let spent = first["Refresh_Token"].as_str().unwrap();
    let next = refresh(spent).await;
    assert_eq!(next.status, 200);
    assert!(next.json()["Token"].as_str().unwrap().split('.').count() == 3, "{next:?}");
    assert_ne!(next.json()["Refresh_Token"], first["Refresh_Token"]);
    assert_eq!(refresh(spent).await.status, 400);
    assert_eq!((service.counts().logins(), service.counts().refreshes()), (1, 1));
    assert_eq!(service.counts().misplaced_credentials(), 0);
    send(http.get(service.storage_url()).header(KEY, service.subscription_key())).await;
    assert_eq!(service.counts().misplaced_credentials(), 1);
}

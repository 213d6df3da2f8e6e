//! Who is let in, what is logged, and how connections end.

use super::*;

#[tokio::test]
async fn wants_both_the_token_and_the_key() {
    let bench = bench(Simulator::builder().bearer("token-1").subscription_key("key-1")).await;
    assert_eq!((bench.service.bearer(), bench.service.subscription_key()), ("token-1", "key-1"));
    let url = bench.service.url().join("farms").unwrap();
    let get = || bench.http.get(url.clone());
    for (request, status) in [
        (get(), 401),
        (get().bearer_auth("token-1"), 401),
        (get().header(KEY, "key-1"), 401),
        (get().bearer_auth("token-2").header(KEY, "key-1"), 401),
        (get().bearer_auth("token-1").header(KEY, "key-2"), 401),
        (get().basic_auth("token-1", None::<&str>).header(KEY, "key-1"), 401),
        (get().bearer_auth("token-1").header(KEY, "key-1"), 200),
    ] {
        let reply = send(request).await;
        assert_eq!(reply.status, status);
        if status == 401 {
            assert_eq!(reply.json()["statusCode"], 401);
            assert!(!reply.header("www-authenticate").is_empty());
        }
    }
    assert_eq!(bench.service.counts().unauthorized(), 6);
    assert_eq!(bench.service.counts().other_calls(), 1);
}

#[tokio::test]
async fn lets_everybody_in_when_it_is_open() {
    let service = Simulator::builder().open().start().await.unwrap();
    let reply = send(bare().get(service.url().join("farms").unwrap())).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn refuses_what_is_over_the_limit_and_forgets_it() {
    let window = Duration::from_secs(120);
    let bench = bench(quick().limit(100, Duration::from_secs(1)).limit(3, window)).await;
    let uid = bench.submit(json!({})).await;
    assert_eq!(bench.get("farms").await.status, 200);
    assert_eq!(bench.poll(&uid).await.status, 200);
    for _ in 0..5 {
        let reply = bench.get("farms").await;
        assert_eq!(reply.status, 429);
        let seconds: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=120).contains(&seconds), "{seconds}");
        let message = format!("Rate limit is exceeded. Try again in {seconds} seconds.");
        assert_eq!(reply.json(), json!({ "statusCode": 429, "message": message }));
    }
    let counts = bench.service.counts();
    assert_eq!((counts.throttled(), counts.other_calls(), counts.requests()), (5, 1, 8));
}

#[tokio::test]
async fn a_client_that_waits_as_asked_is_let_in_again() {
    let bench = bench(Simulator::builder().limit(2, Duration::from_millis(1_000))).await;
    let refused = loop {
        let reply = bench.get("farms").await;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.get("farms").await.status, 200);
}

#[tokio::test]
async fn notices_secrets_that_went_to_the_wrong_origin() {
    let bench = bench(quick()).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let (token, key) = (bench.service.bearer(), bench.service.subscription_key());
    let get = || bench.fetch(&link);
    assert_eq!(send(get().header("X-Fine", "1")).await.status, 200);
    assert_eq!(bench.service.counts().misplaced_credentials(), 0);
    let signed = |path: &str| format!("{path}?sv=1&sig=abc");
    for (count, request) in (1..).zip([
        get().bearer_auth("another"),
        get().header(KEY, "another"),
        get().header("Cookie", "a=b"),
        get().header("Referer", "http://example.com/"),
        get().header("X-Other", format!("<{token}>")),
        get().header("X-Other", format!("<{key}>")),
        bench.fetch(&format!("{link}&key={key}")),
        bench.call(Method::GET, &signed("farms")),
    ]) {
        assert_eq!(send(request).await.status, 200);
        assert_eq!(bench.service.counts().misplaced_credentials(), count);
    }
}

#[tokio::test]
async fn logs_every_request_and_no_secret() {
    let bench = bench(quick()).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    send(bench.fetch(&link)).await;
    let log = bench.service.log();
    let lines: Vec<_> = log
        .iter()
        .map(|seen| (seen.side(), seen.method().as_str(), seen.path(), seen.status().unwrap().as_u16()))
        .collect();
    let results = format!("/farmsandfields/v1/results/{uid}");
    let export = format!("/exports/{uid}.parquet");
    assert_eq!(
        lines,
        [
            (Side::Api, "POST", "/farmsandfields/v1/exports", 201),
            (Side::Api, "GET", results.as_str(), 200),
            (Side::Storage, "GET", export.as_str(), 200),
        ]
    );
    assert!(log.is_sorted_by_key(Seen::at));
    assert!(log[0].header_names().iter().any(|name| name == "authorization"));

    let builder = Simulator::builder().bearer("token-7").subscription_key("key-7");
    let shown = format!("{log:?} {:?} {builder:?} {:?}", bench.service, bench.service.counts());
    for secret in [bench.service.bearer(), bench.service.subscription_key(), "sig=", "token-7", "key-7"] {
        assert!(!shown.contains(secret));
    }
}

#[tokio::test]
async fn a_connection_can_be_used_again_after_a_refusal() {
    let bench = bench(quick()).await;
    let url = bench.service.url();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let head = "POST /farmsandfields/v1/exports HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b' '; 200_000]).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 401");
        let mut rest = Vec::new();
        while !rest.ends_with(b"}") {
            rest.push(stream.read_u8().await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let bench = bench(quick()).await;
    let request = bench.call(Method::POST, "exports").body(vec![b' '; 1024 * 1024 + 1]);
    assert_eq!(send(request).await.status, 413);
    assert!(bench.service.tasks().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_many_at_once_and_admits_exactly_the_limit() {
    let bench = bench(quick().limit(150, Duration::from_secs(600))).await;
    let calls = (0..300).map(|_| bench.get("farms"));
    let replies = futures::future::join_all(calls).await;
    let admitted = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(admitted, 150);
    assert_eq!(bench.service.counts().throttled(), 150);
}

#[tokio::test]
async fn stops_when_it_is_dropped() {
    let Bench { service, http } = bench(Simulator::builder().storage_rate(10)).await;
    let bench = Bench { service, http };
    let uid = bench.submit(json!({ "duration_ms": 0 })).await;
    let link = bench.link(&uid).await;
    let mut body = bench.fetch(&link).send().await.unwrap();
    let ports = [bench.service.url(), bench.service.storage_url()].map(|url| url.port().unwrap());

    drop(bench.service);
    let stopped = tokio::time::timeout(MINUTE / 6, async {
        while let Ok(Some(_)) = body.chunk().await {}
        for port in ports {
            while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    });
    stopped.await.unwrap();
}

#[test]
fn can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Debug + 'static>() {}
    shared::<Simulator>();
    shared::<SimulatorBuilder>();
}

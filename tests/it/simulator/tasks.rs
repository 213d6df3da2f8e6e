//! Tasks: submits, polls, cancels, and their trouble.

use super::*;

#[tokio::test]
async fn leads_from_a_submit_to_the_bytes_of_its_result() {
    let bench = bench(Simulator::builder().task_duration(Duration::from_millis(400))).await;
    let reply = send(bench.call(Method::POST, "exports").body(r#"{"size":123457}"#)).await;
    assert_eq!(reply.status, 201);
    let uid = bench.service.tasks().remove(0);
    let status_url = bench.service.url().join(&format!("tasks/{uid}")).unwrap();
    assert_eq!(reply.json(), json!({ "TaskUid": uid, "Location": status_url }));
    assert_eq!(reply.header("location"), status_url.as_str());
    assert_eq!(reply.header("retry-after"), "");

    let mut words = Vec::new();
    let mut percents = Vec::new();
    let finished = loop {
        let reply = bench.poll(&uid).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.header("x-correlation-id").is_empty());
        let body = reply.json();
        words.push(body["Status"].as_str().unwrap().to_owned());
        percents.push(body["PercentComplete"].as_u64().unwrap());
        if body["Status"] == "finished" {
            break reply;
        }
        assert_eq!((reply.header("retry-after"), &body["RetryAfter"]), ("0.2", &json!(200)));
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    words.dedup();
    assert_eq!(words, ["accepted", "started", "finished"]);
    assert!(percents.is_sorted(), "{percents:?}");
    assert_eq!(percents.last(), Some(&100));

    let results = bench.service.url().join(&format!("results/{uid}")).unwrap();
    assert_eq!(finished.header("location"), results.as_str());
    assert_eq!(finished.json()["Location"], results.as_str());
    let result = bench.get(results.as_str()).await.json();
    assert_eq!((&result["TaskUid"], &result["Rows"]), (&json!(uid), &json!(1_234)));

    let link = result["Result"].as_str().unwrap();
    assert!(link.starts_with(bench.service.storage_url().as_str()), "{link}");
    let bytes = send(bench.fetch(link)).await.body;
    let content = bench.service.expected(&uid).unwrap();
    assert_eq!(content.len(), 123_457);
    assert!(content.verify(bytes.as_slice()).unwrap());

    let counts = bench.service.counts();
    assert_eq!((counts.submits(), counts.follow_ups(), counts.downloads()), (1, 1, 1));
    assert_eq!(counts.polls(), percents.len() as u64);
    assert_eq!(counts.requests(), 2 + percents.len() as u64);
    assert_eq!(counts.storage_bytes(), 123_457);
    assert_eq!(counts.misplaced_credentials(), 0);
}

#[tokio::test]
async fn finishes_with_the_link_where_it_was_asked_to() {
    let signed = bench(quick().finish(Finish::Signed)).await;
    let reply = signed.poll(&signed.submit(json!({})).await).await;
    let link = reply.header("location");
    assert!(link.contains("/exports/") && link.contains("&sig="), "{link}");
    assert_eq!(reply.json()["Location"], link);
    assert_eq!(send(signed.fetch(link)).await.status, 200);

    let only = bench(quick().finish(Finish::ResultOnly)).await;
    let reply = only.poll(&only.submit(json!({ "format": "csv" })).await).await;
    let body = reply.json();
    assert_eq!((reply.header("location"), &body["Location"]), ("", &Value::Null));
    let link = body["Result"].as_str().unwrap();
    assert!(link.contains(".csv?"), "{link}");
    assert_eq!(send(only.fetch(link)).await.status, 200);
}

#[tokio::test]
async fn answers_a_submit_as_it_was_asked_to() {
    let bench = bench(
        quick().accept_status(202).relative_locations(true).hint_on_submit(true).retry_after(Duration::from_secs(2)),
    )
    .await;
    let reply = send(bench.call(Method::POST, "exports")).await;
    assert_eq!(reply.status, 202);
    let uid = bench.service.tasks().remove(0);
    let path = format!("/farmsandfields/v1/tasks/{uid}");
    assert_eq!((reply.header("location"), reply.header("retry-after")), (path.as_str(), "2"));
    assert_eq!(reply.json()["Location"], path);
    let finished = bench.poll(&uid).await;
    assert_eq!(finished.header("location"), format!("/farmsandfields/v1/results/{uid}"));
    assert!(bench.link(&uid).await.starts_with("http://"));
}

#[tokio::test]
async fn refuses_to_start_with_a_status_that_does_not_fit() {
    for builder in [
        Simulator::builder().accept_status(204),
        Simulator::builder().accept_status(404),
        Simulator::builder().fail_polls(1, 200),
        Simulator::builder().fail_storage(1, 99),
    ] {
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn fails_the_tasks_that_it_should() {
    let bench = bench(quick().fail_every(2)).await;
    let asked = bench.submit(json!({ "fail": "no such farm" })).await;
    let second = bench.submit(json!({})).await;
    let third = bench.submit(json!({})).await;

    let reply = bench.poll(&asked).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["Status"]), (StatusCode::OK, &json!("failed")));
    assert_eq!(body["Error"], json!({ "code": "ExportFailed", "message": "no such farm" }));
    assert_eq!(body["CorrelationId"], reply.header("x-correlation-id"));

    assert_eq!(bench.poll(&second).await.json()["Status"], "failed");
    assert_eq!(bench.poll(&third).await.json()["Status"], "finished");
    assert_eq!(bench.get(&format!("results/{second}")).await.status, 404);
    assert_eq!(bench.service.tasks(), [asked, second, third]);
}

#[tokio::test]
async fn cancels_a_task_that_has_not_ended() {
    let bench = bench(Simulator::builder()).await;
    let running = bench.submit(json!({ "duration_ms": 3_600_000 })).await;
    let ended = bench.submit(json!({ "duration_ms": 0 })).await;
    for (uid, word) in [(running, "canceled"), (ended, "finished")] {
        let reply = send(bench.call(Method::DELETE, &format!("tasks/{uid}"))).await;
        assert_eq!(reply.status, 202);
        assert_eq!(bench.poll(&uid).await.json()["Status"], word);
    }
    assert_eq!(bench.service.counts().cancels(), 2);
}

#[tokio::test]
async fn knows_only_its_own_paths_and_methods() {
    let bench = bench(quick()).await;
    for (method, path, status) in [
        (Method::GET, "tasks/none", 404),
        (Method::DELETE, "tasks/none", 404),
        (Method::GET, "results/none", 404),
        (Method::GET, "fields", 404),
        (Method::GET, "/elsewhere", 404),
        (Method::GET, "exports", 405),
        (Method::POST, "farms", 405),
        (Method::PUT, "tasks/none", 405),
    ] {
        let reply = send(bench.call(method, path)).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.json()["statusCode"], status, "{path}");
        assert!(reply.json()["message"].is_string());
    }
    let broken = send(bench.call(Method::POST, "exports").body("{")).await;
    assert_eq!(broken.status, 400);
    let farms = bench.get("farms").await.json();
    assert_eq!(farms[0]["id"], 1);
    assert!(farms[0]["name"].is_string());
    assert_eq!(bench.service.counts().other_calls(), 6);
}

#[tokio::test]
async fn loses_and_fails_the_first_polls_of_each_task() {
    let wait = Duration::from_millis(1_500);
    let bench = bench(quick().lose_first_polls(1).fail_polls(2, 503).trouble_retry_after(wait)).await;
    for _ in 0..2 {
        let uid = bench.submit(json!({})).await;
        assert_eq!(bench.poll(&uid).await.status, 404);
        for _ in 0..2 {
            let reply = bench.poll(&uid).await;
            assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1.5"));
        }
        assert_eq!(bench.poll(&uid).await.json()["Status"], "finished");
    }
}

#[tokio::test]
async fn notices_polls_that_come_too_early() {
    let wait = Duration::from_millis(60);
    let bench = bench(Simulator::builder().task_duration(Duration::from_secs(60)).retry_after(wait)).await;
    let uid = bench.submit(json!({})).await;
    for _ in 0..3 {
        bench.poll(&uid).await;
        tokio::time::sleep(wait).await;
    }
    assert_eq!(bench.service.counts().early_polls(), 0);

    let hasty = self::bench(Simulator::builder().task_duration(MINUTE).retry_after(MINUTE)).await;
    let one = hasty.submit(json!({})).await;
    let other = hasty.submit(json!({})).await;
    for uid in [&one, &other, &one, &one] {
        hasty.poll(uid).await;
    }
    assert_eq!(hasty.service.counts().early_polls(), 2);
}

#[tokio::test]
async fn takes_at_least_its_latency_and_stays_in_order() {
    let latency = Duration::from_millis(30);
    let bench = bench(Simulator::builder().latency(latency).jitter(latency)).await;
    let start = Instant::now();
    let (one, two) = tokio::join!(bench.get("farms"), bench.get("farms"));
    assert!(start.elapsed() >= latency);
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert!(bench.service.log().is_sorted_by_key(Seen::at));
}

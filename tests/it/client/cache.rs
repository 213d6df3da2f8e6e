//! Answers that are kept: what is kept, for how long, and what ends it.

use http::Method;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, ErrorKind};
use serde_json::{Value, json};

use crate::support::{client, secs};

/// Returns a service that numbers its answers.
fn numbers(count: u32) -> Script {
    script((1..=count).map(|number| reply(200).json(json!(number))))
}

async fn get(client: &Client, path: &str) -> Value {
    client.get(path).cached(secs(60)).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_again_for_its_time_and_by_the_same_request_alone() {
    let service = numbers(9);
    let client = client(&service);
    assert_eq!(get(&client, "farms").await, 1);
    tokio::time::sleep(secs(59)).await;
    assert_eq!(get(&client, "farms").await, 1);
    // A clone shares it; another query, another header, another body, and a plain call do not.
    assert_eq!(get(&client.clone(), "farms").await, 1);
    assert_eq!(get(&client, "farms?page=2").await, 2);
    let other = client.get("farms").header("accept", "text/csv").cached(secs(60)).send().await.unwrap();
    assert_eq!(other.json::<u32>().await.unwrap(), 3);
    let search = client.get("farms").json(&1).cached(secs(60)).send().await.unwrap();
    assert_eq!(search.json::<u32>().await.unwrap(), 4);
    assert_eq!(client.get("farms").send().await.unwrap().json::<u32>().await.unwrap(), 5);
    // A call that wants it younger.
    let young = client.get("farms").cached(secs(10)).send().await.unwrap();
    assert_eq!(young.json::<u32>().await.unwrap(), 6);
    tokio::time::sleep(secs(11)).await;
    // Kept for 60 s, and for 10 s.
    assert_eq!(get(&client, "farms?page=2").await, 2);
    assert_eq!(get(&client, "farms").await, 7);
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_whole_and_says_that_it_was_not_sent() {
    let service = script([reply(200).header("x-total", "7").header("content-type", "text/csv").body("a,b")]);
    let client = client(&service);
    for attempts in [1, 0, 0] {
        let answer = client.get("farms").cached(secs(60)).send().await.unwrap();
        assert_eq!((answer.attempts(), answer.status().as_u16()), (attempts, 200));
        assert_eq!((answer.headers()["x-total"].as_bytes(), answer.url().path()), (&b"7"[..], "/v1/farms"));
        assert_eq!(answer.text().await.unwrap(), "a,b");
    }
    assert_eq!(client.stats().requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_but_a_whole_200_is_kept() {
    let cases: [(&str, Canned); 7] = [
        ("404", reply(404)),
        ("301", reply(301).header("location", "/v1/x")),
        ("204", reply(204)),
        ("no-store", reply(200).header("cache-control", "no-store")),
        ("vary", reply(200).header("vary", "*")),
        ("cut", reply(200).body("{").cut()),
        ("long", reply(200).body("x".repeat(2000))),
    ];
    for (name, answer) in cases {
        let service = script([answer, reply(200).body("good")]);
        let client = service.client().body_limit(1000).build().unwrap();
        let first = client.get("farms").cached(secs(60)).send().await;
        if name == "long" {
            // It can be read all the same.
            let mut first = first.unwrap();
            assert_eq!(first.chunk().await.unwrap().unwrap().len(), 2000);
        } else if name == "cut" {
            assert_eq!(first.unwrap_err().kind(), ErrorKind::Network);
        }
        let second = client.get("farms").cached(secs(60)).send().await.unwrap();
        assert_eq!(second.text().await.unwrap(), "good", "{name}");
    }
    let service = script([reply(429).header("retry-after", "1"), reply(200).body("good")]);
    let client = client(&service);
    for _ in 0..2 {
        assert_eq!(client.get("farms").cached(secs(60)).send().await.unwrap().text().await.unwrap(), "good");
    }
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_to_the_path_forgets_it() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let service = numbers(9);
        let client = client(&service);
        assert_eq!((get(&client, "farms?a=1").await, get(&client, "other").await), (json!(1), json!(2)));
        client.request(method.clone(), "farms?b=2").send().await.unwrap();
        assert_eq!(get(&client, "farms?a=1").await, 4, "{method}");
        assert_eq!(get(&client, "other").await, 2);
    }
    // A submit, a bulk, and a write that failed or was dropped.
    let service = numbers(1);
    let client = client(&service);
    get(&client, "farms").await;
    service.then(reply(200).json(json!(0)));
    drop(client.task().post("farms").submit::<u32>().await.unwrap());
    service.then(reply(200).json(json!(2)));
    assert_eq!(get(&client, "farms").await, 2);
    service.then(reply(500));
    client.in_chunks([1], 1).post("farms").send::<Value>().await.unwrap();
    service.then(reply(200).json(json!(3)));
    assert_eq!(get(&client, "farms").await, 3);
    service.then(reply(200).silent());
    client.put("farms").timeout(secs(1)).send().await.unwrap_err();
    service.then(reply(200).json(json!(4)));
    assert_eq!(get(&client, "farms").await, 4);
    client.clear_cache();
    service.then(reply(200).json(json!(5)));
    assert_eq!(get(&client, "farms").await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_was_under_way_during_a_write_is_not_kept() {
    let service = script([reply(200).after(secs(9)), reply(200).json(json!(1)).after(secs(5))]);
    let client = client(&service);
    let write = async || client.put("farms").send().await.unwrap();
    // The write begins before the read, and ends after it.
    tokio::join!(biased; write(), get(&client, "farms"));
    service.then(reply(200).json(json!(2)).after(secs(9)));
    service.then(reply(200).after(secs(5)));
    // The write begins and ends during the read.
    let (read, _) = tokio::join!(biased; get(&client, "farms"), async {
        tokio::time::sleep(secs(1)).await;
        write().await
    });
    assert_eq!(read, 2);
    service.then(reply(200).json(json!(3)));
    assert_eq!(get(&client, "farms").await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_may_keep_all_gets_and_a_call_may_opt_out() {
    let service = numbers(9);
    let client = service.client().cache_gets(secs(60), 2).build().unwrap();
    let plain = async |path: &str| client.get(path).send().await.unwrap().json::<u32>().await.unwrap();
    assert_eq!((plain("a").await, plain("a").await), (1, 1));
    let fresh = client.get("a").cached(secs(0)).send().await.unwrap();
    assert_eq!(fresh.json::<u32>().await.unwrap(), 2);
    assert_eq!((plain("b").await, plain("c").await, plain("b").await), (3, 4, 3));
    // Of three, the one that was taken longest ago is gone.
    assert_eq!(plain("a").await, 5);
    client.post("a").send().await.unwrap();
    let text = format!("{client:?}");
    assert!(!text.contains("farms"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn by_default_nothing_is_kept() {
    let service = numbers(2);
    let client = client(&service);
    for expected in [1, 2] {
        assert_eq!(client.get("farms").send().await.unwrap().json::<u32>().await.unwrap(), expected);
    }
}

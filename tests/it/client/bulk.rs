//! Many items in requests of a bounded size: nothing is lost, and nothing is sent twice.

use futures::StreamExt;
use longhaul::http::{BulkResults, ItemError, ItemFate};
use longhaul::protocols::Source;
use longhaul::testing::{Canned, Script, reply, script};
use longhaul::{Client, ErrorKind, Limit};
use serde_json::{Value, json};

use crate::support::{SECOND, shown};

fn client(service: &Script) -> Client {
    service.client().build().unwrap()
}

/// Returns the answer that echoes these items.
fn echo(items: impl IntoIterator<Item = u32>) -> Canned {
    let rows: Vec<_> = items.into_iter().map(|item| json!({"n": item})).collect();
    reply(200).json(json!({"rows": rows}))
}

fn bulk(client: &Client, items: std::ops::Range<u32>) -> longhaul::http::BulkBuilder<'static, u32> {
    client.in_chunks(items, 2).post("rows").results(Source::pointer("/rows/*"))
}

fn bodies(service: &Script) -> Vec<Value> {
    service.requests().iter().map(|request| serde_json::from_slice(request.body()).unwrap()).collect()
}

/// Returns the value or the fate of each item, and checks the positions.
fn fates(results: Vec<Result<Value, ItemError>>) -> Vec<Result<u64, ItemFate>> {
    let fate = |(at, result): (usize, Result<Value, ItemError>)| match result {
        Ok(value) => Ok(value["n"].as_u64().unwrap()),
        Err(error) => {
            assert_eq!(error.index(), at);
            Err(error.fate())
        }
    };
    results.into_iter().enumerate().map(fate).collect()
}

#[tokio::test(start_paused = true)]
async fn each_item_gets_its_result_in_order_and_goes_once() {
    let service = script([echo([0, 1]), echo([2, 3]), echo([4])]);
    let results = bulk(&client(&service), 0..5).body(|items| json!({"inputs": items})).send::<Value>().await.unwrap();
    assert_eq!(fates(results), [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(bodies(&service), [json!({"inputs": [0, 1]}), json!({"inputs": [2, 3]}), json!({"inputs": [4]})]);
    let requests = service.requests();
    assert!(requests.iter().all(|request| request.header("content-type") == Some("application/json")));
    assert_eq!(requests[0].url().path(), "/v1/rows");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_marks_its_items_alone() {
    use ItemFate::{Failed, Uncertain};
    for (answer, fate, sends) in [
        (vec![reply(400)], Failed, 4),
        (vec![reply(307).header("location", "/v1/other")], Failed, 4),
        (vec![reply(500)], Uncertain, 4),
        (vec![reply(504)], Uncertain, 4),
        (vec![reply(0).lost()], Uncertain, 4),
        (vec![reply(200).body("{\"rows\": [").cut()], Uncertain, 4),
        (vec![reply(200).json(json!({"rows": [1]}))], Uncertain, 4),
        (vec![reply(503); 5], Failed, 8),
        // Refused, sent again, and then lost: the last answer says less than the lost one.
        (vec![reply(503), reply(0).lost()], Uncertain, 5),
    ] {
        let answers = [echo([0, 1])].into_iter().chain(answer.clone()).chain([echo([4, 5]), echo([6])]);
        let service = script(answers);
        let results = bulk(&client(&service), 0..7).send::<Value>().await.unwrap();
        let expected = [Ok(0), Ok(1), Err(fate), Err(fate), Ok(4), Ok(5), Ok(6)];
        assert_eq!((fates(results), service.requests().len()), (expected.to_vec(), sends), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_says_that_nothing_was_accepted_unless_it_leads_to_what_was_made() {
    for (status, fate) in [(303, ItemFate::Uncertain), (307, ItemFate::Failed)] {
        let service = script([reply(status).header("location", "/v1/contacts/9")]);
        let results = client(&service).in_chunks(vec![1], 10).post("contacts").send::<Value>().await.unwrap();
        assert_eq!(results[0].as_ref().unwrap_err().fate(), fate, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_once_stays_uncertain_whatever_follows() {
    // A PUT is repeated, and the last answer says that nothing was done: the lost one may have done it.
    let service = script([reply(0).lost(), reply(400)]);
    let results = bulk(&client(&service), 0..2).put("rows").send::<Value>().await.unwrap();
    assert_eq!(fates(results), [Err(ItemFate::Uncertain); 2]);
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_for_load_or_never_arrived_is_sent_again() {
    let service = script([reply(429).header("retry-after", "7"), reply(0).unsent(), echo([0, 1]), echo([2])]);
    let results = bulk(&client(&service), 0..3).send::<Value>().await.unwrap();
    assert_eq!(fates(results), [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(bodies(&service)[..3], [json!([0, 1]), json!([0, 1]), json!([0, 1])]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_all_would_get_ends_it_and_names_the_unsent() {
    use ItemFate::{Failed, NotSent};
    for status in [401, 403, 404, 405, 410, 501] {
        let service = script([echo([0, 1]), reply(status).json(json!({"code": "Q"}))]);
        let results = bulk(&client(&service), 0..7).send::<Value>().await.unwrap();
        let error = results[6].as_ref().unwrap_err();
        assert_eq!(error.error().status().unwrap().as_u16(), status);
        assert!(error.to_string().starts_with("item 6 was not sent: "), "{error}");
        let mut expected = vec![Ok(0), Ok(1), Err(Failed), Err(Failed)];
        expected.extend([Err(NotSent); 3]);
        assert_eq!((fates(results), service.requests().len()), (expected, 2), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_deadline_nothing_is_sent() {
    use ItemFate::{NotSent, Uncertain};
    // In flight over it; in the queue over it.
    let hour = Limit::per(1, 3600 * SECOND);
    for (second, limit, fate, sends) in
        [(reply(200).silent(), None, Uncertain, 2), (echo([2, 3]), Some(hour), NotSent, 1)]
    {
        let service = script([echo([0, 1]), second]);
        let client = limit.into_iter().fold(service.client(), longhaul::ClientBuilder::limit).build().unwrap();
        let results = bulk(&client, 0..5).timeout(9 * SECOND).send::<Value>().await.unwrap();
        let is_late = |result: &Result<Value, ItemError>| {
            result.as_ref().is_err_and(|error| error.error().kind() == ErrorKind::DeadlineExceeded)
        };
        assert!(results[2..].iter().all(is_late), "{results:?}");
        let expected = vec![Ok(0), Ok(1), Err(fate), Err(fate), Err(NotSent)];
        assert_eq!((fates(results), service.requests().len()), (expected, sends));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_if_one_item_does_not_fit() {
    let service = script([echo([0, 1])]);
    let client = client(&service);
    let items = ["a", "b", "too long to fit"];
    for (bulk, words) in [
        (client.in_chunks(items, 2).post("rows").max_bytes(12), "the item 2 makes a body of 19 bytes"),
        (client.in_chunks(items, 2).post("rows").match_by("id"), "the item 0 has no id"),
        (client.in_chunks(items, 0).post("rows"), "in_chunks(_, 0)"),
        (client.in_chunks(items, 2), "it has no path"),
        (client.in_chunks(items, 2).post("../up"), ".."),
    ] {
        let error = bulk.send::<Value>().await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.kind(), ErrorKind::Request);
    }
    assert_eq!(service.requests().len(), 0);
    let none: Vec<u32> = Vec::new();
    assert!(client.in_chunks(none, 2).post("rows").send::<Value>().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn results_match_by_id_in_any_order_and_errors_have_the_words_of_the_service() {
    let answer = json!([
        {"email": "c", "id": 3},
        {"email": "a", "error": {"code": "bad.email", "message": "no domain"}},
    ]);
    let service = script([reply(207).json(answer)]);
    let items = ["a", "b", "c"].map(|email| json!({"contact": {"email": email}}));
    let client = client(&service);
    let bulk = client.in_chunks(&items, 100).post("rows").results(Source::body());
    let bulk = bulk.match_by_pair("contact/email", "email").item_error(Source::pointer("/error"));
    let results = bulk.send::<Value>().await.unwrap();
    let error = results[0].as_ref().unwrap_err();
    let fault = error.error().fault().unwrap();
    assert_eq!((fault.code(), fault.message()), (Some("bad.email"), Some("no domain")));
    assert!(error.value().unwrap().starts_with(b"{\"email\":\"a\""));
    assert_eq!((error.fate(), results[1].as_ref().unwrap_err().fate()), (ItemFate::Rejected, ItemFate::Uncertain));
    assert_eq!(results[2].as_ref().unwrap()["id"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_result_of_another_type_is_kept() {
    let service = script([reply(200).json(json!({"rows": [1, "one"]}))]);
    let results = bulk(&client(&service), 0..2).send::<u32>().await.unwrap();
    let error = results[1].as_ref().unwrap_err();
    assert_eq!((error.index(), error.fate(), error.value()), (1, ItemFate::Undecoded, Some(&b"\"one\""[..])));
    assert_eq!(*results[0].as_ref().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_requests_at_a_time_keep_the_order_of_the_results_and_the_limits() {
    let answers = [echo([0, 1]).after(9 * SECOND), echo([2, 3]).after(4 * SECOND), echo([4, 5]), echo([6])];
    let service = script(answers);
    let client = service.client().limit(Limit::concurrent(2)).build().unwrap();
    let results = bulk(&client, 0..7).concurrent(3).send::<Value>().await.unwrap();
    assert_eq!(fates(results), [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4), Ok(5), Ok(6)]);
    // The limit holds the third back until the second is answered. The fourth is no longer one of three before the first
    // result is handed out.
    assert_eq!(service.gaps(), [std::time::Duration::ZERO, 4 * SECOND, 5 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_hands_out_what_is_known_before_the_next_request() {
    let service = script([echo([0, 1]), echo([2, 3])]);
    let mut results: BulkResults<Value> = bulk(&client(&service), 0..4).stream().unwrap();
    assert_eq!(service.requests().len(), 0);
    assert!(results.next().await.unwrap().is_ok());
    assert_eq!(service.requests().len(), 1);
    assert_eq!(results.collect::<Vec<_>>().await.len(), 3);
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_text_of_an_item_shows_its_value() {
    let service = script([reply(200).json(json!({"rows": [{"token": "s3cret"}, 1]}))]);
    let results = bulk(&client(&service), 0..2).send::<u32>().await.unwrap();
    let error = results[0].as_ref().unwrap_err();
    assert!(!format!("{error} {error:?} {}", shown(error.error())).contains("s3cret"), "{error:?}");
}

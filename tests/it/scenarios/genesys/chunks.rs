//! Contacts in chunks: at most 500 a request, with a result for each.

use http::StatusCode;
use longhaul::ErrorKind;
use longhaul::http::ItemFate;
use longhaul::protocols::Source;
use longhaul::testing::Genesys;
use serde_json::{Value, json};

use super::{builder, client, quick_retries};
use crate::support::secs;

const CONTACTS: &str = "outbound/contactlists/7/contacts";

fn contacts(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({ "contactListId": "7", "data": { "phone": format!("+49 {number}") } })).collect()
}

#[tokio::test]
async fn contacts_arrive_in_chunks_of_five_hundred_with_a_result_each() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    let mut all = contacts(1_203);
    all[700] = json!({ "contactListId": "7" });
    let bulk = client.in_chunks(all.iter(), 500).post(CONTACTS).results(Source::pointer("/*"));
    let results = bulk.item_error(Source::pointer("/errorCode")).send::<Value>().await.unwrap();
    assert_eq!(results.len(), 1_203);
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].index(), failed[0].fate()), (700, ItemFate::Rejected));
    assert!(failed[0].error().to_string().contains("contact.data.missing"), "{:?}", failed[0]);
    all.remove(700);
    assert_eq!(service.contacts("7"), all);
    assert_eq!(service.counts().other_calls(), 3);
}

#[tokio::test]
async fn a_chunk_that_is_refused_for_load_is_sent_again_and_none_twice() {
    let service = Genesys::start().await.unwrap();
    let client = builder(&service).retry(quick_retries()).build().unwrap();
    let all = contacts(1_000);
    service.fail_next(1, 429, Some(secs(1)));
    let bulk = client.in_chunks(all.iter(), 500).post(CONTACTS).results(Source::pointer("/*"));
    let results = bulk.send::<Value>().await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(service.contacts("7"), all);
    assert_eq!(service.counts().requests(), 3);
}

#[tokio::test]
async fn one_contact_more_is_refused_as_a_whole_and_not_tried_again() {
    let service = Genesys::start().await.unwrap();
    let client = client(&service);
    let error = client.post(CONTACTS).json(&contacts(501)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(StatusCode::BAD_REQUEST)));
    assert_eq!(error.fault().unwrap().code(), Some("contacts.limit.exceeded"));
    assert_eq!((service.counts().requests(), service.contacts("7").len()), (1, 0));
}

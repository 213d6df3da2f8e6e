//! Contacts in chunks: at most 500 a request, with a result for each.

use http::StatusCode;
use longhaul::ErrorKind;
use longhaul::testing::Genesys;
use serde_json::{Value, json};

use super::client;

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
    let mut results = Vec::new();
    for chunk in all.chunks(500) {
        let answer: Vec<Value> = client.post(CONTACTS).json(&chunk).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer.len(), chunk.len());
        results.extend(answer);
    }
    let failed: Vec<usize> = (0..results.len()).filter(|&at| results[at].get("id").is_none()).collect();
    assert_eq!(failed, [700]);
    assert_eq!(results[700]["errorCode"], "contact.data.missing");
    all.remove(700);
    assert_eq!(service.contacts("7"), all);
    assert_eq!(service.counts().other_calls(), 3);
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

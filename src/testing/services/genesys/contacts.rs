//! Contact lists: what was added to them, in chunks.

use std::collections::HashMap;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::error_body::error;
use crate::testing::simulator::uid;

/// The contacts of each list, by its id.
#[derive(Debug, Default)]
pub(super) struct ContactLists(HashMap<String, Vec<Value>>);

impl ContactLists {
    pub(super) fn of(&self, list: &str) -> &[Value] {
        self.0.get(list).map_or(&[], Vec::as_slice)
    }

    /// Adds contacts, each of which has a result of its own in the answer, in the order of the request.
    pub(super) fn add(&mut self, list: &str, body: &Bytes, most: usize) -> Answer {
        let Ok(Value::Array(contacts)) = serde_json::from_slice(body) else {
            return error(StatusCode::BAD_REQUEST, "bad.request", "The request body is no list of contacts.");
        };
        if contacts.len() > most {
            let message = format!("The number of contacts [{}] exceeds the maximum [{most}]", contacts.len());
            return error(StatusCode::BAD_REQUEST, "contacts.limit.exceeded", &message);
        }
        let stored = self.0.entry(list.to_owned()).or_default();
        let results: Vec<Value> = contacts.into_iter().map(|contact| result(list, contact, stored)).collect();
        Answer::json(StatusCode::OK, &Value::Array(results))
    }
}

fn result(list: &str, contact: Value, stored: &mut Vec<Value>) -> Value {
    if !contact.get("data").is_some_and(Value::is_object) {
        let message = "The contact has no data.";
        return json!({ "contactListId": list, "errorCode": "contact.data.missing", "errorMessage": message });
    }
    let result = json!({ "id": uid(), "contactListId": list, "data": contact.get("data"), "callable": true });
    stored.push(contact);
    result
}

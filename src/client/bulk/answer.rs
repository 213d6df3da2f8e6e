//! Answer: the result of each item in the answer to its request.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::item_error::{ItemError, ItemFate};
use super::plan::Chunk;
use crate::error::{Error, ErrorKind};
use crate::message::Reply;
use crate::pointer::Source;
use crate::protocol::read_fault;

/// The places of the items' results.
#[derive(Clone, Debug, Default)]
pub(super) struct ResultPlaces {
    /// The list of the results; `None` if the service answers a request as a whole.
    pub(super) list: Option<Source>,
    /// The id in each result.
    pub(super) id: Option<Source>,
    /// The place in a result that holds something only if the item was refused.
    pub(super) error: Option<Source>,
}

impl ResultPlaces {
    /// Returns the result of each item, as JSON text, in the order of the items.
    pub(super) fn read(&self, chunk: &Chunk, reply: &Reply) -> Vec<Result<Bytes, ItemError>> {
        let indices = chunk.first..chunk.first + chunk.count;
        let Some(list) = &self.list else {
            let whole = match reply.json_text() {
                Some(text) => Bytes::from(text.into_owned()),
                None if reply.body().trim_ascii().is_empty() => Bytes::from_static(b"null"),
                // The decoder says what is wrong with it.
                None => reply.body().clone(),
            };
            return indices.map(|_| Ok(whole.clone())).collect();
        };
        let uncertain = |why: &str| {
            let fault = read_fault(reply, reply.json().as_ref()).masked(&reply.mask());
            let why = format!("answered with {}, and {why}", reply.status().as_u16());
            Error::new(ErrorKind::ResultShape, why).with_url(reply.url()).with_status(reply.status()).with_fault(fault)
        };
        let all = |error: &Error| {
            indices.clone().map(|index| Err(ItemError::new(index, ItemFate::Uncertain, error.clone()))).collect()
        };
        let Some(elements) = list.elements(reply) else {
            return all(&uncertain(&format!("there is no list of results at `{list}`")));
        };
        let found: Vec<Option<Bytes>> = match &self.id {
            Some(at) => by_id(at, &chunk.ids, elements),
            None if elements.len() == chunk.count => elements.into_iter().map(Some).collect(),
            None => {
                let (results, items) = (elements.len(), chunk.count);
                return all(&uncertain(&format!(
                    "has {results} results for {items} items: set match_by to match them"
                )));
            }
        };
        let missing = found.contains(&None).then(|| uncertain("has no result with the id of this item"));
        let error_of = |index: usize, result: Option<Bytes>| match (result, &missing) {
            (Some(result), _) => match self.refusal(reply, &result) {
                Some(error) => Err(ItemError::new(index, ItemFate::Rejected, error).with_value(result)),
                None => Ok(result),
            },
            (None, Some(error)) => Err(ItemError::new(index, ItemFate::Uncertain, error.clone())),
            (None, None) => Err(ItemError::new(index, ItemFate::Uncertain, uncertain("has no result"))),
        };
        indices.clone().zip(found).map(|(index, result)| error_of(index, result)).collect()
    }

    /// Returns the error of an item that was refused, with the service's words.
    fn refusal(&self, reply: &Reply, result: &Bytes) -> Option<Error> {
        let of = |body: Bytes| Reply::new(reply.status(), reply.url().clone(), http::HeaderMap::new(), body);
        let whole = of(result.clone());
        let at = self.error.as_ref()?;
        let found = at.raw(&whole).into_iter().find(|found| !matches!(&**found, b"false" | b"[]" | b"{}" | b"0"))?;
        // The words are in the error itself, or beside it.
        let inner = of(found);
        let inner = read_fault(&inner, inner.json().as_ref());
        let is_told = inner.code().is_some() || inner.message().is_some();
        let fault = if is_told { inner } else { read_fault(&whole, whole.json().as_ref()) };
        let error = Error::new(ErrorKind::Rejected, format!("the result of the item has an error at `{at}`"));
        Some(error.with_url(reply.url()).with_status(reply.status()).with_fault(fault.masked(&reply.mask())))
    }
}

/// Returns the result with each id. Of several with one id, each item gets the next.
fn by_id(at: &Source, ids: &[String], elements: Vec<Bytes>) -> Vec<Option<Bytes>> {
    let mut results: BTreeMap<String, VecDeque<Bytes>> = BTreeMap::new();
    for element in elements {
        if let Some(id) = at.text_in(element.clone()) {
            results.entry(id).or_default().push_back(element);
        }
    }
    ids.iter().map(|id| results.get_mut(id).and_then(VecDeque::pop_front)).collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn read(places: &ResultPlaces, ids: &[&str], body: &'static str) -> Vec<Result<String, (usize, ItemFate)>> {
        let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
        let chunk = Chunk { first: 10, count: ids.len(), body: Bytes::new(), ids };
        let reply = Reply::new(StatusCode::OK, "https://a.example".parse().unwrap(), HeaderMap::new(), body);
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let short = |error: ItemError| (error.index(), error.fate());
        places.read(&chunk, &reply).into_iter().map(|result| result.map(text).map_err(short)).collect()
    }

    fn good(text: &str) -> Result<String, (usize, ItemFate)> {
        Ok(text.to_owned())
    }

    #[test]
    fn a_result_belongs_to_its_item_or_to_none() {
        use ItemFate::{Rejected, Uncertain};
        let in_order =
            ResultPlaces { list: Some(Source::pointer("/r/*")), id: None, error: Some(Source::pointer("/error")) };
        let by_id = ResultPlaces { id: Some(Source::pointer("/id")), ..in_order.clone() };
        let unknown = || vec![Err((10, Uncertain)), Err((11, Uncertain))];
        for (places, body, expected) in [
            (&in_order, r#"{"r": [1, null]}"#, vec![good("1"), good("null")]),
            (
                &in_order,
                r#"{"r": [{"error": null}, {"error": "no"}]}"#,
                vec![good(r#"{"error": null}"#), Err((11, Rejected))],
            ),
            (
                &in_order,
                r#"{"r": [{"error": false}, {"error": [1]}]}"#,
                vec![good(r#"{"error": false}"#), Err((11, Rejected))],
            ),
            (&in_order, r#"{"r": [1]}"#, unknown()),
            (&in_order, r#"{"r": [1, 2, 3]}"#, unknown()),
            (&in_order, r#"{"r": 1}"#, unknown()),
            (&in_order, "", unknown()),
            (&by_id, r#"{"r": [{"id": "b"}, {"id": "c"}]}"#, vec![Err((10, Uncertain)), good(r#"{"id": "b"}"#)]),
            (
                &by_id,
                r#"{"r": [{"id": "b", "error": "no"}, {"id": "a"}]}"#,
                vec![good(r#"{"id": "a"}"#), Err((11, Rejected))],
            ),
            (&by_id, r#"{"r": []}"#, unknown()),
        ] {
            assert_eq!(read(places, &["a", "b"], body), expected, "{body}");
        }
        let twice = read(&by_id, &["1.10", "1.10"], r#"{"r": [{"id": 1.10, "n": 1}, {"id": 1.10, "n": 2}]}"#);
        assert_eq!(twice, [good(r#"{"id": 1.10, "n": 1}"#), good(r#"{"id": 1.10, "n": 2}"#)]);
        let whole = ResultPlaces::default();
        assert_eq!(read(&whole, &["a", "b"], r#"{"n": 2}"#), [good(r#"{"n": 2}"#), good(r#"{"n": 2}"#)]);
        assert_eq!(read(&whole, &["a"], " "), [good("null")]);
    }
}

//! Plan: the bodies of all requests of a bulk, made before the first of them is sent.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::pointer::Source;

/// The items of one request.
pub(super) struct Chunk {
    /// The position of the first item.
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) body: Bytes,
    /// The id of each item, if results are matched by one.
    pub(super) ids: Vec<String>,
}

/// How items become requests.
pub(super) struct Plan<'a, T> {
    pub(super) most: usize,
    pub(super) most_bytes: Option<usize>,
    pub(super) body: &'a dyn Fn(&[T]) -> serde_json::Result<Vec<u8>>,
    pub(super) id: Option<&'a Source>,
}

impl<T: Serialize> Plan<'_, T> {
    /// Divides the items. An error names the item that fits in no request.
    pub(super) fn chunks(&self, items: &[T]) -> Result<Vec<Chunk>, Error> {
        if self.most == 0 {
            return Err(wrong("in_chunks(_, 0): a request of no items sends none; set 1 at least"));
        }
        let ids = match self.id {
            Some(at) => items.iter().enumerate().map(|(index, item)| id(at, index, item)).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let mut open: VecDeque<_> =
            items.chunks(self.most).enumerate().map(|(number, chunk)| (number * self.most, chunk)).collect();
        let mut chunks = Vec::with_capacity(open.len());
        while let Some((first, items)) = open.pop_front() {
            let last = first + items.len() - 1;
            let body = (self.body)(items).map_err(|error| {
                wrong(&format!("the body for the items {first} to {last} does not serialize")).with_source(error)
            })?;
            match self.most_bytes {
                Some(most) if body.len() > most && items.len() == 1 => {
                    let length = body.len();
                    return Err(wrong(&format!(
                        "the item {first} makes a body of {length} bytes, and {most} are allowed"
                    )));
                }
                Some(most) if body.len() > most => {
                    let (one, other) = items.split_at(items.len() / 2);
                    open.push_front((first + one.len(), other));
                    open.push_front((first, one));
                }
                Some(_) | None => {
                    let ids = ids.iter().skip(first).take(items.len()).cloned().collect();
                    chunks.push(Chunk { first, count: items.len(), body: body.into(), ids });
                }
            }
        }
        Ok(chunks)
    }
}

/// Returns the id of an item.
fn id(at: &Source, index: usize, item: &impl Serialize) -> Result<String, Error> {
    let json = serde_json::to_vec(item)
        .map_err(|error| wrong(&format!("the item {index} does not serialize")).with_source(error))?;
    at.text_in(json.into())
        .ok_or_else(|| wrong(&format!("the item {index} has no id at `{at}`, by which results match")))
}

fn wrong(why: &str) -> Error {
    Error::new(ErrorKind::Request, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks<'t>(plan: &Plan<'_, &'t str>, items: &[&'t str]) -> Result<Vec<(usize, usize, String)>, Error> {
        let chunks = plan.chunks(items)?;
        Ok(chunks
            .into_iter()
            .map(|chunk| (chunk.first, chunk.count, String::from_utf8(chunk.body.to_vec()).unwrap()))
            .collect())
    }

    fn plan(most: usize, most_bytes: Option<usize>) -> Plan<'static, &'static str> {
        Plan { most, most_bytes, body: &|items| serde_json::to_vec(items), id: None }
    }

    #[test]
    fn every_item_is_in_one_chunk_in_order() {
        let items = ["a", "b", "c", "d", "e"];
        for (most, most_bytes, expected) in [
            (5, None, vec![(0, 5, r#"["a","b","c","d","e"]"#)]),
            (2, None, vec![(0, 2, r#"["a","b"]"#), (2, 2, r#"["c","d"]"#), (4, 1, r#"["e"]"#)]),
            (9, Some(13), vec![(0, 2, r#"["a","b"]"#), (2, 3, r#"["c","d","e"]"#)]),
            (9, Some(5), "abcde".char_indices().map(|(at, c)| (at, 1, &*format!("[\"{c}\"]").leak())).collect()),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(at, count, body)| (at, count, body.to_owned())).collect();
            assert_eq!(chunks(&plan(most, most_bytes), &items).unwrap(), expected, "{most} {most_bytes:?}");
        }
        assert_eq!(chunks(&plan(3, None), &[]).unwrap(), []);
    }

    #[test]
    fn an_item_that_fits_in_no_request_is_named() {
        for (plan, words) in [
            (plan(0, None), "in_chunks(_, 0)"),
            (plan(9, Some(6)), "the item 1 makes a body of 7 bytes, and 6 are allowed"),
            (Plan { id: Some(&Source::pointer("/id")), ..plan(9, None) }, "the item 0 has no id at `/id`"),
        ] {
            let error = chunks(&plan, &["a", "bbb"]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Request);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

//! The API, the token endpoint and the storage of Aprimo, without I/O.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::order::{Order, OrderEnd};
use crate::testing::counts::Counts;
use crate::testing::seen::Side;
use crate::testing::services::answer::Answer;
use crate::testing::services::authority::Authority;
use crate::testing::services::head::Head;
use crate::testing::services::queue::Queue;
use crate::testing::services::vendor::{Vendor, Verdict};
use crate::testing::tokens::random;

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) rules: Rules,
    pub(super) authority: Authority,
    pub(super) queue: Queue,
    pub(super) orders: HashMap<String, Order>,
    /// The ids of all orders, oldest first.
    pub(super) order: Vec<String>,
    /// The ends of the next orders, in this order.
    pub(super) ends: VecDeque<OrderEnd>,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) duration: Duration,
    /// Every so many orders, one is finished as soon as it is submitted; never if 0.
    pub(super) at_once_every: usize,
    /// Scheme, host and port.
    pub(super) api: String,
    pub(super) storage: String,
}

impl Vendor for Desk {
    fn arrive(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict {
        match head.side() {
            Side::Token => match (self.authority.arrive(counts, now), head.path(), head.method()) {
                (Err(_), ..) => Verdict::Refuse(too_many()),
                (_, TOKEN, &Method::POST) => Verdict::Admit,
                _ => Verdict::Refuse(not_found()),
            },
            Side::Storage => {
                counts.downloads += 1;
                Verdict::Admit
            }
            Side::Api => self.arrive_at_api(head, counts, now),
        }
    }

    fn answer(&mut self, head: &Head, body: &Bytes, counts: &mut Counts, now: Instant) -> Answer {
        match head.side() {
            Side::Token => {
                let scope = form_urlencoded::parse(body).find(|(name, _)| name == "scope");
                if scope.is_none_or(|(_, scope)| scope != "api") {
                    return Answer::json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_scope" }));
                }
                self.authority.answer(head, body, counts, now)
            }
            Side::Storage => self.file(head, counts, now),
            Side::Api => match Route::of(head) {
                Route::Submit => self.submit(body, now),
                Route::Order(id) => match self.orders.get_mut(id) {
                    Some(order) => hal(StatusCode::OK, &written(order, &self.rules.storage, now)),
                    None => not_found(),
                },
                Route::Records => hal(StatusCode::OK, &records()),
                Route::Unknown => not_found(),
            },
        }
    }
}

impl Desk {
    /// Returns the bytes of a delivered file.
    pub(super) fn expected(&self, order_id: &str, number: usize) -> Option<String> {
        self.orders.get(order_id)?.file(number)
    }

    fn arrive_at_api(&mut self, head: &Head, counts: &mut Counts, now: Instant) -> Verdict {
        // The tenant's limit counts whatever arrives.
        let Ok(wait) = self.queue.admit(now) else {
            counts.throttled += 1;
            return Verdict::Refuse(too_many());
        };
        if head.bearer().is_none_or(|token| self.authority.party(token, now).is_none()) {
            counts.unauthorized += 1;
            counts.tokens_refused += 1;
            return Verdict::Refuse(hal(StatusCode::UNAUTHORIZED, &Value::Null));
        }
        match Route::of(head) {
            Route::Submit => counts.submits += 1,
            Route::Order(_) => counts.polls += 1,
            Route::Records | Route::Unknown => counts.other_calls += 1,
        }
        if head.header("api-version").is_none() {
            return Verdict::Refuse(exception(StatusCode::BAD_REQUEST, "The header API-VERSION is required."));
        }
        let accept = head.header("accept").unwrap_or("*/*");
        if !["application/hal+json", "application/*", "*/*"].iter().any(|kind| accept.contains(kind)) {
            return Verdict::Refuse(exception(StatusCode::NOT_ACCEPTABLE, "The API answers application/hal+json."));
        }
        if wait.is_zero() {
            return Verdict::Admit;
        }
        counts.held += 1;
        Verdict::Hold(wait)
    }

    fn submit(&mut self, body: &Bytes, now: Instant) -> Answer {
        let Ok(Value::Object(asked)) = serde_json::from_slice(body) else {
            return exception(StatusCode::BAD_REQUEST, "The body is no object.");
        };
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        let targets = asked.get("targets").and_then(Value::as_array).map_or(0, Vec::len);
        if text("type").is_empty() || targets == 0 {
            return exception(StatusCode::BAD_REQUEST, "An order needs a type and targets.");
        }
        let number = self.order.len() + 1;
        let is_at_once = number.checked_rem(self.rules.at_once_every) == Some(0)
            || text("disableProcessing").eq_ignore_ascii_case("yes");
        let id = random(12);
        let mut order = Order {
            id: id.clone(),
            end: self.ends.pop_front().unwrap_or_default(),
            files: targets,
            signature: random(20),
            begun: now,
            duration: if is_at_once { Duration::ZERO } else { self.rules.duration },
            written: 0,
        };
        let body = written(&mut order, &self.rules.storage, now);
        self.orders.insert(id.clone(), order);
        self.order.push(id.clone());
        // Submitted in the plural, read in the singular.
        hal(StatusCode::CREATED, &body).header(LOCATION, &format!("{}/api/core/order/{id}", self.rules.api))
    }

    fn file(&self, head: &Head, counts: &mut Counts, now: Instant) -> Answer {
        let found = head.path().strip_prefix("/files/").and_then(|path| path.split_once('/'));
        let file = found.and_then(|(id, number)| {
            let order = self.orders.get(id).filter(|order| order.is_over(now))?;
            Some((order, order.file(number.parse().ok()?)?))
        });
        match file {
            None => Answer::empty(StatusCode::NOT_FOUND),
            Some((order, _)) if head.query("sig").as_ref() != Some(&order.signature) => {
                Answer::empty(StatusCode::FORBIDDEN)
            }
            Some((_, file)) => {
                counts.storage_bytes += u64::try_from(file.len()).unwrap_or(u64::MAX);
                Answer::bytes(StatusCode::OK, "application/octet-stream", file)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Route<'a> {
    Submit,
    Order(&'a str),
    Records,
    Unknown,
}

impl<'a> Route<'a> {
    fn of(head: &'a Head) -> Self {
        let path = head.path().strip_prefix("/api/core/").unwrap_or_default();
        match (head.method(), path.split_once('/')) {
            (&Method::POST, None) if path == "orders" => Self::Submit,
            (&Method::GET, None) if path == "records" => Self::Records,
            (&Method::GET, Some(("order", id))) => Self::Order(id),
            _ => Self::Unknown,
        }
    }
}

fn written(order: &mut Order, storage: &str, now: Instant) -> Value {
    let (id, signature) = (order.id.clone(), order.signature.clone());
    let mut body = json!({ "id": id, "type": "download", "status": order.write_status(now) });
    if order.is_over(now) {
        let link = |number| json!(format!("{storage}/files/{id}/{number}?sig={signature}"));
        let links: Vec<Value> = (0..order.delivered()).map(link).collect();
        let size: usize = (0..order.delivered()).filter_map(|number| order.file(number)).map(|file| file.len()).sum();
        let message = match order.end {
            OrderEnd::Failed => json!("No target could be delivered."),
            OrderEnd::PartiallyFailed => json!("One target could not be delivered."),
            OrderEnd::Success | OrderEnd::Cancelled => Value::Null,
        };
        let failed = match order.end {
            OrderEnd::Cancelled => 0,
            OrderEnd::Success | OrderEnd::PartiallyFailed | OrderEnd::Failed => order.files - order.delivered(),
        };
        let members = [
            ("deliveredFiles", json!(links)),
            ("failedTargetsCount", json!(failed)),
            ("message", message),
            ("executionTime", json!(order.duration.as_secs_f64())),
            ("totalFileSize", json!(size)),
        ];
        if let Some(body) = body.as_object_mut() {
            body.extend(members.map(|(name, value)| (name.to_owned(), value)));
        }
    }
    body
}

fn records() -> Value {
    let records: Vec<Value> = (1..=4).map(|id| json!({ "id": id.to_string(), "status": "released" })).collect();
    json!({ "page": 1, "pageSize": 50, "totalCount": records.len(), "_embedded": { "record": records } })
}

fn hal(status: StatusCode, body: &Value) -> Answer {
    Answer::bytes(status, "application/hal+json", body.to_string())
}

fn exception(status: StatusCode, message: &str) -> Answer {
    hal(status, &json!({ "exceptionType": status.canonical_reason(), "exceptionMessage": message }))
}

fn too_many() -> Answer {
    exception(StatusCode::TOO_MANY_REQUESTS, "The tenant has sent too many requests.")
}

fn not_found() -> Answer {
    exception(StatusCode::NOT_FOUND, "The resource does not exist.")
}

/// The path of the token endpoint.
pub(super) const TOKEN: &str = "/login/connect/token";

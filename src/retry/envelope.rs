//! EnvelopeRule: the meaning of a response whose status does not express it.

use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::message::Reply;
use crate::pointer::Source;

/// The meaning of a response whose HTTP status does not express it: some services throttle with 200 or 403, or report
/// an error inside a success.
///
/// If a response has one of the words at the given place, the response is read as if it had the other status. This
/// status applies everywhere: in the throttle, the retries, the credential, the protocol, and in errors.
///
/// ```
/// use longhaul::Profile;
/// use longhaul::protocols::Source;
/// use longhaul::retries::EnvelopeRule;
///
/// // Sitecore Send: 200 with {"Code":429,"Error":"RATE_LIMITING"}; all but 0 is an error. The word is written in two
/// // ways (`RATE-LIMITING` too), the code in one.
/// let profile = Profile::auto()
///     .envelope(EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]))
///     .envelope(EnvelopeRule::reads_as(400, Source::pointer("/Code"), ["0"]).unless());
/// ```
///
/// As data: `{"reads_as": 429, "at": "/Code", "is": ["429"]}`. Words are compared without regard to case, and a `*` at
/// the end of a word matches any rest. The first rule that matches counts. A body is examined if it is JSON, up to 64
/// KiB; a longer body is a result, and counts by its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeRule {
    #[serde(deserialize_with = "code")]
    pub(super) reads_as: u16,
    pub(super) at: Source,
    #[serde(default)]
    is: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unless: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
}

impl EnvelopeRule {
    /// Creates a rule: a response with one of these words at this place is read as if it had this status. Use 429 for
    /// throttled, 401 for a credential that is not accepted, 400 for a permanent error, and 500 for a failure that may
    /// pass. A number outside of 400 to 599 is an error of [`ClientBuilder::build`](crate::ClientBuilder::build). An
    /// empty list of words matches any value at the place.
    pub fn reads_as<W: Into<String>>(status: u16, at: Source, words: impl IntoIterator<Item = W>) -> Self {
        Self { reads_as: status, at, is: words.into_iter().map(Into::into).collect(), unless: false, status: None }
    }

    /// Inverts the rule: a response with any other word at the place matches. A response with nothing at the place does
    /// not match.
    #[must_use]
    pub const fn unless(mut self) -> Self {
        self.unless = true;
        self
    }

    /// Restricts the rule to responses with this HTTP status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Returns whether a response with this status may match; the body must then be examined.
    pub(crate) fn may_match(&self, status: StatusCode) -> bool {
        self.status.is_none_or(|own| own == status.as_u16())
    }

    pub(crate) const fn is_of_the_body(&self) -> bool {
        !self.at.is_header()
    }

    /// Returns the status that the response is read as.
    pub(crate) fn read(&self, reply: &Reply, body: Option<&serde_json::Value>) -> Option<StatusCode> {
        if !self.may_match(reply.status()) {
            return None;
        }
        let found: Vec<String> =
            self.at.values(reply, body).iter().filter_map(|value| crate::pointer::text(value)).collect();
        let is_one = |text: &String| self.is.is_empty() || self.is.iter().any(|word| matches(word, text));
        let hit = if self.unless { found.iter().any(|text| !is_one(text)) } else { found.iter().any(is_one) };
        StatusCode::from_u16(self.reads_as).ok().filter(|_| hit)
    }
}

fn matches(word: &str, text: &str) -> bool {
    match word.strip_suffix('*') {
        Some(begin) => text.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin)),
        None => text.eq_ignore_ascii_case(word),
    }
}

fn code<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    let code = u16::deserialize(from)?;
    let is_one = StatusCode::from_u16(code).is_ok();
    is_one.then_some(code).ok_or_else(|| D::Error::custom(format!("reads_as = {code} is no HTTP status")))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;

    use super::*;

    fn read(rules: &[EnvelopeRule], status: u16, body: &serde_json::Value) -> Option<u16> {
        let url = "https://a.example".parse().unwrap();
        let reply = Reply::new(StatusCode::from_u16(status).unwrap(), url, HeaderMap::new(), body.to_string());
        rules.iter().find_map(|rule| rule.read(&reply, Some(body))).map(|status| status.as_u16())
    }

    #[test]
    fn reads_what_services_say_inside() {
        let sitecore = [
            EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]),
            EnvelopeRule::reads_as(400, Source::pointer("/Code"), ["0"]).unless(),
        ];
        let salesforce =
            [EnvelopeRule::reads_as(429, Source::pointer("/*/errorCode"), ["REQUEST_LIMIT_EXCEEDED"]).status(403)];
        let mashery = [EnvelopeRule::reads_as(429, Source::pointer("/*/error_key"), ["mashery.not.authorized.over.*"])];
        let marketo = [
            EnvelopeRule::reads_as(429, Source::pointer("/errors/*/code"), ["606", "615"]),
            EnvelopeRule::reads_as(401, Source::pointer("/errors/*/code"), ["601", "602"]),
            EnvelopeRule::reads_as(400, Source::pointer("/success"), ["false"]),
        ];
        for (rules, status, body, expected) in [
            (&sitecore[..], 200, json!({"Code": 429, "Error": "RATE_LIMITING", "Context": null}), Some(429)),
            (&sitecore, 200, json!({"Code": 429, "Error": "RATE-LIMITING", "Context": null}), Some(429)),
            (&sitecore, 200, json!({"Code": "429", "Error": "Too many requests"}), Some(429)),
            (&sitecore, 200, json!({"Code": 429}), Some(429)),
            (&sitecore, 200, json!({"Code": 4290, "Error": "RATE_LIMITING"}), Some(400)),
            (&sitecore, 200, json!({"Code": 0, "Error": null, "Context": {}}), None),
            (&sitecore, 200, json!({"Code": 501, "Error": "NOT_FOUND"}), Some(400)),
            (&sitecore, 200, json!([1, 2]), None),
            (&sitecore, 429, json!({"Code": 429, "Error": "RATE_LIMITING"}), Some(429)),
            (&salesforce, 403, json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]), Some(429)),
            (&salesforce, 403, json!([{"errorCode": "INSUFFICIENT_ACCESS"}]), None),
            (&salesforce, 200, json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]), None),
            (&mashery, 403, json!([{"error_key": "mashery.not.authorized.over.qps"}]), Some(429)),
            (&mashery, 403, json!([{"error_key": "mashery.not.authorized"}]), None),
            (&marketo, 200, json!({"success": false, "errors": [{"code": "606"}]}), Some(429)),
            (&marketo, 200, json!({"success": false, "errors": [{"code": 602}]}), Some(401)),
            (&marketo, 200, json!({"success": false, "errors": []}), Some(400)),
            (&marketo, 200, json!({"success": true}), None),
        ] {
            assert_eq!(read(rules, status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn is_data_and_refuses_what_is_no_status() {
        let rule = EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]).status(200);
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(text, "{\"reads_as\":429,\"at\":\"/Code\",\"is\":[\"429\"],\"status\":200}");
        assert_eq!(serde_json::from_str::<EnvelopeRule>(&text).unwrap(), rule);
        let error = serde_json::from_str::<EnvelopeRule>("{\"reads_as\":7,\"at\":\"/Code\"}").unwrap_err();
        assert!(error.to_string().contains("no HTTP status"), "{error}");
    }
}

//! TokenAnswer: how a token endpoint's answer is read.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::source::TokenError;
use super::token::Token;
use crate::error::Fault;
use crate::message::{Reply, is_transient};
use crate::pointer::Source;
use crate::redact::scrub;

/// The places in a token endpoint's answer of the token, of its refresh token, and of its life.
///
/// The default is OAuth 2 (RFC 6749, 5.1). Members are found in any case. An answer whose Content-Type is
/// `application/x-www-form-urlencoded` is read as an object of its fields; any other is JSON, whatever its
/// Content-Type.
///
/// ```
/// use longhaul::credentials::TokenAnswer;
///
/// let smag = TokenAnswer::smag();
/// assert_eq!(serde_json::to_value(&smag)?["access"], "/Token");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenAnswer {
    access: Source,
    refresh: Source,
    expires_in: Source,
    #[serde(with = "crate::clock::seconds::option", skip_serializing_if = "Option::is_none")]
    life: Option<Duration>,
}

impl TokenAnswer {
    /// Returns the places of OAuth 2: `access_token`, `refresh_token`, `expires_in` in seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            access: Source::pointer("/access_token"),
            refresh: Source::pointer("/refresh_token"),
            expires_in: Source::pointer("/expires_in"),
            life: None,
        }
    }

    /// Returns the places of SMAG: `Token` (a JWT, which states its expiry) and `Refresh_Token`.
    #[must_use]
    pub fn smag() -> Self {
        Self::new().access(Source::pointer("/Token")).refresh(Source::pointer("/Refresh_Token"))
    }

    /// Sets the place of the access token.
    #[must_use]
    pub fn access(mut self, source: Source) -> Self {
        self.access = source;
        self
    }

    /// Sets the place of the refresh token.
    #[must_use]
    pub fn refresh(mut self, source: Source) -> Self {
        self.refresh = source;
        self
    }

    /// Sets the place of the token's life, in seconds. Zero or less counts as missing; more than ten years counts as
    /// ten.
    #[must_use]
    pub fn expires_in(mut self, source: Source) -> Self {
        self.expires_in = source;
        self
    }

    /// Sets the life of a token if neither the answer nor a JWT states it. Without this setting, such a token is used
    /// until it is refused.
    #[must_use]
    pub const fn life(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// Parses an answer received now. `is_grant`: it answers a login or a refresh, which somebody can repeat.
    pub(super) fn parse(&self, reply: &Reply, now: SystemTime, is_grant: bool) -> Result<Token, TokenError> {
        self.token(reply, now, is_grant).map_err(|error| error.with_answer(reply, now))
    }

    fn token(&self, reply: &Reply, now: SystemTime, is_grant: bool) -> Result<Token, TokenError> {
        let body = document(reply);
        let body = body.as_ref();
        let status = reply.status();
        let success = status.is_success();
        if is_transient(status.as_u16()) {
            // Regardless of the body: a framework's body has an `error` too.
            let why = format!("the token endpoint answered with {}", status.as_u16());
            return Err(TokenError::new(why).with_fault(fault(None, reply, body)));
        }
        // Some services answer 200 with the error inside.
        if let Some(code) = self.code(reply, body, success) {
            return Err(refusal(&code, reply, body, is_grant));
        }
        if !success {
            let code = status.as_u16();
            let why = format!("the token endpoint answered with {code}");
            return Err(match code {
                404 | 405 | 410 => TokenError::refused(format!("{why}: {WRONG_URL}")),
                300..=399 => TokenError::refused(format!("{why}, a redirect, which is not followed")),
                400 | 401 if is_grant => TokenError::needs_login(why),
                // Probably a proxy on the way.
                403 if body.is_none() => TokenError::new(why),
                _ => TokenError::refused(why),
            }
            .with_fault(fault(None, reply, body)));
        }
        let Some(body) = body else {
            let what = match reply.is_whole() {
                _ if is_page(reply) => format!("no JSON, but a page of HTML: {WRONG_URL}"),
                true => "no JSON".to_owned(),
                false => "more than a token".to_owned(),
            };
            return Err(TokenError::new(format!("the token endpoint answered with {} and {what}", status.as_u16())));
        };
        let Some(access) = token_at(&self.access, reply, body) else {
            let why = format!("the token endpoint answered with {status}, and no token at {}", self.access);
            return Err(TokenError::new(why));
        };
        let mut token = Token::obtained(access, now);
        // A JWT names a moment of the service's clock.
        if let (Some(expiry), Some(skew)) = (token.expiry(), skew(reply, now)) {
            token = token.expires_at(skew.to_ours(expiry));
        }
        if let Some(life) = self.expires_in.text(reply, Some(body)).and_then(|text| life(&text)) {
            // Takes precedence over the JWT: it does not depend on synchronized clocks.
            token = token.expires_in(life);
        } else if let (None, Some(life)) = (token.expiry(), self.life) {
            token = token.expires_in(life);
        }
        if let Some(refresh) = token_at(&self.refresh, reply, body) {
            token = token.refreshed_by(refresh);
        }
        Ok(token)
    }

    fn code(&self, reply: &Reply, body: Option<&Value>, success: bool) -> Option<String> {
        let body = body?;
        // Some services nest the error.
        let places = ["/error", "/error/code", "/error/type"].map(Source::pointer);
        let code = places.iter().find_map(|place| Some(place.value(reply, Some(body))?.as_str()?.to_owned()))?;
        // Some services send an error beside a token.
        let holds_token = || token_at(&self.access, reply, body).is_some();
        Some(code).filter(|_| !(success && holds_token()))
    }
}

impl Default for TokenAnswer {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the error that a code means (RFC 6749, 5.2; OpenID Connect Core 3.1.2.6).
fn refusal(code: &str, reply: &Reply, body: Option<&Value>, is_grant: bool) -> TokenError {
    let shown = scrub(code).chars().take(100).collect::<String>();
    let error = match code {
        "temporarily_unavailable" | "server_error" | "slow_down" => {
            TokenError::new(format!("the token endpoint says `{shown}`"))
        }
        "invalid_client" | "unauthorized_client" | "unsupported_grant_type" | "invalid_scope" | "invalid_request" => {
            TokenError::refused(format!("the token endpoint says `{shown}`: look at the client's id, secret and scope"))
        }
        _ if is_grant && !matches!(reply.status().as_u16(), 403..=405) => {
            TokenError::needs_login(format!("the token endpoint says `{shown}`: log in again"))
        }
        _ if matches!(reply.status().as_u16(), 404 | 405 | 410) => {
            TokenError::refused(format!("the token endpoint says `{shown}`: {WRONG_URL}"))
        }
        _ => TokenError::refused(format!("the token endpoint says `{shown}`")),
    };
    error.with_fault(fault(Some(code), reply, body))
}

/// Returns the body: JSON, or the fields of a form.
fn document(reply: &Reply) -> Option<Value> {
    let json = reply.json();
    if json.as_ref().is_some_and(|json| json.is_object() || json.is_array()) {
        return json;
    }
    form(reply).or(json)
}

/// Returns the fields of a form, the first of several with one name; `None` if the Content-Type is another.
fn form(reply: &Reply) -> Option<Value> {
    let header = reply.header("content-type")?;
    let kind = header.split(';').next()?.trim();
    if !reply.is_whole() || !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    let mut fields = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(reply.body().trim_ascii()) {
        fields.entry(name).or_insert_with(|| value.into());
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// Returns the token at this place. A boolean is not a token, and neither is a word by which a serializer writes
/// nothing.
fn token_at(place: &Source, reply: &Reply, body: &Value) -> Option<String> {
    let found = place.value(reply, Some(body))?;
    let text = (!found.is_boolean()).then(|| crate::pointer::text(&found))??;
    let is_nothing = NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word));
    (!is_nothing).then_some(text)
}

/// Returns the life of a token, from its text in seconds; `None` if the text states none. Services that do not count
/// write 0, and the API itself refuses a token that has already expired.
fn life(seconds: &str) -> Option<Duration> {
    let seconds: f64 = seconds.trim().parse().ok()?;
    if seconds.is_nan() || seconds <= 0.0 {
        return None;
    }
    let life = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE);
    Some(life).filter(|life| !life.is_zero())
}

/// Returns whether the answer is a page for people, as a web server sends where no endpoint is.
fn is_page(reply: &Reply) -> bool {
    let is_html = reply.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
    is_html || reply.body().trim_ascii_start().starts_with(b"<")
}

/// Returns the endpoint's words, without its body, which may contain tokens.
fn fault(code: Option<&str>, reply: &Reply, body: Option<&Value>) -> Fault {
    let text = |name: &str| body.and_then(|body| Source::pointer(name).text(reply, Some(body)));
    let mut fault = Fault::new(bytes::Bytes::new());
    if let Some(code) = code {
        fault = fault.with_code(code.chars().take(100).collect::<String>());
    }
    let places = ["/error_description", "/error/message", "/error/description", "/message"];
    if let Some(message) = places.into_iter().find_map(text) {
        fault = fault.with_message(message.chars().take(300).collect::<String>());
    }
    fault
}

/// The difference between a service's clock and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Skew {
    ahead: bool,
    by: Duration,
}

impl Skew {
    fn to_ours(self, moment: SystemTime) -> SystemTime {
        let ours = if self.ahead { moment.checked_sub(self.by) } else { moment.checked_add(self.by) };
        ours.unwrap_or(moment)
    }
}

/// Returns the skew by the answer's Date, which has whole seconds and was in transit: less than two of them are no
/// skew. More than a day means that the Date is wrong, or was kept by a cache.
fn skew(reply: &Reply, now: SystemTime) -> Option<Skew> {
    let date = httpdate::parse_http_date(&reply.header("date")?).ok()?;
    let (ahead, by) = match date.duration_since(now) {
        Ok(by) => (true, by),
        Err(error) => (false, error.duration()),
    };
    (by >= Duration::from_secs(2) && by <= LONGEST_SKEW).then_some(Skew { ahead, by })
}

const NOTHING: [&str; 4] = ["false", "true", "null", "undefined"];
const WRONG_URL: &str = "the URL of the token endpoint looks wrong";
const LONGEST_SKEW: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer lives are typing errors, and sums of times must not overflow.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

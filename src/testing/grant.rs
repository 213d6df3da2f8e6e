//! Grants: parses a token request, and authenticates the client.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use url::form_urlencoded;

/// A request for tokens, by an authenticated client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// In the client's own right ([RFC 6749, 4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
    Client,
    Refresh {
        token: String,
    },
    Code {
        code: String,
        redirect_uri: String,
        verifier: String,
    },
    /// By the name and password of a user.
    Password,
}

/// The reason why a request is refused ([RFC 6749, 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    ServerError,
}

impl Refusal {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::ServerError => "server_error",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InvalidRequest | Self::InvalidGrant | Self::UnsupportedGrantType => StatusCode::BAD_REQUEST,
        }
    }
}

impl Grant {
    /// Parses a form, by a client whose secret `secret_of` returns for its id. Returns the id of the client, too.
    pub(super) fn of_form<'a>(
        secret_of: impl Fn(&str) -> Option<&'a str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(String, Self), Refusal> {
        let form = form(headers, body)?;
        let client = authenticate(secret_of, headers, &form)?;
        let grant = match needed(&form, "grant_type")?.as_str() {
            "client_credentials" if client.has_secret => Self::Client,
            "client_credentials" => return Err(Refusal::InvalidClient),
            "refresh_token" => Self::Refresh { token: needed(&form, "refresh_token")? },
            "authorization_code" => Self::Code {
                code: needed(&form, "code")?,
                redirect_uri: needed(&form, "redirect_uri")?,
                verifier: needed(&form, "code_verifier")?,
            },
            _ => return Err(Refusal::UnsupportedGrantType),
        };
        Ok((client.id, grant))
    }

    /// Parses SMAG's JSON, which must name this application, this user and this password.
    pub(super) fn of_login(wanted: [&str; 3], body: &[u8]) -> Result<Self, Refusal> {
        let json: Value = serde_json::from_slice(body).map_err(|_| Refusal::InvalidRequest)?;
        let text = |name: &str| json.get(name).and_then(Value::as_str).ok_or(Refusal::InvalidRequest);
        let given = [text("ApplicationId")?, text("UserName")?, text("Password")?];
        if given == wanted { Ok(Self::Password) } else { Err(Refusal::InvalidClient) }
    }

    /// Parses SMAG's refresh, which names the refresh token and no client.
    pub(super) fn of_refresh(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::Refresh { token: needed(&form(headers, body)?, "refresh_token")? })
    }

    /// Parses a revocation, by a client as of [`of_form`](Self::of_form).
    pub(super) fn token_to_revoke<'a>(
        secret_of: impl Fn(&str) -> Option<&'a str>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<String, Refusal> {
        let form = form(headers, body)?;
        authenticate(secret_of, headers, &form)?;
        needed(&form, "token")
    }
}

/// Parses a form, in which no parameter may occur twice (RFC 6749, 3.2).
fn form(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(Refusal::InvalidRequest);
    }
    let mut form = HashMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        if form.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::InvalidRequest);
        }
    }
    Ok(form)
}

fn needed(form: &HashMap<String, String>, name: &str) -> Result<String, Refusal> {
    form.get(name).cloned().ok_or(Refusal::InvalidRequest)
}

/// A client that proved its id, or a public one, which has only an id.
struct Caller {
    id: String,
    has_secret: bool,
}

/// Authenticates the client, which must not use two methods at once (RFC 6749, 2.3).
fn authenticate<'a>(
    secret_of: impl Fn(&str) -> Option<&'a str>,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
) -> Result<Caller, Refusal> {
    let (id, secret) = match headers.get(AUTHORIZATION) {
        Some(_) if form.contains_key("client_secret") => return Err(Refusal::InvalidRequest),
        Some(value) => {
            let (id, secret) = value.to_str().ok().and_then(basic).ok_or(Refusal::InvalidClient)?;
            (id, Some(secret))
        }
        None => {
            let id = form.get("client_id").ok_or(Refusal::InvalidClient)?;
            (id.clone(), form.get("client_secret").cloned())
        }
    };
    let right = secret_of(&id).ok_or(Refusal::InvalidClient)?;
    if secret.as_ref().is_none_or(|secret| secret == right) {
        Ok(Caller { id, has_secret: secret.is_some() })
    } else {
        Err(Refusal::InvalidClient)
    }
}

/// Parses HTTP Basic, whose parts are form-encoded before they are joined (RFC 6749, 2.3.1).
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(authorization: Option<&str>, body: &str) -> Result<Grant, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8".parse().unwrap());
        if let Some(value) = authorization {
            let value = format!("Basic {}", STANDARD.encode(value));
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        let secret_of = |id: &str| (id == "an app").then_some("s:e+c/ret");
        let (id, grant) = Grant::of_form(secret_of, &headers, body.as_bytes())?;
        assert_eq!(id, "an app");
        Ok(grant)
    }

    #[test]
    fn knows_a_client_by_one_proof_and_refuses_two() {
        for (authorization, body, answer) in [
            (Some("an+app:s%3Ae%2Bc%2Fret"), "grant_type=client_credentials", Ok(Grant::Client)),
            (Some("an app:s:e+c/ret"), "grant_type=client_credentials", Err(Refusal::InvalidClient)),
            (Some("an+app"), "grant_type=client_credentials", Err(Refusal::InvalidClient)),
            (
                Some("an+app:s%3Ae%2Bc%2Fret"),
                "grant_type=client_credentials&client_secret=s%3Ae%2Bc%2Fret",
                Err(Refusal::InvalidRequest),
            ),
            (None, "grant_type=client_credentials&client_id=an+app&client_secret=s%3Ae%2Bc%2Fret", Ok(Grant::Client)),
            (None, "grant_type=client_credentials&client_id=an+app", Err(Refusal::InvalidClient)),
            (None, "grant_type=client_credentials", Err(Refusal::InvalidClient)),
            (
                None,
                "grant_type=refresh_token&client_id=an+app&refresh_token=R",
                Ok(Grant::Refresh { token: "R".into() }),
            ),
            (None, "grant_type=refresh_token&client_id=an+app", Err(Refusal::InvalidRequest)),
            (None, "grant_type=magic&client_id=an+app", Err(Refusal::UnsupportedGrantType)),
            (None, "grant_type=magic&grant_type=magic&client_id=an+app", Err(Refusal::InvalidRequest)),
        ] {
            assert_eq!(asked(authorization, body), answer, "{authorization:?} {body}");
        }
    }
}

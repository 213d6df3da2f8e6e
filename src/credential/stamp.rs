//! Stamp: a credential put on a request, and taken out of a URL.

use std::sync::Arc;

use http::HeaderMap;
use url::{Url, form_urlencoded};

use super::attached_tokens::AttachedTokens;
use super::part::CredentialPart;
use super::sign::Sign;
use crate::error::{Error, ErrorKind, root_cause};
use crate::message::{RESERVED_WHY, Request, is_reserved};
use crate::redact::{Secret, secrets_of};

/// Puts the parts on a request, in place of existing values of the same names. Returns the secrets that were created
/// for this request alone.
pub(super) fn stamp(
    parts: &[CredentialPart],
    request: &mut Request,
    tokens: &AttachedTokens,
) -> Result<Vec<Secret>, Error> {
    for header in parts.iter().filter_map(CredentialPart::fixed_header) {
        let (name, value) = header?;
        request.headers_mut().insert(name, value.clone());
    }
    for (cache, token) in parts.iter().filter_map(CredentialPart::token).zip(&tokens.0) {
        request.headers_mut().insert(cache.header_name()?, token.value.clone());
    }
    if query_names(parts).next().is_some() {
        let url = request.url_mut();
        strip(parts, url);
        let mut pairs = url.query_pairs_mut();
        for part in parts {
            if let CredentialPart::Query { name, value } = part {
                pairs.append_pair(name, value.expose());
            }
        }
    }
    let mut made = Vec::new();
    // Last, because a signature covers the rest.
    for part in parts {
        if let CredentialPart::Signed(sign) = part {
            made.extend(sign_with(sign, request)?);
        }
    }
    Ok(made)
}

fn sign_with(sign: &Arc<dyn Sign>, request: &mut Request) -> Result<Vec<Secret>, Error> {
    let failed = |request: &Request, why: String| {
        Error::new(ErrorKind::Request, format!("it could not be signed: {why}")).with_url(request.url())
    };
    let mut headers = HeaderMap::new();
    sign.sign(request, &mut headers).map_err(|error| failed(request, root_cause(error.as_ref())))?;
    let mut made = Vec::new();
    for (name, mut value) in headers {
        value.set_sensitive(true);
        made.extend(value.to_str().ok().map(secrets_of).into_iter().flatten());
        if let Some(name) = name {
            if is_reserved(&name) {
                return Err(failed(request, format!("the header `{name}` {RESERVED_WHY}")));
            }
            request.headers_mut().insert(name, value);
        }
    }
    Ok(made)
}

/// Removes the parts from a URL: a service may echo the key in its own links.
pub(super) fn strip(parts: &[CredentialPart], url: &mut Url) {
    let is_ours = |name: &str| query_names(parts).any(|ours| ours.eq_ignore_ascii_case(name));
    // A query is rewritten only if necessary: a signature may cover its bytes.
    if !url.query_pairs().any(|(name, _)| is_ours(&name)) {
        return;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in url.query_pairs().filter(|(name, _)| !is_ours(name)) {
        query.append_pair(&name, &value);
    }
    let query = query.finish();
    url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
}

fn query_names(parts: &[CredentialPart]) -> impl Iterator<Item = &str> {
    parts
        .iter()
        .filter_map(|part| if let CredentialPart::Query { name, .. } = part { Some(name.as_str()) } else { None })
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::*;
    use crate::credential::Credential;
    use crate::message::Priority;

    #[test]
    fn stamps_every_part_and_shows_none() {
        let credential = Credential::bearer(" T0KEN ")
            .and(Credential::api_key_header("X-Key", "K3Y"))
            .and(Credential::api_key_query("apikey", "Q&Y"));
        let url = Url::parse("https://a.example/x?a=1&APIKEY=old").unwrap();
        let mut request = Request::new(Method::GET, url, Priority::Call);
        credential.stamp(&mut request, &AttachedTokens::default()).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer T0KEN");
        assert_eq!(request.headers()["x-key"], "K3Y");
        assert_eq!(request.url().query(), Some("a=1&apikey=Q%26Y"));
        let shown = format!("{credential:?} {request:?} {:?}", request.headers());
        assert!(!["T0KEN", "K3Y", "Q&Y", "Q%26Y"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }

    #[test]
    fn an_echoed_key_is_taken_out_of_a_url() {
        let mut url = Url::parse("https://a.example/x?apikey=K&page=2").unwrap();
        Credential::api_key_query("apikey", "K").strip(&mut url);
        assert_eq!(url.as_str(), "https://a.example/x?page=2");
    }
}

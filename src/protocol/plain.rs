//! Plain: the parts of a cursor that a token in plain text may contain, and the parts that are trusted when read from
//! one.

use url::Url;

use super::cursor::Cursor;
use super::location::LONGEST;
use super::phase::Phase;
use crate::message::Trust;
use crate::redact::{holds_secret, is_signed, looks_secret, shown, sounds_secret};

/// Checks the URLs of a cursor that anybody may have edited; the error states why a client of these origins cannot use
/// it.
pub(crate) fn check_urls(cursor: &Cursor, trust: &Trust) -> Result<(), String> {
    let names = ["its status URL", "its last Location", "the URL that is followed", "its URL for a cancel"];
    let submit = ("the URL of its submit", Some(&*cursor.request_url));
    for (what, url) in std::iter::once(submit).chain(names.into_iter().zip(cursor.named_urls())) {
        let Some(text) = url else { continue };
        let Ok(url) = Url::parse(text) else { return Err(format!("{what} is no URL")) };
        if text.len() > LONGEST {
            return Err(format!("{what} is longer than any URL"));
        }
        if !trust.is_own(&url) {
            return Err(format!(
                "{what} leads to {}, and a token that is not sealed may not lead to another origin: seal tokens with \
                 ResumeToken::seal, or name the origin with ClientBuilder::allow_origin",
                shown(&url)
            ));
        }
    }
    Ok(())
}

/// Returns a cursor without its signed URLs.
pub(crate) fn without_signed(mut cursor: Cursor) -> Cursor {
    if let Some(url) = Url::parse(&cursor.request_url).ok().filter(holds_secret) {
        cursor.request_url = without_secrets(url).as_str().into();
    }
    for url in cursor.named_urls_mut() {
        *url = url.take().filter(|url| !Url::parse(url).is_ok_and(|url| holds_secret(&url)));
    }
    if let Some(extra) = &mut cursor.extra {
        extra.query.retain(|(name, value)| !sounds_secret(name) && !looks_secret(value));
    }
    if cursor.following().is_none() && cursor.phase != Phase::Submitting {
        cursor.phase = Phase::POLLING;
    }
    cursor
}

/// Applies `clean` to every URL that is kept: removes a credential's key that the service echoed.
pub(crate) fn clean_urls(cursor: &mut Cursor, clean: impl Fn(&mut Url)) {
    let cleaned = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        clean(&mut url);
        (url.as_str() != text).then(|| Box::from(url.as_str()))
    };
    if let Some(url) = cleaned(&cursor.request_url) {
        cursor.request_url = url;
    }
    for kept in cursor.named_urls_mut() {
        if let Some(url) = kept.as_deref().and_then(cleaned) {
            *kept = Some(url);
        }
    }
    if let Some(extra) = &mut cursor.extra
        && !extra.query.is_empty()
        && let Ok(mut url) = Url::parse("x:")
    {
        url.query_pairs_mut().extend_pairs(&extra.query);
        clean(&mut url);
        extra.query = url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect();
    }
}

/// Returns a URL without the secret members of its query; without any members if it is signed.
fn without_secrets(mut url: Url) -> Url {
    let is_kept = |name: &str, value: &str| !sounds_secret(name) && !looks_secret(value);
    let kept: Vec<_> = url.query_pairs().filter(|(name, value)| is_kept(name, value)).collect();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept.iter().filter(|_| !is_signed(&url)));
    let query = Some(query.finish()).filter(|query| !query.is_empty());
    drop(kept);
    url.set_query(query.as_deref());
    url
}

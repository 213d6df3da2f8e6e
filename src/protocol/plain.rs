//! Plain: what a token in plain text may hold, and what of one is believed.

use url::Url;

use super::Cursor;
use super::location::LONGEST;
use crate::message::Trust;
use crate::redact::{is_signed, looks_secret, shown, sounds_secret};

impl Cursor {
    /// Why a cursor that anybody may have edited cannot be used by a client of these origins.
    pub(crate) fn check_urls(&self, trust: &Trust) -> Result<(), String> {
        let cancel = self.extra.as_ref().and_then(|extra| extra.cancel_url.as_deref());
        for (what, url) in [
            ("the URL of its submit", Some(&*self.request_url)),
            ("its status URL", self.status_url.as_deref()),
            ("its last Location", self.last_location.as_deref()),
            ("the URL that is followed", self.following.as_deref()),
            ("its URL for a cancel", cancel),
        ] {
            let Some(text) = url else { continue };
            let Ok(url) = Url::parse(text) else { return Err(format!("{what} is no URL")) };
            if text.len() > LONGEST {
                return Err(format!("{what} is longer than any URL"));
            }
            if !trust.is_own(&url) {
                return Err(format!(
                    "{what} leads to {}, and the token is not sealed: anybody may have written that. Seal tokens with \
                     ResumeToken::seal, or name the origin with ClientBuilder::allow_origin",
                    shown(&url)
                ));
            }
        }
        Ok(())
    }
}

/// Without the members of the query that are secrets; of a signed URL, without any.
pub(super) fn without_secrets(mut url: Url) -> Url {
    let is_kept = |name: &str, value: &str| !sounds_secret(name) && !looks_secret(value);
    let kept: Vec<_> = url.query_pairs().filter(|(name, value)| is_kept(name, value)).collect();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept.iter().filter(|_| !is_signed(&url)));
    let query = Some(query.finish()).filter(|query| !query.is_empty());
    drop(kept);
    url.set_query(query.as_deref());
    url
}

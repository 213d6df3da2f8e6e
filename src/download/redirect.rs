//! Redirect: the URL that a storage redirects a request to.

use http::header;
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::message::Response;
use crate::redact::SecretUrl;

/// Returns the target of a redirect; `None` for any other answer.
pub(super) fn read(response: &Response) -> Result<Option<SecretUrl>, Error> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let unusable = || {
        Error::new(ErrorKind::ResultUnavailable, "the storage redirects to nowhere that can be used")
            .with_url(response.url())
            .with_status(response.status())
    };
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(unusable)?;
    if let Ok(link) = SecretUrl::parse(location) {
        return Ok(Some(link));
    }
    // An absolute URL that cannot be sent unchanged is refused; only a relative one is joined.
    if Url::parse(location).is_ok() {
        return Err(unusable());
    }
    let joined = response.url().join(location).map_err(|_| unusable())?;
    SecretUrl::parse(joined.as_str()).map(Some).map_err(|_| unusable())
}

//! Extra header: a header of one link, as the caller gives it.

use http::{HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind};
use crate::message::{RESERVED_WHY, is_reserved};

/// Parses a header for the requests of a download.
pub(super) fn parse<N, V>(name: N, value: V) -> Result<(HeaderName, HeaderValue), Error>
where
    N: AsRef<str> + TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let wrong = |why: String| Error::new(ErrorKind::Request, why);
    let shown = name.as_ref().escape_debug().to_string();
    let name = name.try_into().map_err(|_| wrong(format!("`{shown}` is no name of a header")))?;
    if is_reserved(&name) {
        return Err(wrong(format!("the header `{name}` {RESERVED_WHY}")));
    }
    if OWN.contains(&name.as_str()) {
        return Err(wrong(format!("the header `{name}` is set by the download itself")));
    }
    let mut value = value.try_into().map_err(|_| wrong(format!("the value of the header `{name}` is not valid")))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The headers by which a download asks for parts, and only of the same object.
const OWN: [&str; 7] =
    ["accept-encoding", "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_header_that_a_download_may_have() {
        let (name, value) = parse("X-Amz-Server-Side-Encryption-Customer-Key", "k").unwrap();
        assert_eq!((name.as_str(), value.is_sensitive()), ("x-amz-server-side-encryption-customer-key", true));
        for (name, value, why) in [
            ("Range", "bytes=0-", "set by the download"),
            ("Host", "a.example", "`host`"),
            ("no name", "x", "`no name` is no name"),
            ("x-a", "a\nb", "not valid"),
        ] {
            let error = parse(name, value).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

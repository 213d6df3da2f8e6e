//! Object: what a link leads to, whatever its signature.

use super::names::hash;
use crate::redact::SecretUrl;

/// Hashes the object of a link, because ETags of different objects may be equal; the hash names no object: FNV-1a of
/// the URL. What each renewal of a signed link changes is left out of its query.
pub(super) fn of(link: &SecretUrl) -> u64 {
    let (url, query) = link.split_sas();
    let is_signed = link.is_signed();
    let names = query.split('&').filter(|pair| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name).to_ascii_lowercase();
        !(is_signed && (SIGNING.contains(&&*name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))))
    });
    let bytes = url.bytes().chain(names.flat_map(|pair| [b'?'].into_iter().chain(pair.bytes())));
    hash(bytes)
}

/// What a signature consists of: Azure SAS (service, account and user delegation), CloudFront, S3 of version 2, GCS, OSS.
const SIGNING: [&str; 32] = [
    "sig",
    "se",
    "st",
    "sp",
    "sv",
    "sr",
    "ss",
    "srt",
    "spr",
    "sip",
    "si",
    "sdd",
    "ses",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
    "saoid",
    "suoid",
    "scid",
    "expires",
    "signature",
    "key-pair-id",
    "policy",
    "awsaccesskeyid",
    "googleaccessid",
    "ossaccesskeyid",
    "security-token",
    "token",
    "sduoid",
];
/// Signatures of version 4, and headers of the answer that a signature covers.
const PREFIXES: [&str; 6] = ["x-amz-", "x-goog-", "x-oss-", "x-cos-", "rsc", "response-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_objects_apart_and_not_their_signatures() {
        let object = |text: &str| of(&SecretUrl::parse(text).unwrap());
        let one = object("https://a.example/7?se=2030&sig=1");
        assert_eq!(one, object("https://a.example/7?se=2031&sig=2"));
        assert_ne!(one, object("https://a.example/8?se=2030&sig=1"));
        assert_ne!(one, object("https://b.example/7?se=2030&sig=1"));
        assert_ne!(object("https://a.example/file?id=7"), object("https://a.example/file?id=8"));
        assert_ne!(object("https://a.example/file?id=7&sig=1"), object("https://a.example/file?id=8&sig=1"));
        assert_ne!(object("https://a.example/7?versionId=1&sig=1"), object("https://a.example/7?versionId=2&sig=1"));
        let dated = |date| object(&format!("https://a.example/7?X-Amz-Date={date}&X-Amz-Signature=1&partNumber=1"));
        assert_eq!(dated("20300101T000000Z"), dated("20300102T000000Z"));
    }
}

//! Stated: the checksums of a whole object that the headers of an answer state.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use http::{HeaderMap, HeaderValue, header};

use super::members::{byte_sequence, counts_parts, is, members, pair};
use super::{Algorithm, Expected};

/// Services differ about the `=` at the end, and the length of the value proves it anyway.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Returns the checksums of the whole object that an answer to a GET states, at most one of each algorithm and the
/// cheapest algorithm first, and a warning for each header that does not count.
///
/// `body_is_whole` states that the body is the whole object: a 200, or a 206 of every byte. Other answers state the
/// checksum of their part in some headers, and these do not count. The caller has checked that the body has no content
/// coding which it undoes: all values are of the bytes on the wire.
///
/// Two different values of one algorithm do not count, because nothing shows which of them is of these bytes, and an
/// intact file must not fail. Other algorithms are not affected.
pub(crate) fn stated(headers: &HeaderMap, body_is_whole: bool) -> (Vec<Expected>, Vec<String>) {
    let mut found = Found::default();
    found.plain(headers, "x-ms-blob-content-md5", Algorithm::Md5);
    if !is_transcoded(headers) {
        found.pairs(headers, "x-goog-hash", &[("crc32c", Algorithm::Crc32c), ("md5", Algorithm::Md5)]);
    }
    found.dictionary(headers, "Repr-Digest");
    let legacy = [
        ("SHA-256", Algorithm::Sha256),
        ("SHA-512", Algorithm::Sha512),
        ("MD5", Algorithm::Md5),
        ("crc32c", Algorithm::Crc32c),
    ];
    found.pairs(headers, "Digest", &legacy);
    if body_is_whole {
        found.plain(headers, "Content-MD5", Algorithm::Md5);
        found.dictionary(headers, "Content-Digest");
        found.azure_crc64(headers);
        found.s3(headers);
    }
    found.agreed()
}

/// Cloud Storage decompresses an object for a client that does not accept gzip, and `x-goog-hash` is of the stored
/// bytes: <https://docs.cloud.google.com/storage/docs/transcoding>. Google's own clients compare the same two headers.
fn is_transcoded(headers: &HeaderMap) -> bool {
    let coding = |name: &str| headers.get(name).map_or(&b"identity"[..], HeaderValue::as_bytes);
    let stored = coding("x-goog-stored-content-encoding").trim_ascii();
    !stored.eq_ignore_ascii_case(b"identity")
        && !stored.eq_ignore_ascii_case(coding(header::CONTENT_ENCODING.as_str()).trim_ascii())
}

#[derive(Default)]
struct Found {
    values: Vec<Expected>,
    warnings: Vec<String>,
}

impl Found {
    /// Reads a header that is one value in base64.
    fn plain(&mut self, headers: &HeaderMap, name: &'static str, algorithm: Algorithm) {
        for value in headers.get_all(name) {
            self.take(name, name, algorithm, value.to_str().ok());
        }
    }

    /// Reads a header of `algorithm=base64`, separated by commas (RFC 3230, `x-goog-hash`).
    fn pairs(&mut self, headers: &HeaderMap, name: &'static str, known: &[(&str, Algorithm)]) {
        for member in headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
            let (key, value) = pair(member);
            if let Some((_, algorithm)) = known.iter().find(|(known, _)| is(key, known)) {
                let shown = format!("{} in {name}", algorithm.name());
                self.take(name, &shown, *algorithm, value.and_then(|value| str::from_utf8(value).ok()));
            }
        }
    }

    /// Reads a dictionary of byte sequences (RFC 9530, RFC 9651): `sha-256=:base64:;parameter=1`.
    ///
    /// A CRC does not count: the registry names `crc32c` as deprecated, and does not state the order of its bytes.
    fn dictionary(&mut self, headers: &HeaderMap, name: &'static str) {
        for member in headers.get_all(name).iter().flat_map(|value| members(value.as_bytes())) {
            let (key, value) = pair(member);
            let digests = [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Md5];
            if let Some(algorithm) = digests.into_iter().find(|algorithm| is(key, algorithm.name())) {
                let shown = format!("{} in {name}", algorithm.name());
                self.take(name, &shown, algorithm, value.and_then(byte_sequence));
            }
        }
    }

    /// Reads the CRC of Azure, which is CRC-64/NVME with its lowest byte first.
    ///
    /// Azure's SDKs state both. The one for Go has the reflected polynomial `0x9A6C9329AC4BC9B5` over Go's `hash/crc64`,
    /// which begins with all ones and inverts the end, and writes the value with `binary.LittleEndian.PutUint64`
    /// (`sdk/storage/azblob/internal/exported/transfer_validation_option.go`). Its tests read answers in the same way
    /// (`TestStageBlockWithGeneratedCRC64` in `sdk/storage/azblob/blockblob/client_test.go`). The one for Java has the
    /// same polynomial and order (`StorageCrc64Calculator`, and `StorageCrc64Checksum.getCrcBytes`).
    fn azure_crc64(&mut self, headers: &HeaderMap) {
        let before = self.values.len();
        self.plain(headers, "x-ms-content-crc64", Algorithm::Crc64Nvme);
        for expected in self.values.iter_mut().skip(before) {
            expected.value.reverse();
        }
    }

    /// Reads the checksums of S3, whose CRCs have their highest byte first.
    ///
    /// A GET of a part, or of a range that is exactly a part, states the checksum of that part
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>), so that these headers
    /// count with a whole body alone. A composite checksum is of the checksums of the parts, and not of the bytes.
    fn s3(&mut self, headers: &HeaderMap) {
        const NAMES: [(&str, Algorithm); 6] = [
            ("x-amz-checksum-crc64nvme", Algorithm::Crc64Nvme),
            ("x-amz-checksum-crc32c", Algorithm::Crc32c),
            ("x-amz-checksum-crc32", Algorithm::Crc32),
            ("x-amz-checksum-md5", Algorithm::Md5),
            ("x-amz-checksum-sha256", Algorithm::Sha256),
            ("x-amz-checksum-sha512", Algorithm::Sha512),
        ];
        if headers.get_all("x-amz-checksum-type").iter().any(|kind| is(kind.as_bytes(), "COMPOSITE")) {
            return;
        }
        for (name, algorithm) in NAMES {
            if !headers.get_all(name).iter().any(|value| counts_parts(value.as_bytes())) {
                self.plain(headers, name, algorithm);
            }
        }
    }

    fn take(&mut self, stated_by: &'static str, shown: &str, algorithm: Algorithm, encoded: Option<&str>) {
        let value = encoded.and_then(|encoded| BASE64.decode(encoded.trim()).ok());
        match value.filter(|value| value.len() == algorithm.len()) {
            Some(value) => self.values.push(Expected { algorithm, value, stated_by: stated_by.into() }),
            None => self.warnings.push(format!("{shown} is not base64 of {} bytes: ignored", algorithm.len())),
        }
    }

    fn agreed(self) -> (Vec<Expected>, Vec<String>) {
        let Self { values, mut warnings } = self;
        let mut agreed = Vec::new();
        for algorithm in Algorithm::ALL {
            let mut of = values.iter().filter(|expected| expected.algorithm == algorithm);
            let Some(first) = of.next() else { continue };
            match of.find(|other| other.value != first.value) {
                Some(other) if other.stated_by == first.stated_by => {
                    warnings.push(format!("{} states two values of {}: ignored", first.stated_by, algorithm.name()));
                }
                Some(other) => {
                    let (first, other, name) = (&first.stated_by, &other.stated_by, algorithm.name());
                    warnings.push(format!("{first} and {other} state different values of {name}: both ignored"));
                }
                None => agreed.push(first.clone()),
            }
        }
        (agreed, warnings)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    /// The values of "123456789".
    const MD5: &str = "JfnnlDI7RTiF9RgfG2JNCw==";
    const CRC32C: &str = "4waSgw==";
    const CRC32: &str = "y/Q5Jg==";
    const CRC64: &str = "rosUhgp5mIg=";
    /// The same with its lowest byte first.
    const CRC64_LOW: &str = "iJh5CoYUi64=";
    const SHA256: &str = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=";
    const SHA512: &str = "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==";
    const OTHER_MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parsed = |name: &str| name.parse::<HeaderName>().unwrap();
        lines.iter().map(|(name, value)| (parsed(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    /// Each value as `algorithm by header`, after a comparison with the value of "123456789".
    fn found(lines: &[(&str, &str)], body_is_whole: bool) -> Vec<String> {
        let (found, warnings) = stated(&headers(lines), body_is_whole);
        assert_eq!(warnings, [""; 0], "{lines:?}");
        found
            .into_iter()
            .map(|Expected { algorithm, value, stated_by }| {
                let mut hasher = super::super::Hasher::new(algorithm);
                hasher.update(b"123456789");
                assert_eq!(hasher.finish(), value, "{lines:?}");
                format!("{} by {stated_by}", algorithm.name())
            })
            .collect()
    }

    #[test]
    fn reads_the_headers_about_a_whole_object_from_any_answer() {
        for (lines, expected) in [
            (&[][..], &[][..]),
            (&[("x-ms-blob-content-md5", MD5)], &["md5 by x-ms-blob-content-md5"]),
            (&[("x-goog-hash", &format!("crc32c={CRC32C}"))], &["crc32c by x-goog-hash"]),
            (
                &[("x-goog-hash", &format!("crc32c={CRC32C}")), ("x-goog-hash", &format!("md5={MD5}"))],
                &["crc32c by x-goog-hash", "md5 by x-goog-hash"],
            ),
            (
                &[("x-goog-hash", &format!("md5={MD5} , crc32c={CRC32C},sha1=?"))],
                &["crc32c by x-goog-hash", "md5 by x-goog-hash"],
            ),
            (&[("Repr-Digest", &format!("sha-256=:{SHA256}:"))], &["sha-256 by Repr-Digest"]),
            (
                &[("Repr-Digest", &format!("a=\"x, sha-256=:?: \\\",\", sha-256=:{SHA256}: ;q=\"1\", md5=:{MD5}:, b"))],
                &["md5 by Repr-Digest", "sha-256 by Repr-Digest"],
            ),
            (&[("Repr-Digest", &format!("sha-512=:{SHA512}:,unixsum=:AA==:"))], &["sha-512 by Repr-Digest"]),
            (&[("Repr-Digest", "crc32c=:AAAAAA==:, adler=:A:, sha=?1")], &[]),
            (
                &[("Digest", &format!("SHA-256={SHA256},md5={MD5},crc32c={CRC32C},SHA=x,UNIXsum=30637"))],
                &["crc32c by Digest", "md5 by Digest", "sha-256 by Digest"],
            ),
            (&[("Digest", &format!("SHA-512={SHA512}"))], &["sha-512 by Digest"]),
            // Without padding.
            (&[("x-ms-blob-content-md5", MD5.trim_end_matches('='))], &["md5 by x-ms-blob-content-md5"]),
            // The same value twice.
            (
                &[("x-ms-blob-content-md5", MD5), ("x-goog-hash", &format!("md5={MD5}"))],
                &["md5 by x-ms-blob-content-md5"],
            ),
        ] {
            assert_eq!(found(lines, true), expected, "{lines:?}");
            assert_eq!(found(lines, false), expected, "{lines:?}");
        }
    }

    #[test]
    fn reads_the_headers_about_a_body_where_it_is_whole() {
        for (lines, expected) in [
            (&[("Content-MD5", MD5)][..], &["md5 by Content-MD5"][..]),
            (&[("Content-Digest", &format!("sha-256=:{SHA256}:"))], &["sha-256 by Content-Digest"]),
            (&[("x-ms-content-crc64", CRC64_LOW)], &["crc64nvme by x-ms-content-crc64"]),
            (
                &[("x-amz-checksum-crc64nvme", CRC64), ("x-amz-checksum-type", "FULL_OBJECT")],
                &["crc64nvme by x-amz-checksum-crc64nvme"],
            ),
            (&[("x-amz-checksum-crc64nvme", CRC64), ("x-amz-checksum-type", "COMPOSITE")], &[]),
            (&[("x-amz-checksum-crc64nvme", CRC64), ("x-amz-checksum-type", "composite")], &[]),
            (
                &[("x-amz-checksum-crc32c", CRC32C), ("x-amz-checksum-crc32", CRC32)],
                &["crc32c by x-amz-checksum-crc32c", "crc32 by x-amz-checksum-crc32"],
            ),
            (&[("x-amz-checksum-sha256", SHA256)], &["sha-256 by x-amz-checksum-sha256"]),
            (&[("x-amz-checksum-sha256", &format!("{SHA256}-3"))], &[]),
            (&[("x-amz-checksum-crc32", "AAAAAA==-17")], &[]),
            (&[("x-amz-checksum-md5", MD5)], &["md5 by x-amz-checksum-md5"]),
            (&[("x-amz-checksum-sha1", "fCIvsgzq2u9B1NLplNu6pfk67vo=")], &[]),
            (&[("ETag", "\"25f9e794323b453885f5181f1b624d0b\"")], &[]),
        ] {
            assert_eq!(found(lines, true), expected, "{lines:?}");
            assert_eq!(found(lines, false), [""; 0], "{lines:?}");
        }
    }

    #[test]
    fn a_hash_of_stored_bytes_counts_where_these_are_sent() {
        let hash = format!("md5={MD5}");
        for (stored, sent, counts) in [
            (Some("identity"), None, true),
            (None, None, true),
            (Some("gzip"), None, false),
            (Some("gzip"), Some("gzip"), true),
            (Some("GZIP"), Some("gzip"), true),
            (Some("gzip"), Some("identity"), false),
            (Some("br"), Some("br"), true),
            (Some("identity"), Some("gzip"), true),
        ] {
            let mut lines = vec![("x-goog-hash", hash.as_str())];
            lines.extend(stored.map(|stored| ("x-goog-stored-content-encoding", stored)));
            lines.extend(sent.map(|sent| ("content-encoding", sent)));
            assert_eq!(found(&lines, true).len(), usize::from(counts), "{stored:?} {sent:?}");
        }
    }

    #[test]
    fn warns_of_a_malformed_value() {
        let trailing = format!("sha-256=:{SHA256}:x");
        for (name, value, warning) in [
            ("Content-MD5", "25f9e794323b453885f5181f1b624d0b", "Content-MD5 is not base64 of 16 bytes: ignored"),
            ("Content-MD5", "", "Content-MD5 is not base64 of 16 bytes: ignored"),
            ("Content-MD5", "é", "Content-MD5 is not base64 of 16 bytes: ignored"),
            ("Content-MD5", CRC64, "Content-MD5 is not base64 of 16 bytes: ignored"),
            ("x-ms-blob-content-md5", "J", "x-ms-blob-content-md5 is not base64 of 16 bytes: ignored"),
            ("x-ms-content-crc64", CRC32, "x-ms-content-crc64 is not base64 of 8 bytes: ignored"),
            ("x-amz-checksum-crc32", "y/Q5Jg==-", "x-amz-checksum-crc32 is not base64 of 4 bytes: ignored"),
            ("x-amz-checksum-crc32", "-_Q5Jg==", "x-amz-checksum-crc32 is not base64 of 4 bytes: ignored"),
            ("x-goog-hash", "md5", "md5 in x-goog-hash is not base64 of 16 bytes: ignored"),
            ("x-goog-hash", "crc32c=12345678", "crc32c in x-goog-hash is not base64 of 4 bytes: ignored"),
            ("Repr-Digest", "sha-256=\"a\"", "sha-256 in Repr-Digest is not base64 of 32 bytes: ignored"),
            ("Repr-Digest", "sha-256=:AA==", "sha-256 in Repr-Digest is not base64 of 32 bytes: ignored"),
            ("Repr-Digest", &trailing, "sha-256 in Repr-Digest is not base64 of 32 bytes: ignored"),
            ("Digest", "SHA-256=", "sha-256 in Digest is not base64 of 32 bytes: ignored"),
        ] {
            let (found, warnings) = stated(&headers(&[(name, value)]), true);
            assert_eq!((found, warnings), (vec![], vec![warning.to_owned()]), "{name}: {value}");
        }
    }

    #[test]
    fn two_values_of_one_algorithm_do_not_count() {
        let both = [("x-ms-blob-content-md5", MD5), ("Content-MD5", OTHER_MD5), ("x-amz-checksum-crc32", CRC32)];
        let (found, warnings) = stated(&headers(&both), true);
        assert_eq!(found.iter().map(|expected| expected.algorithm).collect::<Vec<_>>(), [Algorithm::Crc32]);
        assert_eq!(warnings, ["x-ms-blob-content-md5 and Content-MD5 state different values of md5: both ignored"]);

        let twice = [("Content-MD5", MD5), ("Content-MD5", OTHER_MD5)];
        let warning = "Content-MD5 states two values of md5: ignored".to_owned();
        assert_eq!(stated(&headers(&twice), true), (vec![], vec![warning]));
        // The one that is about the part does not disagree.
        assert_eq!(stated(&headers(&both), false).1, [""; 0]);
    }

    const NAMES: [&str; 13] = [
        "x-ms-blob-content-md5",
        "x-goog-hash",
        "x-goog-stored-content-encoding",
        "content-encoding",
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha256",
        "x-amz-checksum-type",
        "repr-digest",
        "digest",
        "content-md5",
        "content-digest",
        "x-ms-content-crc64",
    ];

    proptest! {
        #[test]
        fn arbitrary_headers_state_values_of_the_right_length(
            lines in prop::collection::vec((0..NAMES.len(), prop::collection::vec(any::<u8>(), 0..60)), 0..6),
            words in prop::collection::vec(
                (0..NAMES.len(), "(md5|crc32c|sha-256|SHA-512|x)?=?:?[A-Za-z0-9+/=:;,\"\\\\ -]{0,48}"), 0..6),
            body_is_whole: bool,
        ) {
            let words = words.into_iter().map(|(name, word)| (name, word.into_bytes()));
            let headers: HeaderMap = lines.into_iter().chain(words)
                .filter_map(|(name, value)| {
                    Some((HeaderName::from_static(NAMES[name]), HeaderValue::from_bytes(&value).ok()?))
                })
                .collect();
            let (found, _) = stated(&headers, body_is_whole);
            for (at, expected) in found.iter().enumerate() {
                prop_assert_eq!(expected.value.len(), expected.algorithm.len());
                prop_assert!(found.iter().skip(at + 1).all(|other| other.algorithm != expected.algorithm));
            }
        }
    }
}

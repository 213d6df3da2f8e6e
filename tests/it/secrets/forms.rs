//! How a service can write what it repeats.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

/// A way of writing a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Raw,
    Quoted,
    Json,
    JsonInJson,
    Escaped,
    Percent,
    PercentLower,
    PercentAll,
    PercentTwice,
    Field,
    LenientPercent,
    Entities,
    Base64,
    Base64Unpadded,
    Base64Url,
    Base64UrlUnpadded,
    Base64Pair,
    Base64Header,
    Base64Json,
    Base64Percent,
}

pub(crate) const FORMS: [Form; 20] = [
    Form::Raw,
    Form::Quoted,
    Form::Json,
    Form::JsonInJson,
    Form::Escaped,
    Form::Percent,
    Form::PercentLower,
    Form::PercentAll,
    Form::PercentTwice,
    Form::Field,
    Form::LenientPercent,
    Form::Entities,
    Form::Base64,
    Form::Base64Unpadded,
    Form::Base64Url,
    Form::Base64UrlUnpadded,
    Form::Base64Pair,
    Form::Base64Header,
    Form::Base64Json,
    Form::Base64Percent,
];

pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What JavaScript's `encodeURI` leaves.
const LENIENT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'%').add(b'\\').add(b'^');

impl Form {
    pub(crate) fn write(self, secret: &str) -> String {
        let percent = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        match self {
            Self::Raw => secret.to_owned(),
            Self::Quoted => format!("\"{secret}\""),
            Self::Json => json!(secret).to_string(),
            Self::JsonInJson => json!(json!(secret).to_string()).to_string(),
            Self::Escaped => secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            Self::Percent => percent(secret),
            Self::PercentLower => lower(&percent(secret)),
            Self::PercentAll => secret.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            Self::PercentTwice => percent(&percent(secret)),
            Self::Field => url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            Self::LenientPercent => utf8_percent_encode(secret, LENIENT).to_string(),
            Self::Entities => secret
                .chars()
                .map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("&#x{:X};", u32::from(c)) })
                .collect(),
            Self::Base64 => STANDARD.encode(secret),
            Self::Base64Unpadded => STANDARD_NO_PAD.encode(secret),
            Self::Base64Url => URL_SAFE.encode(secret),
            Self::Base64UrlUnpadded => URL_SAFE_NO_PAD.encode(secret),
            Self::Base64Pair => STANDARD.encode(format!("my-id:{secret}")),
            Self::Base64Header => STANDARD.encode(format!("Authorization: Bearer {secret}\r\n")),
            Self::Base64Json => STANDARD.encode(json!({"key": secret}).to_string()),
            Self::Base64Percent => percent(&STANDARD.encode(format!("u:{secret}:x"))),
        }
    }

    /// What must not show of a text that is written so.
    pub(crate) fn marks(self, secret: &str) -> Vec<String> {
        let written = self.write(secret);
        match self {
            // Of base64 the characters that are the secret's alone: all but its ends.
            Self::Base64Pair | Self::Base64Header | Self::Base64Json | Self::Base64Percent => {
                let quarter = written.len() / 3;
                written.get(quarter..written.len() - quarter).map(str::to_owned).into_iter().collect()
            }
            _ => vec![written],
        }
    }
}

pub(crate) fn lower(percent: &str) -> String {
    let mut out = String::new();
    let mut rest = percent;
    while let Some((before, code)) = rest.split_once('%') {
        let (digits, behind) = code.split_at(2);
        write!(out, "{before}%{}", digits.to_ascii_lowercase()).unwrap();
        rest = behind;
    }
    out + rest
}

//! Verification: which checksums a download must have, and what is said about it besides.

use std::path::Path;

use super::checksum::{self, Algorithm, Expected};
use super::file_name;
use super::reader::Head;
use super::settings::{Settings, Verify};
use crate::error::{Error, ErrorKind};
use crate::redact::SecretUrl;

/// What is known about the whole object.
#[derive(Debug, Default)]
pub(super) struct Verification {
    expected: Vec<Expected>,
    is_required: bool,
    warnings: Vec<String>,
    head: Option<Head>,
}

impl Verification {
    /// Reads the head of the first answer; `None` if there is none.
    pub(super) fn of(head: Option<&Head>, settings: &Settings) -> Self {
        let (mut expected, mut warnings) = (Vec::new(), Vec::new());
        if let Some(head) = head.filter(|_| settings.verify != Verify::Length) {
            (expected, warnings) = checksum::stated(&head.headers, head.is_whole);
        }
        if let Some(head) = head
            && let Some(encoding) = head.headers.get(http::header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let encoding = encoding.to_str().unwrap_or("unknown");
            warnings.push(format!("the storage sent the file encoded ({encoding}), and it is saved as it came"));
        }
        if let Some(given) = &settings.checksum {
            // What the application knows goes before what the storage says.
            expected.retain(|stated| stated.algorithm != given.expected().algorithm);
            expected.push(given.expected().clone());
        }
        let is_required = settings.verify == Verify::Required;
        Self { expected, is_required, warnings, head: head.cloned() }
    }

    pub(super) fn expected(&self) -> &[Expected] {
        &self.expected
    }

    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<_> = self.expected.iter().map(|expected| expected.algorithm).collect();
        algorithms.dedup();
        algorithms
    }

    /// Checks that there is something to compare, if the application asks for that: a first answer shows it.
    pub(super) fn check_enough(&self) -> Result<(), Error> {
        if !self.is_required || !self.expected.is_empty() {
            return Ok(());
        }
        let why = "the storage states no checksum of the whole, and `Verify::Required` asks for one";
        Err(Error::new(ErrorKind::ChecksumMismatch, why))
    }

    /// Takes over what an earlier call read: not every answer to a part states the checksums of the whole.
    pub(super) fn with_earlier(mut self, earlier: &[Expected], settings: &Settings) -> Self {
        if settings.verify != Verify::Length {
            let missing = earlier
                .iter()
                .filter(|earlier| self.expected.iter().all(|expected| expected.algorithm != earlier.algorithm));
            let missing: Vec<_> = missing.cloned().collect();
            self.expected.extend(missing);
        }
        self
    }

    /// Compares what was computed, and returns the names of what agreed.
    pub(super) fn check(&self, found: &[(Algorithm, Vec<u8>)], total: Option<u64>) -> Result<Vec<&'static str>, Error> {
        let mut verified = Vec::new();
        if total.is_some() {
            verified.push("length");
        }
        for expected in &self.expected {
            let Some((_, value)) = found.iter().find(|(algorithm, _)| *algorithm == expected.algorithm) else {
                continue;
            };
            expected.compare(value).map_err(|why| Error::new(ErrorKind::ChecksumMismatch, why))?;
            let name = expected.algorithm.name();
            if !verified.contains(&name) {
                verified.push(name);
            }
        }
        Ok(verified)
    }

    /// Returns what a person should know about the file that is behind this link.
    pub(super) fn warnings(mut self, link: &SecretUrl) -> Vec<String> {
        if let Some(head) = &self.head {
            let path = link.url().path();
            let name = file_name::suggested(&head.headers, path).unwrap_or_default();
            let link_name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            if file_name::says_html(&head.headers, &name) || file_name::says_html(&head.headers, &link_name) {
                self.warnings.push(format!(
                    "the storage says that the file is a page of HTML, and its name is {name:?}: it may be a login page or an \
                     error"
                ));
            }
        }
        self.warnings
    }
}

//! Multipart: the parts of a form, and the body that they make.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;

/// A form with fields and files, sent as `multipart/form-data` (RFC 7578).
///
/// The parts are held in memory, and are copied once into the body. Every attempt of a request sends the same body, so
/// a submit that is repeated is the same submit.
///
/// ```
/// use longhaul::http::Multipart;
/// # use longhaul::testing::{reply, script};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> longhaul::Result<()> {
/// # let service = script([reply(201).json(serde_json::json!({"activity_id": "7"}))]);
/// # let client = service.client().build()?;
/// let form = Multipart::new()
///     .text("file_name", "farms.csv")
///     .text("list_ids", "04fe9a97")
///     .file("file", "farms.csv", "text/csv", "email\nann@example.com\n");
/// client.post("activities/contacts_file_import").multipart(form).send().await?;
/// # let body = service.requests()[0].body().clone();
/// # let body = String::from_utf8_lossy(&body);
/// # assert!(body.contains("name=\"file\"; filename=\"farms.csv\"\r\nContent-Type: text/csv\r\n\r\nemail\n"), "{body}");
/// # Ok(())
/// # }
/// ```
///
/// `"`, CR and LF in the names of fields and files are percent-encoded, as browsers do; all other characters are sent
/// as UTF-8. Values and files are sent unchanged. The boundary is random and occurs in no part.
///
/// `Debug` shows the names of the fields and the length of each value.
#[derive(Clone, Default)]
#[must_use = "a form is sent only by a request"]
pub struct Multipart(Vec<Part>);

#[derive(Clone)]
struct Part {
    name: String,
    file: Option<PartFile>,
    bytes: Bytes,
}

#[derive(Clone)]
struct PartFile {
    name: String,
    content_type: String,
}

impl Multipart {
    /// Creates a form without parts.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field. Several fields may have one name.
    pub fn text(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push(Part { name: name.into(), file: None, bytes: value.into().into() });
        self
    }

    /// Adds a file. Several files may have one name. A content type that no header may contain is an error of the
    /// request.
    pub fn file(
        mut self,
        name: impl Into<String>,
        file_name: impl Into<String>,
        content_type: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        let file = PartFile { name: file_name.into(), content_type: content_type.into() };
        self.0.push(Part { name: name.into(), file: Some(file), bytes: bytes.into() });
        self
    }

    /// Returns the body and its content type, or why there is none.
    pub(crate) fn encode(self, chance: &mut fastrand::Rng) -> Result<(Bytes, String), String> {
        let heads = self.0.iter().map(Part::head).collect::<Result<Vec<_>, _>>()?;
        let boundary = loop {
            let boundary = format!("longhaul-{:032x}", chance.u128(..));
            let occurs = |bytes: &[u8]| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
            let is_inside =
                heads.iter().any(|head| occurs(head.as_bytes())) || self.0.iter().any(|part| occurs(&part.bytes));
            if !is_inside {
                break boundary;
            }
        };
        let parts = heads.iter().zip(&self.0);
        let length: usize = parts.clone().map(|(head, part)| head.len() + part.bytes.len() + boundary.len() + 6).sum();
        let mut body = Vec::with_capacity(length + boundary.len() + 6);
        for (head, part) in parts {
            for piece in [b"--", boundary.as_bytes(), b"\r\n", head.as_bytes(), &part.bytes, b"\r\n"] {
                body.extend_from_slice(piece);
            }
        }
        for piece in [b"--", boundary.as_bytes(), b"--\r\n"] {
            body.extend_from_slice(piece);
        }
        Ok((body.into(), format!("multipart/form-data; boundary={boundary}")))
    }
}

impl Part {
    /// Returns the header fields of the part, with the empty line after them.
    fn head(&self) -> Result<String, String> {
        let name = escaped(&self.name);
        let Some(file) = &self.file else {
            return Ok(format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n"));
        };
        let (file_name, content_type) = (escaped(&file.name), &file.content_type);
        if HeaderValue::from_str(content_type).is_err() {
            let shown = content_type.escape_debug();
            return Err(format!("`{shown}` is no content type of a file: it contains a control character"));
        }
        Ok(format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: {content_type}\r\n\r\n"
        ))
    }
}

/// The escapes of the HTML standard, "multipart form data". A `%` of the name stays as it is there, too.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|part| (&part.name, part.bytes.len()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_the_standard_says() {
        let form = Multipart::new()
            .text("a \"b\"\r\nX-Evil: 1", "two\nlines")
            .file("file", "Höfe \"1\".csv", "text/csv; charset=utf-8", &b"\x00\xff"[..])
            .text("a", "");
        let (body, content_type) = form.encode(&mut fastrand::Rng::with_seed(1)).unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!(boundary.len() <= 70 && boundary.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{boundary}");
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"a %22b%22%0D%0AX-Evil: 1\"\r\n\r\ntwo\nlines\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"Höfe %221%22.csv\"\r\n\
             Content-Type: text/csv; charset=utf-8\r\n\r\n"
        )
        .into_bytes();
        expected.extend_from_slice(b"\x00\xff");
        let end =
            format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n--{boundary}--\r\n");
        expected.extend_from_slice(end.as_bytes());
        assert_eq!(body, expected);
    }

    #[test]
    fn a_boundary_is_never_inside_a_part() {
        let boundary = |form: &Multipart| form.clone().encode(&mut fastrand::Rng::with_seed(7)).unwrap().1;
        let first = boundary(&Multipart::new());
        let (_, inside) = first.split_once('=').unwrap();
        for form in [
            Multipart::new().text("a", format!("..--{inside}..")),
            Multipart::new().text(inside, ""),
            Multipart::new().file("a", inside, "text/plain", ""),
            Multipart::new().file("a", "b", format!("text/plain; x={inside}"), ""),
        ] {
            assert_ne!(boundary(&form), first, "{form:?}");
        }
        assert_eq!(boundary(&Multipart::new().text("a", &inside[1..])), first);
    }

    #[test]
    fn a_content_type_cannot_end_the_header() {
        let form = Multipart::new().file("a", "b", "text/csv\r\n\r\nevil", "");
        let why = form.encode(&mut fastrand::Rng::with_seed(1)).unwrap_err();
        assert!(why.contains(r"`text/csv\r\n\r\nevil` is no content type"), "{why}");
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", Multipart::new().text("token", "s3cret")), r#"{"token": 6}"#);
    }
}

//! HTML: a page that came in place of a file, which a sign-in or an error often sends with status 200.

use http::{HeaderMap, HeaderValue, header};

/// Pages, and the programs on servers that send pages.
const PAGES: [&str; 21] = [
    "html", "htm", "xhtml", "xht", "shtml", "shtm", "mhtml", "mht", "php", "phtml", "asp", "aspx", "ashx", "jsp",
    "jspx", "jsf", "cgi", "cfm", "pl", "do", "action",
];

/// Returns whether the answer is a page by its type, while `name` has the extension of another kind of file.
///
/// A name without an extension promises nothing. A number at the end, such as in `2024.05`, is not an extension.
pub(crate) fn says_html(headers: &HeaderMap, name: &str) -> bool {
    is_html(headers) && extension(name).is_some_and(|extension| !is_page(extension))
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"text/html"[..], b"application/xhtml+xml"].iter().any(|page| essence.eq_ignore_ascii_case(page))
}

fn extension(name: &str) -> Option<&str> {
    let base = name.rsplit(['/', '\\']).next()?;
    let (stem, extension) = base.trim_end().rsplit_once('.')?;
    let fits = (1..=10).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (!stem.is_empty() && fits && extension.bytes().any(|byte| byte.is_ascii_alphabetic())).then_some(extension)
}

fn is_page(extension: &str) -> bool {
    // `php` is versioned: `php5`.
    let plain = extension.trim_end_matches(|char: char| char.is_ascii_digit());
    PAGES.iter().any(|page| page.eq_ignore_ascii_case(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_page_in_place_of_a_file() {
        for (kind, name, expected) in [
            ("text/html", "a.csv", true),
            ("TEXT/HTML ; charset=utf-8", "a.csv", true),
            ("application/xhtml+xml", "a.parquet", true),
            ("text/html", "exports/a.csv.gz", true),
            ("text/html", "a.7z", true),
            ("text/html", "a.html", false),
            ("text/html", "A.HTM", false),
            ("text/html", "a.xhtml", false),
            ("text/html", "download.php", false),
            ("text/html", "download.php5", false),
            ("text/html", "Get.aspx", false),
            ("text/html", "export.do", false),
            ("text/html", "a", false),
            ("text/html", "", false),
            ("text/html", ".csv", false),
            ("text/html", "a.", false),
            ("text/html", "2024.05", false),
            ("text/html", "a.csv/b", false),
            ("text/html", "a.with a space", false),
            ("text/csv", "a.csv", false),
            ("text/html5", "a.csv", false),
            ("application/octet-stream", "a.csv", false),
            ("", "a.csv", false),
            ("é", "a.csv", false),
        ] {
            let kind = HeaderValue::from_bytes(kind.as_bytes()).unwrap();
            let headers: HeaderMap = [(header::CONTENT_TYPE, kind)].into_iter().collect();
            assert_eq!(says_html(&headers, name), expected, "{name}");
        }
        assert!(!says_html(&HeaderMap::new(), "a.csv"));
    }
}

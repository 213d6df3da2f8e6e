//! Links by their relation: in the header `Link` (RFC 8288), and in the bodies of services.

use http::HeaderMap;
use http::header::LINK;
use serde_json::Value;

/// Returns the targets of the links of this relation in the header `Link`, as the service wrote them.
///
/// The case of a relation does not matter. If a link has several `rel`, the first counts, and a link with an `anchor`
/// belongs to another resource (RFC 8288, 3.2 and 3.3). Pages for people (`type="text/html"`) come last.
pub(crate) fn in_headers(headers: &HeaderMap, rel: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut pages = Vec::new();
    for value in headers.get_all(LINK) {
        // A title may contain bytes that are not ASCII.
        let value = String::from_utf8_lossy(value.as_bytes());
        let mut rest = &*value;
        while let Some((link, behind)) = next(rest) {
            if link.is_of(rel) {
                let list = if link.is_page { &mut pages } else { &mut found };
                list.push(link.target.to_owned());
            }
            rest = behind;
        }
    }
    found.append(&mut pages);
    found
}

/// Returns the targets of the links of this relation in a body: `links` or `link` with entries that have a `rel` and an
/// `href` (in FHIR `relation` and `url`), or `_links` or `links` with the relation as the name of a member (HAL,
/// JSON:API). Links to pages for people (`"type": "text/html"`) come last, as OGC API servers list them beside JSON.
pub(crate) fn in_body(body: &Value, rel: &str) -> Vec<String> {
    let mut found: Vec<&Value> = Vec::new();
    for name in ["links", "_links", "link"] {
        match member(body, name) {
            Some(Value::Array(links)) => {
                let of_rel = |link: &&Value| {
                    ["rel", "relation"].iter().any(|name| member(link, name).is_some_and(|rels| names(rels, rel)))
                };
                found.extend(links.iter().filter(of_rel));
            }
            Some(links @ Value::Object(_)) => match member(links, rel) {
                Some(Value::Array(several)) => found.extend(several),
                Some(link) => found.push(link),
                None => {}
            },
            _ => {}
        }
    }
    found.sort_by_key(|link| member(link, "type").and_then(Value::as_str).is_some_and(is_page));
    found.into_iter().filter_map(target).filter(|target| !target.trim().is_empty()).collect()
}

struct Link<'a> {
    target: &'a str,
    rels: Option<String>,
    is_anchored: bool,
    is_page: bool,
}

impl Link<'_> {
    fn is_of(&self, rel: &str) -> bool {
        let rels = self.rels.as_deref().unwrap_or_default();
        !self.is_anchored && rels.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(rel))
    }
}

/// Returns the next link of a value, and the text after it.
fn next(text: &str) -> Option<(Link<'_>, &str)> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        if let Some((target, behind)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            let (link, behind) = parameters(target, behind);
            return Some((link, behind));
        }
        // Not a link: skip to the next comma.
        rest = rest.split_once(',').map_or("", |(_, behind)| behind);
    }
}

fn parameters<'a>(target: &'a str, text: &'a str) -> (Link<'a>, &'a str) {
    let mut link = Link { target: target.trim(), rels: None, is_anchored: false, is_page: false };
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(parameter) = rest.strip_prefix(';') else {
            // Skip to the comma, whatever precedes it.
            return (link, rest.find(',').map_or("", |at| rest.split_at(at).1));
        };
        let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
        let (name, behind) = parameter.split_at(end);
        let name = name.trim();
        let (value, behind) = match behind.strip_prefix('=') {
            Some(value) => read_value(value.trim_start_matches([' ', '\t'])),
            None => (String::new(), behind),
        };
        if name.eq_ignore_ascii_case("rel") {
            link.rels.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("anchor") {
            link.is_anchored = true;
        } else if name.eq_ignore_ascii_case("type") {
            link.is_page = is_page(&value);
        }
        rest = behind;
    }
}

/// Reads a token, or a quoted string (RFC 9110, 5.6.4), and returns it with the text after it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return (value.trim().to_owned(), behind);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, quoted.split_at(at + 1).1),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// Returns whether a text of relations, or a list of them, contains this one.
fn names(rels: &Value, rel: &str) -> bool {
    match rels {
        Value::String(rels) => rels.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(rel)),
        Value::Array(rels) => rels.iter().any(|rels| rels.is_string() && names(rels, rel)),
        _ => false,
    }
}

/// Returns whether a media type is that of a page for people.
fn is_page(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
}

fn target(link: &Value) -> Option<String> {
    let href = member(link, "href").or_else(|| member(link, "url"));
    href.or(Some(link)).and_then(Value::as_str).map(str::to_owned)
}

fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let members = object.as_object()?;
    let in_any_case = || members.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(in_any_case)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_links_of_headers() {
        for (values, expected) in [
            (&[r#"</a>; rel="next""#][..], &["/a"][..]),
            (&["</a>; rel=next"], &["/a"]),
            (&["</a>;rel = next ;title=x"], &["/a"]),
            (&[r#"</p>; rel="prev", </a?x=1,2>; title="a, b"; Rel="Next""#], &["/a?x=1,2"]),
            (&[r#"</p>; rel="prev"; title="</x>; rel=\"next\"", </a>; rel=NEXT"#], &["/a"]),
            (&[r#"</a>; rel="first next""#], &["/a"]),
            (&["</p>; rel=prev", "</a>; rel=next"], &["/a"]),
            (&["</a>; rel=next, </b>; rel=next"], &["/a", "/b"]),
            (&["</p>; rel=next; type=\"text/html; charset=utf-8\", </a>; rel=next"], &["/a", "/p"]),
            (&["</a>; rel=prev; rel=next"], &[]),
            (&[r##"</a>; rel=next; anchor="#part""##], &[]),
            (&["</a>; rev=next"], &[]),
            (&["</a>; rel=nextpage"], &[]),
            (&["</a>; rel"], &[]),
            (&["garbage, </a>; rel=next"], &["/a"]),
            (&["</p>; rel=prev garbage, </a>; rel=next"], &["/a"]),
            (&[",, , </a>;; rel=next,"], &["/a"]),
            (&[r#"</a>; title="never closed; rel=next"#], &[]),
            (&["</never closed; rel=next"], &[]),
            (&["</a>; title=\"\u{e9}\"; rel=next"], &["/a"]),
            (&[""], &[]),
        ] {
            let headers: HeaderMap =
                values.iter().map(|value| (LINK, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect();
            assert_eq!(in_headers(&headers, "next"), expected, "{values:?}");
        }
    }

    #[test]
    fn reads_links_of_bodies() {
        for (body, expected) in [
            (json!({"links": [{"rel": "self", "href": "/s"}, {"rel": "results", "href": "/r"}]}), &["/r"][..]),
            (json!({"Links": [{"Rel": "Results", "Href": "/r"}]}), &["/r"]),
            (json!({"links": [{"rel": ["alternate", "results"], "href": "/r"}]}), &["/r"]),
            (json!({"link": [{"relation": "results", "url": "/r"}]}), &["/r"]),
            (json!({"_links": {"results": {"href": "/r"}}}), &["/r"]),
            (json!({"_links": {"results": [{"href": "/1"}, {"href": "/2"}]}}), &["/1", "/2"]),
            (json!({"links": {"results": "/r"}}), &["/r"]),
            (json!({"links": [{"rel": "results"}, {"rel": "results", "href": " "}]}), &[]),
            (
                json!({"links": [
                    {"rel": "results", "href": "/p", "type": "text/html"},
                    {"rel": "results", "href": "/1", "type": "application/json"},
                    {"rel": "results", "href": "/2"},
                ]}),
                &["/1", "/2", "/p"],
            ),
            (json!({"links": {"results": null}}), &[]),
            (json!({"links": [{"rel": 7, "href": "/r"}, 7, null]}), &[]),
            (json!(["results"]), &[]),
        ] {
            assert_eq!(in_body(&body, "results"), expected, "{body}");
        }
    }
}

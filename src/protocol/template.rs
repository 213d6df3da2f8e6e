//! Template: builds a URL from the task's id and from members of an answer.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::location::{is_below, join, join_template};
use crate::message::Reply;
use crate::pointer::{Source, exact};
use crate::redact::shown;

/// A URL relative to the client's base, with `{id}` for the task's id and `{/json/pointer}` for a member of an answer:
/// as one path segment, percent-encoded; with a `+` (`{+id}`), its slashes are kept (RFC 6570). At the beginning,
/// `{submit}` is the URL of the submit, without its query and its last slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Template(String);

/// The values that a template is filled with.
#[derive(Clone, Copy, Default)]
pub(super) struct Filling<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) answer: Option<(&'a Reply, Option<&'a Value>)>,
    /// The URL of the submit.
    pub(super) submit: Option<&'a str>,
}

impl<'a> Filling<'a> {
    pub(super) const fn new(id: Option<&'a str>, reply: &'a Reply, body: Option<&'a Value>) -> Self {
        Self { id, answer: Some((reply, body)), submit: None }
    }

    /// Sets the URL of the submit.
    pub(super) const fn of(mut self, submit: &'a str) -> Self {
        self.submit = Some(submit);
        self
    }

    /// Returns the values of a member, or the id; `None` if there is none.
    fn values(&self, what: Option<&Source>) -> Option<Vec<String>> {
        match what {
            None => self.id.filter(|id| !id.is_empty()).map(|id| vec![id.to_owned()]),
            Some(at) => self.answer.and_then(|(reply, body)| texts(at, reply, body)),
        }
    }
}

impl Template {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the filled texts: several if a member with `*` stands for several values. None if the answer lacks a
    /// member, or there is no id.
    pub(super) fn fill(&self, with: Filling<'_>) -> Vec<String> {
        self.filled(with, |value, slashes, before| Ok(encoded(value, slashes, before))).unwrap_or_default()
    }

    /// Returns the filled URLs, joined to the base.
    pub(super) fn urls(&self, base: &Url, with: Filling<'_>) -> Result<Vec<Url>, String> {
        let Some(whole) = self.resolved(with.submit) else { return Ok(Vec::new()) };
        let filled = whole.filled(with, |value, slashes, before| placed(base, value, slashes, before))?;
        filled.iter().map(|text| join_template(base, &whole.0, text)).collect()
    }

    /// Returns the template with the URL of the submit in its place; `None` if there is no such URL.
    pub(super) fn resolved(&self, submit: Option<&str>) -> Option<Cow<'_, Self>> {
        let Some(behind) = self.0.strip_prefix(SUBMIT) else { return Some(Cow::Borrowed(self)) };
        let submit = submit?.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        // Braces are never part of a parsed URL's path.
        Some(Cow::Owned(Self(format!("{submit}{behind}"))))
    }

    /// Returns the one filled URL; `None` if the answer lacks a member, or there is no id.
    pub(super) fn url(&self, base: &Url, with: Filling<'_>) -> Option<Result<Url, String>> {
        self.urls(base, with).map(|urls| urls.into_iter().next()).transpose()
    }

    /// Returns whether a member of an answer is part of the template.
    pub(super) fn reads_an_answer(&self) -> bool {
        self.0.contains("{/") || self.0.contains("{+/")
    }

    /// Checks a template for a single URL; otherwise as [`check`](Self::check).
    pub(super) fn check_one(&self, answer: bool) -> Result<(), String> {
        let is_several =
            |part: &TemplatePart<'_>| matches!(part, TemplatePart::Member { what: Some(at), .. } if at.is_several());
        if parts(self.0.trim_start_matches(SUBMIT)).is_ok_and(|parts| parts.iter().any(is_several)) {
            return Err(format!("the template `{self}`: one URL is wanted here, and `*` stands for several"));
        }
        self.check(answer)
    }

    /// Checks that the template can be filled; `answer` states whether an answer is available at that point.
    pub(super) fn check(&self, answer: bool) -> Result<(), String> {
        let text = self.resolved(Some("https://a.example/v1/a/b")).unwrap_or(Cow::Borrowed(self));
        let parts = parts(&text.0).map_err(|why| format!("the template `{self}`: {why}"))?;
        let wrong = |why: String| Err(format!("the template `{self}`: {why}"));
        let is_colon = |part: &&str| part.strip_prefix(':').is_some_and(|name| name.starts_with(char::is_alphabetic));
        if let Some(segment) = text.0.split('/').skip(1).find(is_colon) {
            let name = segment.trim_start_matches(':');
            return wrong(format!(
                "`{segment}` would be sent as it is: wanted {{id}}, or a JSON pointer such as {{/{name}}}"
            ));
        }
        let mut before = String::new();
        let mut several = 0;
        for part in &parts {
            match part {
                TemplatePart::Text(text) => before += text,
                TemplatePart::Member { what, .. } => {
                    if in_authority(&before) {
                        return wrong("a member may not stand in the host".to_owned());
                    }
                    if let (Some(at), false) = (what, answer) {
                        return wrong(format!(
                            "there is no answer to take {at} from: only {{id}} and {{+id}} can be filled in here"
                        ));
                    }
                    several += usize::from(what.as_ref().is_some_and(Source::is_several));
                    before.push('x');
                }
            }
        }
        if several > 1 {
            return wrong("only one of its members may have a `*`".to_owned());
        }
        // Any value serves here: the text around the members must be a URL.
        let joined =
            Url::parse("https://a.example/").map_err(|error| error.to_string()).and_then(|base| join(&base, &before));
        joined.map(drop).or_else(|why| wrong(format!("it makes no URL: {why}")))
    }

    /// Returns the filled texts, with each value as `place` writes it behind the text before it; none if a value is
    /// missing.
    fn filled(
        &self,
        with: Filling<'_>,
        place: impl Fn(&str, bool, &str) -> Result<String, String>,
    ) -> Result<Vec<String>, String> {
        let mut made = vec![String::new()];
        for part in parts(&self.0)? {
            match part {
                TemplatePart::Text(text) => made.iter_mut().for_each(|made| made.push_str(text)),
                TemplatePart::Member { what, slashes } => {
                    let Some(values) = with.values(what.as_ref()) else { return Ok(Vec::new()) };
                    let name = what.map_or_else(|| "id".to_owned(), |at| at.to_string());
                    let mut longer = Vec::with_capacity(made.len() * values.len());
                    for before in &made {
                        for value in &values {
                            let value = place(value, slashes, before).map_err(|why| format!("{{{name}}} {why}"))?;
                            longer.push(format!("{before}{value}"));
                        }
                    }
                    made = longer;
                }
            }
        }
        Ok(made)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

enum TemplatePart<'t> {
    Text(&'t str),
    /// The id, or the value at a place.
    Member {
        what: Option<Source>,
        slashes: bool,
    },
}

fn parts(text: &str) -> Result<Vec<TemplatePart<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').ok_or("it has a `{` without its `}`")?;
        if before.contains('}') {
            break;
        }
        let (bare, slashes) = name.strip_prefix('+').map_or((name, false), |bare| (bare, true));
        let what = match bare {
            "id" => None,
            pointer if pointer.starts_with('/') => Some(Source::pointer(pointer)),
            _ => {
                return Err(format!(
                    "{{{name}}} is no member that is known: wanted {{id}}, or a JSON pointer into the answer such as \
                     {{/result/fileId}}, or either with a `+`; {{submit}} may only be its beginning"
                ));
            }
        };
        parts.extend([TemplatePart::Text(before), TemplatePart::Member { what, slashes }]);
        rest = after;
    }
    if rest.contains(['{', '}']) {
        return Err("it has a `}` without its `{`".to_owned());
    }
    parts.push(TemplatePart::Text(rest));
    Ok(parts)
}

/// Returns the texts at a place: of a list, the first, and with a `*` all. `None` if a value there is not a text.
fn texts(at: &Source, reply: &Reply, body: Option<&Value>) -> Option<Vec<String>> {
    let values = at.values(reply, body);
    if !values.is_empty() && values.iter().all(|value| value.is_array()) {
        let elements = at.below(if at.is_several() { "*" } else { "0" });
        return if elements == *at { None } else { texts(&elements, reply, body) };
    }
    let raw = || at.raw(reply);
    let text = |(place, value): (usize, &Cow<'_, Value>)| exact(value, || raw().into_iter().nth(place));
    values.iter().enumerate().map(text).collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
}

/// Returns a value for its position after this text. An absolute URL would be encoded into a path that does not exist,
/// so it is taken as the URL that it is, or refused. As one segment behind other text it is an id, which some services
/// choose to look like a URL.
fn placed(base: &Url, value: &str, slashes: bool, before: &str) -> Result<String, String> {
    let is_url = |scheme: &str| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let is_id = !before.is_empty() && !slashes || before.contains('?');
    if is_id || !(is_url("https://") || is_url("http://")) {
        return Ok(encoded(value, slashes, before));
    }
    let url = join(base, value).map_err(|why| format!("holds an absolute URL that cannot be used: {why}"))?;
    let folder = base.join(".").map_err(|error| error.to_string())?;
    if before.is_empty() && is_below(&folder, &url) && url.query().is_none() {
        return Ok(url.into());
    }
    Err(format!(
        "holds the absolute URL {}, and a template takes one only at its beginning, below {} and without a query",
        shown(&url),
        shown(&folder)
    ))
}

/// Encodes a value for its position after this text: no part of it leads out of the folder, or to another host.
pub(super) fn encoded(value: &str, slashes: bool, before: &str) -> String {
    let in_query = before.contains('?');
    let one = |segment: &str| match segment {
        // A segment of dots alone would lead out of its folder, encoded or not.
        "." | ".." if !in_query => segment.replace('.', "%252E"),
        segment => utf8_percent_encode(segment, SEGMENT).to_string(),
    };
    if !slashes {
        return one(value);
    }
    // A slash at the beginning would lead to the root, and two to another host.
    let at_segment = !in_query && (before.is_empty() || before.ends_with('/'));
    let value = if at_segment { value.trim_start_matches('/') } else { value };
    value.split('/').map(one).collect::<Vec<_>>().join("/")
}

/// Returns whether an id is altered when it is filled in, so that it stays below its template.
pub(super) fn is_bent(id: &str) -> bool {
    id.starts_with("//") || id.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Returns whether text after this one would belong to the host.
fn in_authority(text: &str) -> bool {
    let authority = text.split_once("//").filter(|(before, _)| before.is_empty() || before.ends_with(':'));
    authority.is_some_and(|(_, behind)| !behind.contains(['/', '?', '#']))
}

/// The beginning that stands for the URL of the submit.
const SUBMIT: &str = "{submit}";

/// RFC 3986 unreserved characters stay.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn reply(body: &str) -> Reply {
        let url = "https://a.example/v1/jobs/7".parse().unwrap();
        Reply::new(StatusCode::OK, url, HeaderMap::new(), body.to_owned())
    }

    fn fill(template: &str, id: Option<&str>, body: &str) -> Vec<String> {
        let reply = reply(body);
        Template::new(template).fill(Filling::new(id, &reply, reply.json().as_ref()))
    }

    #[test]
    fn is_filled_with_the_id_and_members() {
        let body = r#"{"result": {"fileId": "a b", "n": 12345678901234567890123, "deep": "x/y"}, "list": ["f1", "f2"],
            "files": [{"id": 1}, {"id": 2.50}], "lists": [["a"], ["b", "c"]], "numbers": [7e400], "none": null, "empty": [],
            "mixed": ["a", {}], "flag": true}"#;
        for (template, expected) in [
            ("files/{/result/fileId}/content", &["files/a%20b/content"][..]),
            ("files/{/RESULT/FileID}", &["files/a%20b"]),
            ("n/{/result/n}", &["n/12345678901234567890123"]),
            ("{id}/{/result/deep}", &["7/x%2Fy"]),
            ("{id}/{+/result/deep}", &["7/x/y"]),
            ("f/{/list}", &["f/f1"]),
            ("f/{/list/1}", &["f/f2"]),
            ("f/{/list/*}?v=1", &["f/f1?v=1", "f/f2?v=1"]),
            ("f/{/files/*/id}/{id}", &["f/1/7", "f/2.50/7"]),
            ("f/{/lists/*}", &["f/a", "f/b", "f/c"]),
            ("f/{/numbers}", &["f/7e400"]),
            ("f?a={/result/fileId}&b={/flag}", &["f?a=a%20b&b=true"]),
            ("f/{/none}", &[]),
            ("f/{/empty}", &[]),
            ("f/{/missing}", &[]),
            ("f/{/result}", &[]),
            ("f/{/mixed/*}", &[]),
            ("plain", &["plain"]),
        ] {
            assert_eq!(fill(template, Some("7"), body), expected, "{template}");
        }
        assert!(fill("jobs/{id}", None, "{}").is_empty());
        assert!(Template::new("f/{/a}").fill(Filling { id: Some("7"), ..Filling::default() }).is_empty());
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        for (template, why) in [
            ("jobs/{job}", "{job} is no member that is known"),
            ("jobs/{ID}", "{ID} is no member"),
            ("jobs/{}", "{} is no member"),
            ("jobs/{status}/x", "{status} is no member"),
            ("jobs/{result/fileId}", "{result/fileId} is no member"),
            ("jobs/{id", "a `{` without its `}`"),
            ("jobs/id}", "a `}` without its `{`"),
            ("jobs/}{id}", "a `}` without its `{`"),
            ("a/{/x/*}/{/y/*}", "only one of its members may have a `*`"),
            ("https://{id}.example/x", "may not stand in the host"),
            ("//{/host}/x", "may not stand in the host"),
            ("a<b/{id}", "it makes no URL"),
            ("jobs/:id", "`:id` would be sent as it is: wanted {id}"),
            ("/v1/:jobId/x", "such as {/jobId}"),
        ] {
            let said = Template::new(template).check(true).unwrap_err();
            assert!(said.contains(&format!("`{template}`")) && said.contains(why), "{template}: {said}");
        }
        for template in ["jobs/{id}", "{+id}:cancel", "f/{/a~1b/*}?x={id}", "https://b.example/{id}", "/x/{+/p}", ""] {
            Template::new(template).check(true).unwrap();
        }
        assert!(Template::new("f/{/a}").check(false).unwrap_err().contains("no answer to take /a from"));
        Template::new("f/{id}").check(false).unwrap();
    }

    #[test]
    fn an_absolute_url_is_taken_as_it_is_below_the_base_and_else_refused() {
        let base = Url::parse("https://a.example/v1/").unwrap();
        let urls = |template: &str, value: &str| {
            let reply = reply(&json!({"url": value}).to_string());
            let urls = Template::new(template).urls(&base, Filling::new(Some(value), &reply, reply.json().as_ref()))?;
            Ok::<_, String>(urls.iter().map(Url::to_string).collect::<Vec<_>>().join(" "))
        };
        for (template, value, url) in [
            ("{/url}", "https://a.example/v1/jobs/7", "https://a.example/v1/jobs/7"),
            ("{+/url}/rows", "HTTPS://a.example/v1/jobs/7", "https://a.example/v1/jobs/7/rows"),
            ("{id}", "https://a.example/v1/jobs/7#top", "https://a.example/v1/jobs/7"),
            // An id that looks like a URL, and a parameter that is one.
            ("sites/{/url}", "https://b.example/", "https://a.example/v1/sites/https%3A%2F%2Fb.example%2F"),
            ("check?of={+id}", "https://b.example/", "https://a.example/v1/check?of=https%3A//b.example/"),
        ] {
            assert_eq!(urls(template, value).as_deref(), Ok(url), "{template} {value}");
        }
        for (template, value) in [
            ("{/url}", "https://a.example/v2/jobs/7"),
            ("{/url}", "https://a.example/v1/../v2"),
            ("{/url}", "https://a.example/v1/jobs/7?x=1"),
            ("{+id}", "http://a.example/v1/jobs/7"),
            ("{+id}", "https://b.example/v1/jobs/7"),
            ("{+id}", "https://me@a.example/v1/jobs/7"),
            ("jobs/{+/url}", "https://a.example/v1/jobs/7"),
        ] {
            let why = urls(template, value).unwrap_err();
            assert!(why.contains("} holds the absolute URL http"), "{template} {value}: {why}");
            assert!(why.contains("below https://a.example/v1/ and without a query"), "{template} {value}: {why}");
        }
        assert!(urls("{id}", "https://").unwrap_err().starts_with("{id} holds an absolute URL that cannot be used"));
    }

    #[test]
    fn begins_at_the_submit() {
        let base = Url::parse("https://a.example/v1/").unwrap();
        let url = |template: &str, submit: Option<&'static str>, id: &str| {
            let reply = reply(r#"{"name": "a/b"}"#);
            let filling = Filling { submit, ..Filling::new(Some(id), &reply, None) };
            Template::new(template).urls(&base, filling).map(|urls| urls.iter().map(Url::to_string).collect::<String>())
        };
        for (template, submit, made) in [
            ("{submit}/{id}", "https://a.example/v1/reports/7/jobs", "https://a.example/v1/reports/7/jobs/x"),
            ("{submit}/{id}?a=1", "https://a.example/v1/jobs/?b=2#c", "https://a.example/v1/jobs/x?a=1"),
            ("{submit}/../exports/{id}", "https://a.example/v1/7/ExportTo", "https://a.example/v1/7/exports/x"),
            ("{submit}('{id}')", "https://a.example/v1/jobs", "https://a.example/v1/jobs('x')"),
            ("{submit}", "https://a.example/v1/graphql.json", "https://a.example/v1/graphql.json"),
            ("{submit}/{id}", "https://a.example/", "https://a.example/x"),
        ] {
            assert_eq!(url(template, Some(submit), "x").as_deref(), Ok(made), "{template} {submit}");
            Template::new(template).check_one(false).unwrap();
        }
        let jobs = Some("https://a.example/v1/jobs");
        assert_eq!(url("{submit}/{id}/x", jobs, "../../y").unwrap(), "https://a.example/v1/jobs/..%2F..%2Fy/x");
        assert_eq!(url("{submit}/{+id}", jobs, "../y").unwrap(), "https://a.example/v1/jobs/%252E%252E/y");
        assert_eq!(url("{submit}/{id}", None, "x").unwrap(), "");
        for template in ["x/{submit}", "{submit}/{submit}", "{submit}/:id", "{submit}/{job}"] {
            Template::new(template).check(false).unwrap_err();
        }
    }

    #[test]
    fn an_id_cannot_leave_its_segment() {
        assert_eq!(fill("jobs/{id}/x", Some("../a?b#c"), ""), ["jobs/..%2Fa%3Fb%23c/x"]);
        assert_eq!(fill("v1/{+id}", Some("operations/7"), ""), ["v1/operations/7"]);
        assert_eq!(fill("x?id={id}", Some(".."), ""), ["x?id=.."]);
        for dots in [".", ".."] {
            let url = Url::parse("https://a.example/v1/").unwrap();
            let url = join(&url, &fill("jobs/{id}/x", Some(dots), "")[0]).unwrap();
            assert!(url.path().starts_with("/v1/jobs/%25"), "{url}");
        }
    }

    proptest! {
        #[test]
        fn nothing_of_a_service_leaves_the_base_path(
            pieces in prop::collection::vec(
                prop::sample::select(vec![".", "..", "/", "\\", "%2e", "%2F", ":", "@", "?", "#", "a", "é", "\t", " "]),
                1..5,
            ),
            template in prop::sample::select(vec![
                "{id}", "{+id}", "jobs/{id}", "jobs/{+id}", "jobs/{+id}/x", "{+/v}", "{/v}/x", "a/{+/v}{+id}", "{+id}:cancel",
                "jobs/x{+id}", "jobs/{id}{/v}", "jobs/.{+/v}",
            ]),
            begins in prop::sample::select(vec!["", "", "https://a.example/v1/base/", "https://a.example/v1/", "http://"]),
        ) {
            let value = format!("{begins}{}", pieces.concat());
            let base = Url::parse("https://a.example/v1/base/").unwrap();
            let reply = reply(&json!({"v": value}).to_string());
            let urls = Template::new(template).urls(&base, Filling::new(Some(&value), &reply, reply.json().as_ref()));
            prop_assert!(urls.is_ok() || !begins.is_empty(), "{urls:?}");
            for url in urls.unwrap_or_default() {
                prop_assert!(url.as_str().starts_with("https://a.example/v1/base/"), "{}", url);
                prop_assert!(url.query().is_none() && url.fragment().is_none(), "{}", url);
            }
        }
    }
}

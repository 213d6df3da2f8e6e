//! A conversation with a service as text: answers go in, steps in words come out.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method, StatusCode};
use longhaul::Protocol;
use longhaul::http::Reply;
use longhaul::protocols::{Cursor, Step};
use url::Url;

/// One answer, written as `STATUS | name: value | name: value | body`.
pub(crate) fn reply(text: &str, url: Url) -> Reply {
    let mut parts = text.split(" | ").map(str::trim);
    let status: u16 = parts.next().unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    let mut body = String::new();
    for part in parts {
        match part.split_once(": ") {
            Some((name, value)) if !part.starts_with(['{', '[', '<', '"', '\u{feff}']) => {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, value.parse().unwrap());
            }
            _ => body = part.to_owned(),
        }
    }
    Reply::new(StatusCode::from_u16(status).unwrap(), url, headers, body)
}

/// A step in words.
pub(crate) fn said(step: &Step, cursor: &Cursor) -> String {
    let short = |url: &str| url.replace("https://a.example", "");
    match step {
        Step::Wait(report) => {
            let at = cursor.status_url().map(|url| short(url.expose())).unwrap_or_default();
            let mut text = format!("wait {} {at}", report.state());
            if let Some(hint) = report.hint() {
                text += &format!(" in {hint:?}");
            }
            if let Some(percent) = report.percent() {
                text += &format!(" {percent}%");
            }
            if report.warning().is_some() {
                text += " !";
            }
            text
        }
        Step::Follow { url, after, .. } if after.is_zero() => format!("follow {}", short(url.as_str())),
        Step::Follow { url, after, .. } => format!("follow {} in {after:?}", short(url.as_str())),
        Step::Done(report, finding) => {
            let links: Vec<_> = finding.links().iter().map(|link| short(link.expose())).collect();
            let body = finding.body().map_or("-".into(), |body| String::from_utf8_lossy(body).into_owned());
            if let Some(pages) = finding.pages() {
                format!("{} pages {}", report.state(), short(pages.as_str()))
            } else if links.is_empty() {
                format!("{} {body}", report.state())
            } else {
                format!("{} {links:?}", report.state())
            }
        }
        Step::Ended(report, fault) => format!("{} {}", report.state(), fault.code().unwrap_or("-")),
        Step::Stop { kind, .. } => format!("stop {kind:?}"),
        other => format!("{other:?}"),
    }
}

/// Reads a conversation, and tells each step.
pub(crate) fn walk(protocol: &Protocol, method: &Method, answers: &[&str]) -> Vec<String> {
    let request: Url = "https://a.example/v1/exports".parse().unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let mut cursor = Cursor::new(method.clone(), &request, start);
    let mut next = request;
    let mut told = Vec::new();
    for (at, answer) in answers.iter().enumerate() {
        let now = start + Duration::from_secs(at as u64);
        let step = protocol.read(&mut cursor, &reply(answer, next.clone()), now);
        told.push(said(&step, &cursor));
        next = match &step {
            Step::Follow { url, .. } => url.clone(),
            _ => cursor.status_url().map_or(next, |url| url.expose().parse().unwrap()),
        };
        // What stands in a token reads the same.
        cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
    }
    told
}

pub(crate) type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

pub(crate) fn check(protocol: &Protocol, method: &Method, rows: &[Row<'_>]) {
    for (name, answers, expected) in rows {
        assert_eq!(&walk(protocol, method, answers), expected, "{name}");
    }
}

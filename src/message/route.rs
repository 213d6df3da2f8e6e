//! Route: the destination of a request, with ids left out.

use http::Method;

/// Writes method, host and path, with `*` in place of segments that look like ids: segments with digits, and long ones.
pub(crate) fn write_route(text: &mut String, method: Option<&Method>, host: &str, path: &str) {
    text.reserve(host.len() + path.len() + 8);
    text.push_str(method.map_or("", Method::as_str));
    text.push(' ');
    text.push_str(host);
    let mut rest = path;
    while !rest.is_empty() {
        let length = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let (part, next) = rest.split_at(length);
        rest = next.get(1..).unwrap_or_default();
        if !part.is_empty() {
            text.push('/');
            text.push_str(if is_id(part) { "*" } else { part });
        }
    }
}

fn is_id(part: &str) -> bool {
    // `v1` is not an id.
    let is_version = part.len() <= 3 && part.starts_with(['v', 'V']);
    part.len() > LONGEST_NAME || (!is_version && part.bytes().any(|byte| byte.is_ascii_digit()))
}

const LONGEST_NAME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_the_path_without_its_ids() {
        for (path, route) in [
            ("/v1/tasks/0f8fad5b-d9cb-469f-a165-70867728950e", "GET a.example/v1/tasks/*"),
            ("/v1/tasks/7/", "GET a.example/v1/tasks/*"),
            ("/exports", "GET a.example/exports"),
            ("//exports///v2/x1/", "GET a.example/exports/v2/*"),
            ("/x/abcdefghijklmnopqrstuvwxyzabcdefghijkl", "GET a.example/x/*"),
            ("", "GET a.example"),
        ] {
            let mut text = String::new();
            write_route(&mut text, Some(&Method::GET), "a.example", path);
            assert_eq!(text, route);
        }
    }
}

//! Route: where a request goes, with ids left out.

use http::Method;

/// Writes method, host and path, with `*` for what looks like an id: digits in it, or long.
pub(crate) fn write_route(text: &mut String, method: Option<&Method>, host: &str, path: &str) {
    text.reserve(host.len() + path.len() + 8);
    text.push_str(method.map_or("", Method::as_str));
    text.push(' ');
    text.push_str(host);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        text.push('/');
        // `v1` is no id.
        let is_version = part.len() <= 3 && part.starts_with(['v', 'V']);
        let is_id = part.len() > LONGEST_NAME || (!is_version && part.bytes().any(|byte| byte.is_ascii_digit()));
        text.push_str(if is_id { "*" } else { part });
    }
}

/// Names of resources are shorter than their ids.
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
            ("/x/abcdefghijklmnopqrstuvwxyzabcdefghijkl", "GET a.example/x/*"),
            ("", "GET a.example"),
        ] {
            let mut text = String::new();
            write_route(&mut text, Some(&Method::GET), "a.example", path);
            assert_eq!(text, route);
        }
    }
}

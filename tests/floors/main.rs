//! The house's floors: an import points down, never up and never sideways (docs/design.md).

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// Top first; rooms of one floor do not know each other. `testing` stands above all, and nobody imports it.
const FLOORS: [&[&str]; 13] = [
    &["testing"],
    &["client"],
    &["profile", "store"],
    &["task"],
    &["download", "page"],
    &["transport", "stats"],
    &["throttle", "retry", "credential", "protocol"],
    &["event"],
    &["hint", "limit"],
    &["pointer"],
    &["message"],
    &["error"],
    &["redact", "clock"],
];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for file in sources() {
        let room = room(&file);
        if room == "lib" {
            continue;
        }
        let Some(own) = floor(&room) else {
            wrong.push(format!("{}: the room `{room}` stands on no floor", file.display()));
            continue;
        };
        for (line, imported) in imports(&fs::read_to_string(&file).expect("a source that can be read")) {
            match floor(&imported) {
                _ if imported == room => {}
                Some(below) if below > own => {}
                Some(_) => wrong.push(format!("{}:{line}: `{room}` imports `{imported}`", file.display())),
                None => wrong.push(format!("{}:{line}: `{imported}` stands on no floor", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn sees_imports_in_every_form() {
    let text = "use crate::a::B;\nlet x = crate::b::c();\nuse crate::{\n    d::E,\n    f,\n};\n// crate::no\npub(crate) use crate::g;";
    let found: Vec<_> = imports(text).into_iter().map(|(_, room)| room).collect();
    assert_eq!(found, ["a", "b", "d", "f", "g"]);
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn room(file: &Path) -> String {
    let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a path in src");
    let first = inside.components().next().expect("a first part").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a source names by `crate::`, with the line of each.
fn imports(text: &str) -> Vec<(usize, String)> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let line = code[..at].lines().count();
        let rest = &code[at + path.len()..];
        let parts: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for part in parts {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                found.push((line, name));
            }
        }
    }
    found
}

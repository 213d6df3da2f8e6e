//! Lists beside the tests, which are compared with what is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Compares the lines of `tests/floors/<name>.txt` with the lines as they have to be, in both directions.
pub(crate) fn check(name: &str, lines: &BTreeSet<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/floors").join(name).with_extension("txt");
    let text = fs::read_to_string(&file).unwrap_or_default();
    if std::env::var_os("LONGHAUL_WRITE_FLOORS").is_some() {
        fs::write(&file, rewritten(&text, lines)).expect("a list that can be written");
        return;
    }
    if let Some(wrong) = differences(&text, lines) {
        panic!(
            "tests/floors/{name}.txt does not say what is so:\n{wrong}\nAs it would have to be (LONGHAUL_WRITE_FLOORS=1 \
             writes it, and is to be read before it is committed):\n\n{}",
            rewritten(&text, lines)
        );
    }
}

fn listed(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn differences(text: &str, lines: &BTreeSet<String>) -> Option<String> {
    let listed = listed(text);
    let new = lines.difference(&listed).map(|line| format!("  not listed: {line}\n"));
    let gone = listed.difference(lines).map(|line| format!("  no longer so: {line}\n"));
    let all: String = new.chain(gone).collect();
    (!all.is_empty()).then_some(all)
}

fn rewritten(text: &str, lines: &BTreeSet<String>) -> String {
    let comments = text.lines().filter(|line| line.starts_with('#'));
    comments.chain(lines.iter().map(String::as_str)).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn a_line_too_many_and_a_line_too_few_are_wrong() {
    let lines = BTreeSet::from(["a: b".to_owned(), "c: d".to_owned()]);
    assert_eq!(differences("# why\n\na: b\nc: d\n", &lines), None);
    let wrong = differences("a: b\ne: f\n", &lines).unwrap();
    assert_eq!(wrong, "  not listed: c: d\n  no longer so: e: f\n");
    assert_eq!(rewritten("# why\ne: f\n", &lines), "# why\na: b\nc: d\n");
}

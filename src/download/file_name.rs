//! File name: a name for a download, which no answer can turn against the folder that it is saved in.

mod html;
mod suggested;

pub(crate) use self::{html::says_html, suggested::suggested};

/// The longest name in bytes. File systems admit 255, and the downloader appends to the name.
const LONGEST: usize = 200;

/// A longer extension is no extension, and may be cut.
const LONGEST_EXTENSION: usize = 32;

/// Returns a name that is safe as a file's on Linux, macOS and Windows, or `None` if nothing of it is left.
///
/// The name is the part behind the last separator, without invisible characters, without dots and spaces at its
/// ends, and of at most 200 bytes. An underscore stands for a character that Windows forbids, before a name that
/// Windows reserves, and behind a name that the downloader uses itself. A safe name stays as it is.
pub(crate) fn safe(name: &str) -> Option<String> {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = base.chars().filter(|char| !is_invisible(*char));
    let mut name: String = visible.map(|char| if r#"<>:"|?*"#.contains(char) { '_' } else { char }).collect();
    // A rule can break an earlier one: a cut name may be a reserved one. Two or three rounds suffice.
    for _ in 0..8 {
        let next = mended(&name)?;
        if next == name {
            return Some(name);
        }
        name = next;
    }
    debug_assert!(false, "the rules for the name {name:?} undo each other");
    None
}

/// Returns the name, or the first of `a (2).csv`, `a (3).csv`, … that is not taken. The caller compares without case.
pub(crate) fn distinct(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let numbered = |number| format!("{stem} ({number}){extension}");
    (2_u64..).map(numbered).find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

fn mended(name: &str) -> Option<String> {
    let name = name.trim_matches(|char: char| char == '.' || char.is_whitespace());
    if name.is_empty() {
        return None;
    }
    let name = cut(name);
    let before = if is_reserved(&name) { "_" } else { "" };
    let behind = if is_of_downloader(&name) { "_" } else { "" };
    Some(format!("{before}{name}{behind}"))
}

/// Shortens a name, and keeps its extension.
fn cut(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let (stem, extension) = match split(name) {
        (_, extension) if extension.len() > LONGEST_EXTENSION => (name, ""),
        halves => halves,
    };
    let room = LONGEST - extension.len();
    let end = (0..=room).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or_default();
    format!("{}{extension}", stem.get(..end).unwrap_or_default().trim_end())
}

/// Splits before the extension, which is `.csv.gz` for a compressed CSV.
fn split(name: &str) -> (&str, &str) {
    let at = |name: &str| name.rfind('.').filter(|at| *at > 0);
    let Some(last) = at(name) else { return (name, "") };
    let (stem, extension) = name.split_at(last);
    let compressed = [".gz", ".bz2", ".xz", ".zst", ".br"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    let inner = at(stem).filter(|at| {
        let inner = stem.get(at + 1..).unwrap_or_default();
        (1..=8).contains(&inner.len()) && inner.chars().all(|char| char.is_ascii_alphanumeric())
    });
    name.split_at(inner.filter(|_| compressed).unwrap_or(last))
}

/// Control characters, and those of Unicode that reorder, join or hide text.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Returns whether Windows opens a device by this name, whatever its extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_port = |number: &str| {
        let mut chars = number.chars();
        matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || ["COM", "LPT"].iter().any(|device| stem.strip_prefix(device).is_some_and(is_port))
}

/// Returns whether the downloader could take the file for the part, the journal or a scratch file of another download.
fn is_of_downloader(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".part") || name.ends_with(".part.json") || (name.contains(".part.") && name.ends_with(".new"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn makes_a_name_safe() {
        for (name, expected) in [
            ("a.csv", "a.csv"),
            ("Größe 2024.csv", "Größe 2024.csv"),
            ("../../etc/passwd", "passwd"),
            ("/abs/a.csv", "a.csv"),
            ("C:\\dir\\a.csv", "a.csv"),
            ("..\\a.csv", "a.csv"),
            (".bashrc", "bashrc"),
            ("...a.csv", "a.csv"),
            (" . a.csv . ", "a.csv"),
            ("\u{3000}a.csv\u{a0}", "a.csv"),
            ("a.csv.", "a.csv"),
            ("a\0b\n.csv\r", "ab.csv"),
            ("a<b>c:d\"e|f?g*h.csv", "a_b_c_d_e_f_g_h.csv"),
            ("a.csv:stream", "a.csv_stream"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("nul.tar.gz", "_nul.tar.gz"),
            ("COM1", "_COM1"),
            ("com¹.log", "_com¹.log"),
            ("LPT9 .x", "_LPT9 .x"),
            ("CONIN$", "_CONIN$"),
            ("console.log", "console.log"),
            ("COM10", "COM10"),
            ("COM", "COM"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("a\u{200b}\u{2066}b\u{feff}.csv", "ab.csv"),
            ("\u{200b}.\u{202e}.a", "a"),
            ("a.part", "a.part_"),
            ("A.PART", "A.PART_"),
            ("a.part.json", "a.part.json_"),
            ("a.part.0123456789abcdef.new", "a.part.0123456789abcdef.new_"),
            ("part", "part"),
            ("a.part.csv", "a.part.csv"),
            ("NUL.part", "_NUL.part_"),
            ("???", "___"),
        ] {
            assert_eq!(safe(name).as_deref(), Some(expected), "{name:?}");
        }
        for name in ["", ".", "..", "...", " ", "a/", "a\\", "/", "\u{202e}", "\0", ". .", "a/.."] {
            assert_eq!(safe(name), None, "{name:?}");
        }
    }

    #[test]
    fn cuts_a_long_name_and_keeps_its_extension() {
        let a = |count| "a".repeat(count);
        for (name, expected) in [
            (a(200), a(200)),
            (a(201), a(200)),
            (format!("{}.csv", a(196)), format!("{}.csv", a(196))),
            (format!("{}.csv", a(300)), format!("{}.csv", a(196))),
            (format!("{}.csv.gz", a(300)), format!("{}.csv.gz", a(193))),
            (format!("{}.csv", "é".repeat(150)), format!("{}.csv", "é".repeat(98))),
            (format!("{}x.csv", "é".repeat(150)), format!("{}.csv", "é".repeat(98))),
            (format!("x{}.csv", "é".repeat(150)), format!("x{}.csv", "é".repeat(97))),
            (format!("a.{}", a(300)), format!("a.{}", a(198))),
            (format!("CON{}x.csv", " ".repeat(300)), "_CON.csv".into()),
            (format!("{}.part", a(300)), format!("{}.part_", a(194))),
            (format!("{}.part.{}", a(194), a(40)), format!("{}.part_", a(194))),
        ] {
            assert_eq!(safe(&name), Some(expected), "{name:?}");
        }
    }

    #[test]
    fn numbers_a_name_that_is_taken() {
        for (name, taken, expected) in [
            ("a.csv", &[][..], "a.csv"),
            ("a.csv", &["b.csv"], "a.csv"),
            ("a.csv", &["a.csv"], "a (2).csv"),
            ("a.csv", &["a.csv", "a (2).csv", "a (4).csv"], "a (3).csv"),
            ("A.CSV", &["a.csv", "a (2).csv"], "A (3).CSV"),
            ("a", &["a"], "a (2)"),
            ("a.csv.gz", &["a.csv.gz"], "a (2).csv.gz"),
            ("a.tar.ZST", &["a.tar.zst"], "a (2).tar.ZST"),
            ("a.gz", &["a.gz"], "a (2).gz"),
            ("v1.2 notes.gz", &["v1.2 notes.gz"], "v1.2 notes (2).gz"),
            ("2024.01.csv", &["2024.01.csv"], "2024.01 (2).csv"),
        ] {
            let name = distinct(name, |name| taken.iter().any(|taken| taken.eq_ignore_ascii_case(name)));
            assert_eq!(name, expected, "{taken:?}");
        }
    }

    const TRAPS: [&str; 23] = [
        ".",
        "..",
        "/",
        "\\",
        " ",
        ":",
        "CON",
        "nul",
        "COM1",
        ".part",
        ".json",
        ".new",
        ".gz",
        ".csv",
        "a",
        "é",
        "\u{202e}",
        "\u{200b}",
        "\u{3000}",
        "\0",
        "€€€€€€€€€€€€€€€€€€€€€€€€€€€",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "                                              ",
    ];

    fn check(name: &str) -> Result<(), TestCaseError> {
        let Some(found) = safe(name) else { return Ok(()) };
        prop_assert_eq!(safe(&found), Some(found.clone()), "{:?}", name);
        prop_assert!(!found.is_empty() && found.len() <= LONGEST, "{:?}", found);
        prop_assert!(!found.contains(['/', '\\', ':', '\0', '\n', '\u{202e}']), "{:?}", found);
        prop_assert!(!found.starts_with(['.', ' ']) && !found.ends_with(['.', ' ']), "{:?}", found);
        prop_assert!(!is_reserved(&found) && !is_of_downloader(&found), "{:?}", found);
        let next = distinct(&found, |name| name == found);
        prop_assert!(next.len() <= 255 && next != found, "{:?}", next);
        prop_assert_eq!(safe(&next).map(|name| name.len() <= LONGEST), Some(true), "{:?}", next);
        Ok(())
    }

    proptest! {
        #[test]
        fn an_arbitrary_name_becomes_safe(name in any::<String>()) {
            check(&name)?;
        }

        #[test]
        fn a_name_of_traps_becomes_safe(words in prop::collection::vec(prop::sample::select(&TRAPS[..]), 0..14)) {
            check(&words.concat())?;
        }
    }
}

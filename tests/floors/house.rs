//! All sources, and from which of them each name comes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::source::{Names, Source};
use crate::tokens::{tokens, without_tests};

/// The sources by their modules: `src/throttle/meter.rs` is `["throttle", "meter"]`, and `src/lib.rs` is `[]`.
pub(crate) struct House {
    sources: BTreeMap<Names, Source>,
}

impl House {
    /// All that is built with `#[cfg(test)]`, too.
    pub(crate) fn with_tests() -> Self {
        let sources = files().into_iter().map(|(module, text)| (module, Source::parse(&tokens(&text))));
        Self { sources: sources.collect() }
    }

    pub(crate) fn without_tests() -> Self {
        Self::of(files())
    }

    pub(crate) fn of(files: impl IntoIterator<Item = (Names, String)>) -> Self {
        let (mut sources, mut tests) = (BTreeMap::new(), Vec::new());
        for (module, text) in files {
            let all = tokens(&text);
            tests.extend(
                all.windows(10).filter(|w| w[2].is("cfg") && w[4].is("test") && w[7].is("mod") && w[9].is(";")).map(
                    |window| {
                        let mut path = module.clone();
                        path.push(window[8].text.clone());
                        path
                    },
                ),
            );
            sources.insert(module, Source::parse(&without_tests(&all)));
        }
        sources.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { sources }
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = (&Names, &Source)> {
        self.sources.iter()
    }

    /// Which sources each source imports from.
    ///
    /// A name comes from the source that declares it: one that is passed on by `pub use` is followed to its origin. A
    /// `pub use` itself imports only if the source uses the name, too.
    pub(crate) fn edges(&self) -> BTreeMap<Names, BTreeSet<Names>> {
        let edge = |(module, source): (&Names, &Source)| {
            let counts = source.imports.iter().filter(|import| {
                !import.is_passed_on || import.name.as_ref().is_some_and(|name| source.words.contains(name))
            });
            let targets = counts.filter_map(|import| {
                let from: Names = [&module[..], &import.inside[..]].concat();
                self.origin(&from, &import.path, 0)
            });
            (module.clone(), targets.filter(|target| target != module).collect())
        };
        self.sources().map(edge).collect()
    }

    /// The source that this path leads to, if it is one of ours.
    fn origin(&self, from: &[String], path: &[String], depth: usize) -> Option<Names> {
        let first = path.first()?;
        let (mut module, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (from.to_vec(), &path[1..]),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
            _ if self.has(from, first) => (from.to_vec(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|name| name == "super") {
            module.pop()?;
            rest = &rest[1..];
        }
        // What is left of a module inside a source is the source.
        while !module.is_empty() && !self.sources.contains_key(&module) {
            module.pop()?;
        }
        while let [name, below @ ..] = rest
            && self.has(&module, name)
        {
            module.push(name.clone());
            rest = below;
        }
        let Some(name) = rest.first() else { return Some(module) };
        let source = self.sources.get(&module)?;
        let brought =
            source.imports.iter().find(|import| import.inside.is_empty() && import.name.as_ref() == Some(name));
        let origin = brought.filter(|_| depth < 8).and_then(|import| self.origin(&module, &import.path, depth + 1));
        Some(origin.unwrap_or(module))
    }

    fn has(&self, module: &[String], child: &str) -> bool {
        let mut path = module.to_vec();
        path.push(child.to_owned());
        self.sources.contains_key(&path)
    }
}

fn files() -> Vec<(Names, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source that can be read");
                found.push((module(path.strip_prefix(&root).expect("a path in src")), text));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found.sort();
    found
}

fn module(file: &Path) -> Names {
    let names = PathBuf::from(file).with_extension("");
    let names = names.components().map(|name| name.as_os_str().to_string_lossy().into_owned());
    names.filter(|name| name != "lib").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges of made-up sources, as `from: to to`.
    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let names = |path: &str| path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let house = House::of(files.iter().map(|(path, text)| (names(path), (*text).to_owned())));
        let shown = |(from, to): (Names, BTreeSet<Names>)| {
            let to: Vec<_> = to.iter().map(|module| module.join("/")).collect();
            format!("{}: {}", from.join("/"), to.join(" "))
        };
        house.edges().into_iter().filter(|(_, to)| !to.is_empty()).map(shown).collect()
    }

    #[test]
    fn a_name_comes_from_where_it_is_declared() {
        let files = [
            ("", "mod r; pub use r::A;"),
            ("r", "mod a; mod b; pub use a::A; use b::B; struct C;"),
            ("r/a", "use super::{B, C}; use std::fmt;"),
            ("r/b", "pub struct B; use crate::r::A; use crate::A as Same;"),
        ];
        assert_eq!(edges(&files), ["r: r/b", "r/a: r r/b", "r/b: r/a"]);
    }

    #[test]
    fn a_face_imports_what_it_uses_and_not_what_it_passes_on() {
        let files =
            [("r", "pub use a::A; pub use b::B; fn f(_: B) { c::run() }"), ("r/a", ""), ("r/b", ""), ("r/c", "")];
        assert_eq!(edges(&files), ["r: r/b r/c"]);
    }

    #[test]
    fn inner_modules_belong_to_their_source_and_tests_to_nobody() {
        let files = [
            ("r", "#[cfg(test)] mod model; mod a;"),
            (
                "r/a",
                "mod inner { use super::super::b::B; use super::Own; } #[cfg(test)] mod tests { use super::super::c; }",
            ),
            ("r/b", "fn f() { crate::r::c::run() }"),
            ("r/c", ""),
            ("r/model", "use super::a;"),
        ];
        assert_eq!(edges(&files), ["r/a: r/b", "r/b: r/c"]);
    }
}

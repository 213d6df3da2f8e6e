//! The order of the house (docs/design.md): which room and which file may import which, read from the sources.
//!
//! - **Floors.** A room imports only from floors below it, never up and never sideways.
//! - **Files of a room.** In the rooms that have a `<room>.txt`, each file imports what is listed there, no more and no
//!   less: a new import is a decision, and one that is gone leaves the list.
//! - **Circles.** The children of a module, each taken together with all below it, form no circle: one can be read and
//!   tested before the other. Their parent is no part of that: as the room's face it stands over its children, passes
//!   their names on and may use them, and they may use what it declares itself. A name that the face only passes on comes
//!   from the file that declares it. So a circle is one that a reader meets: to understand `a` one needs `b`, and to
//!   understand `b` one needs `a`. `circles.txt` lists those of today.
//! - **Methods.** An inherent `impl` stands in the file that declares its type. `impls.txt` lists those of today that do
//!   not.
//!
//! The lists of circles and impls only shrink: what is no longer needed in them is a failure. Code under `#[cfg(test)]`
//! counts for the floors alone.
//!
//! A list that does not say what is so is printed as it would have to be; `LONGHAUL_WRITE_FLOORS=1 cargo test --test
//! floors` writes all of them anew.
//!
//! Alone, as it needs nothing of the crate: nothing is linked to it.

#![cfg(test)]

mod circles;
mod house;
mod list;
mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use house::House;
use source::Names;

/// Top first; rooms of one floor do not know each other. `testing` stands above all, and nobody imports it.
const FLOORS: [&[&str]; 13] = [
    &["testing"],
    &["client"],
    &["profile"],
    &["task"],
    &["download", "page"],
    &["transport", "stats", "store"],
    &["throttle", "retry", "credential", "protocol"],
    &["event"],
    &["hint", "limit"],
    &["pointer"],
    &["message", "server"],
    &["error"],
    &["redact", "clock"],
];

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    let house = House::with_tests();
    for (module, source) in house.sources() {
        let Some(room) = module.first() else { continue };
        let Some(own) = floor(room) else {
            wrong.push(format!("the room `{room}` stands on no floor"));
            continue;
        };
        for import in source.imports.iter().filter(|import| import.path[0] == "crate") {
            let place = format!("src/{}.rs:{}", module.join("/"), import.line);
            let Some(imported) = import.path.get(1) else { continue };
            match floor(imported) {
                _ if imported == room => {}
                Some(below) if below > own => {}
                Some(_) => wrong.push(format!("{place}: `{room}` imports `{imported}`")),
                None => wrong.push(format!("{place}: `{imported}` stands on no floor")),
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_of_a_floor_is_there() {
    let house = House::with_tests();
    for room in FLOORS.into_iter().flatten() {
        assert!(house.sources().any(|(module, _)| module[..] == [*room]), "there is no room `{room}`");
    }
}

#[test]
fn files_of_the_credential_import_what_is_listed() {
    list::check("credential", &table("credential", &House::without_tests().edges()));
}

#[test]
fn files_of_the_download_import_what_is_listed() {
    list::check("download", &table("download", &House::without_tests().edges()));
}

#[test]
fn files_of_the_protocol_import_what_is_listed() {
    list::check("protocol", &table("protocol", &House::without_tests().edges()));
}

#[test]
fn files_of_the_throttle_import_what_is_listed() {
    list::check("throttle", &table("throttle", &House::without_tests().edges()));
}

#[test]
fn files_of_the_hint_import_what_is_listed() {
    list::check("hint", &table("hint", &House::without_tests().edges()));
}

#[test]
fn files_of_the_transport_import_what_is_listed() {
    list::check("transport", &table("transport", &House::without_tests().edges()));
}

#[test]
fn files_form_no_circle() {
    list::check("circles", &found_circles(&House::without_tests().edges()));
}

#[test]
fn impls_stand_with_their_types() {
    let house = House::without_tests();
    let away = house.sources().flat_map(|(module, source)| {
        let away = source.impls.iter().filter(|(name, _)| !source.types.contains(name));
        away.map(|(name, _)| format!("{}: {name}", module.join("/")))
    });
    list::check("impls", &away.collect());
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Each file of a room with what it imports from the same room, by their paths below the room.
fn table(room: &str, edges: &BTreeMap<Names, BTreeSet<Names>>) -> BTreeSet<String> {
    let is_in = |module: &&Names| module.first().is_some_and(|first| first == room);
    let name = |module: &Names| if module.len() == 1 { room.to_owned() } else { module[1..].join("/") };
    let line = |(module, to): (&Names, &BTreeSet<Names>)| {
        let to: Vec<_> = to.iter().filter(is_in).map(name).collect();
        format!("{}: {}", name(module), to.join(" ")).trim_end().to_owned()
    };
    edges.iter().filter(|(module, _)| is_in(module)).map(line).collect()
}

/// `parent: child child`, where the children form a circle, each with all below it.
fn found_circles(edges: &BTreeMap<Names, BTreeSet<Names>>) -> BTreeSet<String> {
    let parents: BTreeSet<&[String]> = edges.keys().filter_map(|module| Some(module.split_last()?.1)).collect();
    let mut found = BTreeSet::new();
    for parent in parents.into_iter().filter(|parent| !parent.is_empty()) {
        let child = |module: &'_ Names| -> Option<&str> {
            let below = edges.get_key_value(module)?.0.strip_prefix(parent)?;
            below.first().map(String::as_str)
        };
        let mut level: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, to) in edges {
            let Some(from) = child(from) else { continue };
            level.entry(from).or_default().extend(to.iter().filter_map(child).filter(|to| *to != from));
        }
        for circle in circles::circles(&level) {
            found.insert(format!("{}: {}", parent.join("/"), Vec::from_iter(circle).join(" ")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(files: &[(&str, &str)]) -> House {
        let names = |path: &str| path.split('/').map(str::to_owned).collect();
        House::of(files.iter().map(|(path, text)| (names(path), (*text).to_owned())))
    }

    #[test]
    fn a_table_has_every_file_and_no_other_room() {
        let files = [
            ("r", "pub use a::A; use b::B;"),
            ("r/a", "use super::{Own, b::B}; use crate::other::C;"),
            ("r/b", ""),
            ("r/b/c", "use super::super::a::A;"),
            ("other", "use crate::r::A;"),
        ];
        let table: Vec<_> = table("r", &house(&files).edges()).into_iter().collect();
        assert_eq!(table, ["a: r b", "b/c: a", "b:", "r: b"]);
    }

    #[test]
    fn the_face_is_in_no_circle_and_a_part_is_in_that_of_its_whole() {
        let with_face = [("r", "mod a; use a::A; pub use a::B;"), ("r/a", "use super::Own; use super::B;")];
        assert!(found_circles(&house(&with_face).edges()).is_empty());
        let through_a_part = [
            ("r", ""),
            ("r/a", "use super::b::B;"),
            ("r/b", "mod c; pub use c::B;"),
            ("r/b/c", "use super::d; pub struct B;"),
            ("r/b/d", "use crate::r::a::A; use super::c;"),
        ];
        let found: Vec<_> = found_circles(&house(&through_a_part).edges()).into_iter().collect();
        assert_eq!(found, ["r/b: c d", "r: a b"]);
    }
}

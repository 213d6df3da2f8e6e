//! Draw: pictures of the results, as SVG, for the documents.

mod axis;
mod chart;
mod connections;
mod pictures;
mod results;
mod svg;
mod uri;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

use connections::Log;
use pictures::PICTURES;
use results::Results;

/// Draws each picture from the JSON lines of its bench, `FROM/<bench>.json`, into the folder `to`. A bench without a
/// file is left out.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let [from, to] = arguments else { return Err("usage: draw DIR_OF_JSON DIR_OF_PICTURES".into()) };
    fs::create_dir_all(to)?;
    for (path, picture) in draw(Path::new(from), Path::new(to))? {
        fs::write(&path, picture)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Prints a link definition for each of these pictures that holds the picture itself: rustdoc shows no file beside a
/// page.
pub(crate) fn links(pictures: &[OsString]) -> Result<(), Failure> {
    print!("{}", definitions(pictures)?);
    Ok(())
}

fn draw(from: &Path, to: &Path) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut drawn = Vec::new();
    for picture in &PICTURES {
        let file = from.join(picture.bench).with_extension("json");
        if !file.exists() {
            continue;
        }
        let read = || Results::parse(&fs::read_to_string(&file)?).and_then(|results| picture.draw(&results));
        let svg = read().map_err(|error| format!("{}: {error}", file.display()))?;
        drawn.push((to.join(picture.name).with_extension("svg"), svg));
    }
    let file = from.join(connections::FILE).with_extension("json");
    if file.exists() {
        let log = Log::parse(&fs::read_to_string(&file)?).map_err(|error| format!("{}: {error}", file.display()))?;
        drawn.push((to.join(connections::FILE).with_extension("svg"), log.draw()));
    }
    if drawn.is_empty() {
        return Err(format!("no results of a bench in {}", from.display()).into());
    }
    Ok(drawn)
}

fn definitions(pictures: &[impl AsRef<Path>]) -> Result<String, Failure> {
    let definition = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("[{name}]: {}\n", uri::data(&fs::read_to_string(path)?)))
    };
    pictures.iter().map(|path| definition(path.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    /// Benches whose results need not be kept yet.
    const LATER: [&str; 0] = [];

    #[test]
    fn the_pictures_in_the_documents_are_those_of_the_results() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let results = root.join("results");
        for picture in PICTURES.iter().filter(|picture| !LATER.contains(&picture.bench)) {
            assert!(results.join(picture.bench).with_extension("json").exists(), "no results of {}", picture.bench);
        }
        let drawn = draw(&results, &root.join("../../docs/figures")).unwrap();
        for (path, picture) in drawn {
            let kept = fs::read_to_string(&path).unwrap();
            assert!(kept == picture, "{} is out of date: run `draw` again", path.display());
        }
    }

    #[test]
    fn every_picture_in_the_documents_is_well_formed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures");
        let mut seen = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension() == Some(OsStr::new("svg")) {
                let text = fs::read_to_string(&path).unwrap();
                let document = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_eq!(document.root_element().tag_name().name(), "svg");
                seen += 1;
            }
        }
        assert!(seen >= PICTURES.len() - LATER.len());
    }

    #[test]
    fn every_file_that_the_page_of_the_architecture_names_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let (page, request, wait) =
            (read("docs/how-it-works.md"), read("docs/figures/request.svg"), read("docs/figures/wait.svg"));
        let drawn = [&request, &wait].into_iter().flat_map(|picture| picture.split(['<', '>']));
        let words = page.split('`').chain(drawn);
        let files: Vec<_> = words.filter(|word| word.ends_with(".rs") && !word.contains([' ', '<'])).collect();
        assert!(files.len() > 60, "{files:?}");
        for file in files {
            let is_there = ["src", "src/throttle"].iter().any(|folder| root.join(folder).join(file).exists());
            assert!(is_there, "there is no {file}");
        }
    }

    #[test]
    fn the_links_for_rustdoc_hold_the_pictures() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/figures");
        let kept = fs::read_to_string(docs.join("links.txt")).unwrap();
        let now = definitions(&["request.svg", "wait.svg"].map(|name| docs.join(name))).unwrap();
        assert!(kept == now, "docs/figures/links.txt is out of date: run `links` again");
    }
}

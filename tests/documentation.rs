//! The pages of the documentation: their commands are run, their code is that of the files that they name, their links
//! lead somewhere.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Pages with commands, and the files beside which they run, in `docs/PAGE.in`.
const PAGES: [(&str, &str); 2] = [("tutorial", "banks.toml"), ("dram", "requests.csv")];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One after the other; what they write goes away with the copy.
#[test]
fn every_command_prints_what_the_page_shows() {
    let folder = tempfile::tempdir().unwrap();
    for (page, file) in PAGES {
        let (page, beside) = (format!("{page}.md"), format!("{page}.in/{file}"));
        fs::create_dir(folder.path().join(&beside).parent().unwrap()).unwrap();
        for file in [&page, &beside] {
            fs::copy(repository().join("docs").join(file), folder.path().join(file)).unwrap();
        }
        trycmd::TestCases::new().case(folder.path().join(page));
    }
}

/// Pieces of code with the files that were named last before each.
fn pieces(text: &str) -> Vec<(String, String)> {
    let mut pieces = Vec::new();
    let mut file = String::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language != "console", String::new())),
            (Some(_), Some((is_code, piece))) if is_code => pieces.push((file.clone(), piece)),
            (None, Some((is_code, piece))) => open = Some((is_code, piece + line + "\n")),
            (None, None) => {
                let names = line.split('`').skip(1).step_by(2);
                let is_file = |name: &&str| name.contains('.') && !name.contains([' ', '=']);
                file = names.filter(is_file).last().map_or(file, str::to_owned);
            }
            (Some(_), Some(_)) => {}
        }
    }
    pieces
}

#[test]
fn every_piece_of_code_is_in_the_file_that_is_named_above_it() {
    for (page, beside) in PAGES {
        let pieces = pieces(&text(&repository().join(format!("docs/{page}.md"))));
        assert!(!pieces.is_empty(), "{page}");
        for (file, piece) in pieces {
            let path = match file == beside {
                true => repository().join(format!("docs/{page}.in/{beside}")),
                false => repository().join(&file),
            };
            assert!(text(&path).contains(&piece), "{file} does not hold\n{piece}");
        }
    }
}

/// All pages below a folder.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Targets of the links of a page, without those to other places and without the part behind `#`.
fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let target = |(target, _): (&str, &str)| target.split('#').next().map(str::to_owned);
    let is_ours = |target: &String| !target.is_empty() && !target.contains([' ', ':']);
    ends.filter_map(target).filter(is_ours).collect()
}

#[test]
fn every_link_leads_to_a_file() {
    let docs = pages(&repository().join("docs"));
    let others = ["README.md", "sim/dram/README.md", "python/README.md"];
    let mut count = 0;
    for page in docs.into_iter().chain(others.map(|page| repository().join(page))) {
        for target in links(&text(&page)) {
            let path = page.parent().unwrap().join(&target);
            assert!(path.exists(), "{} leads to {target}", page.display());
            count += 1;
        }
    }
    assert!(count > 100, "{count} links");
}

/// The list of pages of the book holds each of them once.
#[test]
fn the_book_has_every_page() {
    let docs = repository().join("docs");
    let listed = links(&text(&docs.join("SUMMARY.md")));
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice");
    for page in pages(&docs) {
        let name = page.strip_prefix(&docs).unwrap().to_str().unwrap().to_owned();
        assert!(name == "SUMMARY.md" || once.contains(&name), "{name} is not in docs/SUMMARY.md");
    }
}

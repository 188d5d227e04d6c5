//! The works of `docs/speed.md` are what the page says: cycles, not times.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, path::Path};

use attelier::table::grouped;
use common::{attelier, number};
use serde_json::Value;

#[test]
fn the_works_take_the_cycles_of_the_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/speed.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("out.json");
    let works: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.contains("`attelier run "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(works.len(), 5);
    for work in works {
        let command = work.iter().find_map(|cell| cell.strip_prefix("`attelier ")).unwrap();
        let mut args: Vec<&str> = command.trim_end_matches('`').split(' ').collect();
        args.extend(["--json", json.to_str().unwrap()]);
        attelier(root, &args).code(0);
        let result: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        let cycles = grouped(number(&result, "/cycles"));
        assert!(work.contains(&cycles.as_str()), "{cycles} is not in {work:?}");
    }
}

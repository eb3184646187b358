//! `docs/conformance.md` says what these tests hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const CLAUSES: usize = 38;

/// Number and test of each row.
fn rows(document: &str) -> Vec<(usize, String)> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    document
        .lines()
        .map(cells)
        .filter_map(|cells| {
            let number = cells.get(1)?.parse().ok()?;
            Some((number, cells.iter().rev().nth(1)?.trim_matches('`').to_owned()))
        })
        .collect()
}

/// The functions called `clause_…` in this folder.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            text.lines()
                .filter_map(|line| line.strip_prefix("async fn ")?.split_once('('))
                .map(|(name, _)| name.to_owned())
                .filter(|name| name.starts_with("clause_"))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_document_lists_every_clause_and_its_test() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let rows = rows(&fs::read_to_string(path).unwrap());
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=CLAUSES).collect::<Vec<_>>());
    for (number, test) in &rows {
        assert!(test.starts_with(&format!("clause_{number}_")), "{number}: {test}");
    }
    assert_eq!(rows.into_iter().map(|(_, test)| test).collect::<BTreeSet<_>>(), tests());
}

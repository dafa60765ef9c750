//! `tests/README.md` names tests that exist, and every file that has some.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const TESTS: [&str; 2] = ["#[test]", "#[tokio::test"];

/// A file that the page names, and the test in it.
fn located(name: &str) -> (PathBuf, Option<&str>) {
    let (file, test) = name.split_once("::").map_or((name, None), |(file, test)| (file, Some(test)));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = if file.starts_with("src/") { root.join(file) } else { root.join("tests").join(file) };
    (path, test)
}

/// Every name of a file, with or without a test, that the page has in code spans.
fn names(page: &str) -> impl Iterator<Item = &str> {
    let spans = page.split('`').skip(1).step_by(2);
    spans.filter(|span| span.contains(".rs") && !span.contains(' '))
}

/// The files below a folder in which tests stand.
fn files_with_tests(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("read a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_with_tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("read a file");
            if text.lines().any(|line| TESTS.iter().any(|test| line.trim_start().starts_with(test))) {
                found.insert(path);
            }
        }
    }
}

#[test]
fn every_test_on_the_map_exists_and_every_file_is_on_it() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let page = std::fs::read_to_string(tests.join("README.md")).expect("read the map");
    let mut mapped = BTreeSet::new();
    let mut named = 0;
    for (path, test) in names(&page).map(located) {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Some(test) = test {
            assert!(text.contains(&format!("fn {test}(")), "{} has no test {test}", path.display());
            named += 1;
        }
        mapped.insert(path);
    }
    let mut there = BTreeSet::new();
    files_with_tests(&tests, &mut there);
    let missing: Vec<_> = there.difference(&mapped).collect();
    assert!(missing.is_empty(), "tests/README.md does not name {missing:?}");
    assert!(named >= 40, "{named} tests are named");
}

#[test]
fn every_command_on_the_map_is_a_target_of_the_makefile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("tests/README.md")).expect("read the map");
    let makefile = std::fs::read_to_string(root.join("Makefile")).expect("read the Makefile");
    let commands: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|span| span.strip_prefix("make ")?.split(' ').next())
        .collect();
    for command in &commands {
        assert!(makefile.contains(&format!("\n{command}:")), "the Makefile has no target {command}");
    }
    assert!(commands.len() >= 10, "{commands:?}");
}

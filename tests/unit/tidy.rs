//! Holds the sources and docs/ARCHITECTURE.md against the architecture's invariants, by reading them.

mod floors;
mod graph;
mod imports;
mod jetstream;
mod module_list;
mod path_of_a_job;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Returns the Rust files of the crate: their texts by their paths below `src/`.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// Checks whether a file belongs to a module of `lib.rs`: `module.rs` and all below `module/`.
fn is_in(file: &str, module: &str) -> bool {
    file.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Returns the text of docs/ARCHITECTURE.md.
fn architecture() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).unwrap()
}

/// Returns the text below a heading of the second level, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, below) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the page has no `## {heading}`"));
    below.split("\n## ").next().unwrap_or(below)
}

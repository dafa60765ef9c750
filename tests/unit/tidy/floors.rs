//! The order of `mod` lines is the order of floors, and imports lead downwards only.

use std::collections::BTreeMap;

use super::graph::{Arrow, Graph};
use super::sources;

const RULE: &str = "A module imports from its own children and from modules that are listed before it or before a \
     module that contains it; never from its parent, not even what the parent re-exports. Remedy: move what is imported \
     into a module of its own that is listed before both, hand it in as an argument, name the sibling that defines it, \
     or move the `mod` line of the importing module further down.";

#[test]
fn no_two_files_import_from_each_other() {
    let graph = Graph::new(&sources());
    let circles = graph.circles();
    let list = circles.iter().map(|way| format!("  {} -> {}", way.join(" -> "), way[0])).collect::<Vec<_>>();
    assert!(circles.is_empty(), "{} circles of imports in src/:\n{}\n{RULE}", list.len(), list.join("\n"));
}

#[test]
fn modules_import_from_lower_floors_only() {
    let graph = Graph::new(&sources());
    let list = described(&graph, &graph.faults());
    assert!(
        list.is_empty(),
        "{} imports in src/ break the order of floors:\n{}\n{RULE}",
        list.len(),
        list.join("\n")
    );
}

/// Describes each pair of files once.
fn described(graph: &Graph, arrows: &[Arrow<'_>]) -> Vec<String> {
    let mut pairs = BTreeMap::<_, Vec<_>>::new();
    for arrow in arrows {
        pairs.entry((arrow.from, arrow.to)).or_default().push(arrow);
    }
    let lines = pairs.into_iter().map(|((from, to), imports)| {
        let (from, to) = (&graph.modules[from], &graph.modules[to]);
        let first = imports[0];
        let path = first.import.path.join("::");
        let relation = if first.is_through_parent { "through its parent" } else { "which is a higher floor" };
        format!("  src/{}:{} imports `{path}` from src/{}, {relation}", from.file, first.import.line, to.file)
    });
    lines.collect()
}

/// Returns the faults and the circles of a crate of a few files.
fn faults(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let files = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    let graph = Graph::new(&files);
    let circles = graph.circles().iter().map(|way| way.join(" ")).collect();
    (described(&graph, &graph.faults()), circles)
}

#[test]
fn imports_from_lower_floors_and_from_children_are_in_order() {
    let (faults, circles) = faults(&[
        ("lib.rs", "mod names; mod service; pub use service::run;"),
        ("names.rs", "mod id; mod tag; pub use id::Id; pub use tag::*;"),
        ("names/id.rs", "pub struct Id;"),
        ("names/tag.rs", "use super::id::Id; pub struct Tag(Id);"),
        ("service.rs", "mod intake; mod job; pub fn run() { intake::run(); job::run() }"),
        ("service/intake.rs", "use crate::names::{Id, Tag}; pub fn run() {}"),
        ("service/job.rs", "use super::intake; use crate::names::*; pub fn run() { intake::run(); Tag }"),
    ]);
    assert_eq!((faults, circles), (vec![], vec![]));
}

#[test]
fn an_import_from_a_module_listed_later_is_found_through_re_exports() {
    let (faults, circles) = faults(&[
        ("lib.rs", "mod audit; mod metrics;"),
        ("audit.rs", "mod log; pub enum Cause {}"),
        ("audit/log.rs", "fn f() { let _ = crate::metrics::Renamed::new(); }"),
        ("metrics.rs", "mod book; pub use book::Book as Renamed;"),
        ("metrics/book.rs", "pub struct Book;"),
    ]);
    let expected = "  src/audit/log.rs:1 imports `crate::metrics::Renamed::new` from src/metrics/book.rs, which is a higher floor";
    assert_eq!((faults, circles), (vec![expected.to_owned()], vec![]));
}

#[test]
fn a_child_that_imports_from_its_parent_closes_a_circle() {
    let (faults, circles) = faults(&[
        ("lib.rs", "mod service;"),
        ("service.rs", "mod intake;\nuse intake::run;\npub(crate) struct Shared;"),
        ("service/intake.rs", "use super::*;\npub fn run(_: Shared) { super::Shared }"),
    ]);
    let expected = "  src/service/intake.rs:1 imports `super` from src/service.rs, through its parent";
    assert_eq!(faults, [expected]);
    assert_eq!(circles, ["service.rs service/intake.rs"]);
}

#[test]
fn a_sibling_is_imported_by_its_own_name() {
    let (faults, circles) = faults(&[
        ("lib.rs", "mod names;"),
        ("names.rs", "mod id; mod tag; pub use id::Id; pub use std::fmt; "),
        ("names/id.rs", "pub struct Id;"),
        ("names/tag.rs", "use super::id;\nuse crate::names::{\nId,\nfmt};\nuse super::id::Id as Other;"),
    ]);
    let expected = [
        "  src/names/tag.rs:3 imports `crate::names::Id` from src/names/id.rs, through its parent",
        "  src/names/tag.rs:4 imports `crate::names::fmt` from src/names.rs, through its parent",
    ];
    assert_eq!(faults, expected);
    assert!(circles.is_empty());
}

#[test]
fn a_circle_over_three_files_is_found() {
    let (_, circles) = faults(&[
        ("lib.rs", "mod delivery; mod record; mod settle;"),
        ("delivery.rs", "use crate::settle::Settled;"),
        ("record.rs", "use crate::delivery::Job;"),
        ("settle.rs", "use crate::record::line; pub struct Settled;"),
    ]);
    assert_eq!(circles, ["settle.rs record.rs delivery.rs"]);
}

#[test]
fn a_test_build_may_import_from_anywhere() {
    let (faults, circles) = faults(&[
        ("lib.rs", "mod low; mod high; #[cfg(test)] mod kit;"),
        ("low.rs", "#[cfg(test)]\nmod tests { use crate::high::High; }"),
        ("high.rs", "use crate::low::Low; pub struct High;"),
        ("kit.rs", ""),
    ]);
    assert_eq!((faults, circles), (vec![], vec![]));
}

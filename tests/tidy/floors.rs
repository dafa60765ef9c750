//! The order of `mod` lines is the order of floors, and imports lead downwards only.

use std::collections::BTreeMap;

use crate::graph::{Arrow, Graph};
use crate::sources;

const RULE: &str = "A module imports from modules that are listed before it, and from its own children; never from its \
     parent. Remedy: move what is imported into a module of its own that is listed before both, hand it in as an \
     argument, or move the `mod` line of the importing module further down.";

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
    let list = described(&graph, &graph.upward());
    assert!(list.is_empty(), "{} imports in src/ lead upwards:\n{}\n{RULE}", list.len(), list.join("\n"));
}

/// Describes each pair of files once.
fn described(graph: &Graph, arrows: &[Arrow<'_>]) -> Vec<String> {
    let mut pairs = BTreeMap::<_, Vec<_>>::new();
    for arrow in arrows {
        pairs.entry((arrow.from, arrow.to)).or_default().push(arrow.import);
    }
    let lines = pairs.into_iter().map(|((from, to), imports)| {
        let (from, to) = (&graph.modules[from], &graph.modules[to]);
        let relation = if is_above(&to.path, &from.path) { "which contains it" } else { "a higher floor" };
        let path = imports[0].path.join("::");
        format!("  src/{}:{} imports `{path}` from src/{}, {relation}", from.file, imports[0].line, to.file)
    });
    lines.collect()
}

fn is_above(ancestor: &str, module: &str) -> bool {
    ancestor.is_empty() || module.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with("::"))
}

/// A crate of a few files, with what it has upwards and round in circles.
fn faults(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let files = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    let graph = Graph::new(&files);
    let circles = graph.circles().iter().map(|way| way.join(" ")).collect();
    (described(&graph, &graph.upward()), circles)
}

#[test]
fn imports_from_lower_floors_and_from_children_are_in_order() {
    let (upward, circles) = faults(&[
        ("lib.rs", "mod names; mod service; pub use service::run;"),
        ("names.rs", "mod id; mod tag; pub use id::Id; pub use tag::*;"),
        ("names/id.rs", "pub struct Id;"),
        ("names/tag.rs", "use super::id::Id; pub struct Tag(Id);"),
        ("service.rs", "mod intake; mod job; pub fn run() { intake::run(); job::run() }"),
        ("service/intake.rs", "use crate::names::{Id, Tag}; pub fn run() {}"),
        ("service/job.rs", "use super::intake; use crate::names::*; pub fn run() { intake::run(); Tag }"),
    ]);
    assert_eq!((upward, circles), (vec![], vec![]));
}

#[test]
fn an_import_from_a_module_listed_later_is_found_through_re_exports() {
    let (upward, circles) = faults(&[
        ("lib.rs", "mod audit; mod metrics;"),
        ("audit.rs", "mod log; pub enum Cause {}"),
        ("audit/log.rs", "fn f() { let _ = crate::metrics::Renamed::new(); }"),
        ("metrics.rs", "mod book; pub use book::Book as Renamed;"),
        ("metrics/book.rs", "pub struct Book;"),
    ]);
    let expected = "  src/audit/log.rs:1 imports `crate::metrics::Renamed::new` from src/metrics/book.rs, a higher floor";
    assert_eq!((upward, circles), (vec![expected.to_owned()], vec![]));
}

#[test]
fn a_child_that_imports_from_its_parent_closes_a_circle() {
    let (upward, circles) = faults(&[
        ("lib.rs", "mod service;"),
        ("service.rs", "mod intake;\nuse intake::run;\npub(crate) struct Shared;"),
        ("service/intake.rs", "use super::*;\npub fn run(_: Shared) { super::Shared }"),
    ]);
    let expected = "  src/service/intake.rs:1 imports `super` from src/service.rs, which contains it";
    assert_eq!(upward, [expected]);
    assert_eq!(circles, ["service.rs service/intake.rs"]);
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
    let (upward, circles) = faults(&[
        ("lib.rs", "mod low; mod high; #[cfg(test)] mod kit;"),
        ("low.rs", "#[cfg(test)]\nmod tests { use crate::high::High; }"),
        ("high.rs", "use crate::low::Low; pub struct High;"),
        ("kit.rs", ""),
    ]);
    assert_eq!((upward, circles), (vec![], vec![]));
}

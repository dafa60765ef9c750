//! docs/METRICS.md names every metric, what it is, its labels, and the question that it answers.

use super::page::{self, Family};
use super::{project, selectors, text_of};

const DOCUMENT: &str = "docs/METRICS.md";
const HEAD: &str = "| metric | is a | labels | question |\n|---|---|---|---|\n";

fn row(family: &Family) -> String {
    let Family { name, kind, help, .. } = family;
    let labels: Vec<String> = family.labels().iter().map(|label| format!("`{label}`")).collect();
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
}

/// The document changes with every name, type and label, for readers who have dashboards of their own.
/// `UPDATE_METRICS=1` writes the table.
#[test]
fn the_table_of_metrics_matches_the_service() {
    let table: String = page::all().iter().map(row).collect();
    let document = text_of(DOCUMENT);
    let (before, rest) = document.split_once(HEAD).expect("the table's head");
    let rest_at = rest.find("\n\n").map_or(rest.len(), |at| at + 1);
    let (committed, after) = rest.split_at(rest_at);
    if std::env::var_os("UPDATE_METRICS").is_some() {
        std::fs::write(project(DOCUMENT), [before, HEAD, &table, after].concat())
            .expect("write the document");
        return;
    }
    assert_eq!(committed, table, "UPDATE_METRICS=1 cargo test --test suite unit::monitoring");
}

/// Documents name metrics that exist.
#[test]
fn every_metric_named_in_a_document_exists() {
    let families = page::all();
    let mut named = 0;
    for document in [DOCUMENT, "docs/OPERATING.md", "docs/ARCHITECTURE.md", "SECURITY.md"] {
        let text = text_of(document);
        for span in text.split('`').skip(1).step_by(2).filter(|span| span.contains("sealprove_")) {
            // `sealprove_queue_…` stands for several.
            let is_several = |name: &str| families.iter().any(|family| family.name.starts_with(name));
            let is_there = match span.strip_suffix('…') {
                Some(beginning) => is_several(beginning),
                None => families.iter().any(|family| family.name == span),
            };
            let problems = selectors::problems(span, &families);
            assert!(is_there || problems.is_empty(), "{document}: {span}: {problems:?}");
            named += 1;
        }
    }
    assert!(named > families.len() + 20, "{named} names");
}

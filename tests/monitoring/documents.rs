//! docs/METRICS.md names every metric, what it is, its labels, and the question that it answers.

use crate::page::{self, Family};
use crate::{project, text_of};

const DOCUMENT: &str = "docs/METRICS.md";
const HEAD: &str = "| metric | is a | labels | question |\n|---|---|---|---|\n";

fn row(family: &Family) -> String {
    let Family { name, kind, help, .. } = family;
    let labels: Vec<String> = family.labels().iter().map(|label| format!("`{label}`")).collect();
    format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
}

/// A name, a type or a label is changed here and there: whoever has a dashboard of their own reads it there.
/// `UPDATE_METRICS=1` writes the table.
#[test]
fn the_table_of_metrics_is_the_services() {
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
    assert_eq!(committed, table, "UPDATE_METRICS=1 cargo test --test monitoring");
}

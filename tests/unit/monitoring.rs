//! Metrics, alerts and the dashboard, held against each other and against the documents: what is asked for is there,
//! what is there is explained, and every alert has its case, its paragraph and its way out.
//!
//! `make monitoring` checks that a real Prometheus finds data behind every expression, and that alerts fire when their
//! causes really happen.

mod dashboard;
mod documents;
pub(crate) mod page;
mod rules;
mod selectors;

use std::path::{Path, PathBuf};

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub(crate) fn text_of(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file of the project.
pub(crate) fn yaml(path: &str) -> serde_json::Value {
    serde_saphyr::from_str(&text_of(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

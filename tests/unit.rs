//! Tests without a broker: documents, vectors, corpora and manifests held against the code, and proofs in this
//! process.

mod asyncapi;
mod cli;
mod corpora;
mod features;
mod k8s;
mod map;
pub(crate) mod monitoring;
mod schemas;
mod tidy;
mod vectors;
mod zcash_pczt;

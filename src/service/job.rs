//! The path of one job: leased, admitted, proved, settled.
//!
//! A job comes here from intake, goes to the prover and back, and leaves when its answer is stored and it is
//! acknowledged, or when it is handed back. Nothing here opens a seal or takes jobs from a queue.

pub(crate) mod admission;
mod answer_notices;
mod queued;

mod audit_record;

mod settle;

mod worker;

mod attempts;

mod lifecycle;

pub(crate) use answer_notices::AnswerNotices;
pub(crate) use queued::QueuedJob;
pub(crate) use settle::Settler;
pub(crate) use worker::Worker;

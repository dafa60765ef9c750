//! The path of one job: admitted, proved, settled.

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

//! The status of a service: its readiness, its activity, and the ledger in which it records what it does.

mod answer_capacity;

mod readiness;

mod activity;
mod traces;

mod ledger;

mod admin;

#[cfg(test)]
pub(crate) use activity::Count;
pub(crate) use activity::{Activity, ActivityPage};
#[cfg(feature = "cli")]
pub(crate) use activity::{BusySlot, ListedKey, Snapshot};
pub(crate) use admin::serve;
pub(crate) use answer_capacity::AnswerCapacity;
pub(crate) use ledger::Ledger;
pub(crate) use readiness::Readiness;
pub(crate) use traces::{Times, Traces, Work};

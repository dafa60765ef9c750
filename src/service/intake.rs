//! Intake: one message for each free slot, never more.
//!
//! [`fair_queue`] decides whose turn it is, [`poll`] finds the next job, and [`take`] gives it a slot. [`poison`]
//! answers messages that cannot be received. Intake looks at no job: what is in it decides nothing here.

mod fair_queue;
mod poison;
mod poll;

mod take;

pub(super) use take::Intake;

//! Intake: one message for each free slot, never more.
//!
//! [`fair_queue`] decides whose turn it is, [`poll`] finds the next job, and [`take`] gives it a slot.

mod fair_queue;
mod poison;
mod poll;

mod take;

pub(super) use take::Intake;

//! Request endpoints: the signed bundle and cancel requests, and the broker's answer notices.
//!
//! Any client can send here, so these have a connection of their own: a request with unreadable headers closes that
//! one, and leases and answers are not affected.

mod listen;

mod bundle;
mod cancel;

mod serve;

pub(super) use serve::Requests;

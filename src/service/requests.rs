//! Request endpoints: the signed bundle and cancel requests, and the broker's answer notices, on a connection of its
//! own.

mod listen;

mod bundle;
mod cancel;

mod serve;

pub(super) use serve::Requests;

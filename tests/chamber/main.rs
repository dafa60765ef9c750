//! The chamber, driven as the service drives it: a real process, real sockets, and circuits that
//! misbehave (`tests/rogue`).

mod answers;
mod doors;
mod ends;
mod harness;
mod hostile;
mod inside;
mod locked;
mod memory;
mod refusals;
mod starts;
mod stops;

//! The circuit `zcash-pczt-v1` seen from a wallet: what it hands over, what it is refused, and what it
//! gets back.

#![cfg(feature = "zcash")]

mod client_flow;
mod refusals;
mod tampering;
mod wallet;

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../../examples/make_pczt.rs"]
mod make_pczt;

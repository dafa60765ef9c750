//! The doctor: examines whether machine, broker, keys, bundle and locks are as the service needs them.

mod finding;

mod servers;

pub mod broker;
pub mod deployment;
pub mod locks;
pub mod machine;

pub use finding::{Finding, Standing};

//! The operator's side: the keyring, the overview of the broker, and the doctor.

pub mod keyring;

#[cfg(feature = "service")]
pub(crate) mod overview;

#[cfg(feature = "service")]
pub mod doctor;

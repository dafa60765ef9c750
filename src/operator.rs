//! The operator's side: the recipient keys, the overview of the broker, and the doctor.

pub mod keyring;

pub(crate) mod key_folder;

#[cfg(feature = "service")]
pub(crate) mod overview;

#[cfg(feature = "service")]
pub mod doctor;

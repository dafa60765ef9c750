//! The operator's side: the recipient keys, the overview of the broker, and the doctor.

pub mod keyring;

pub mod key_folder;

#[cfg(feature = "service")]
pub mod overview;

#[cfg(feature = "service")]
pub mod doctor;

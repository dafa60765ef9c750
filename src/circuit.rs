//! The interface between a circuit and the rest of the crate, and the set of circuits of a program.
//!
//! A circuit takes a witness in an encoding of its own and returns a proof with its public inputs. It checks
//! a witness once, which yields a [`CheckedWitness`], and its [`ProvingKey`] proves nothing else. Everything
//! that knows a proof system is behind these traits. For a circuit written with halo2, implement
//! [`halo2::Halo2Circuit`] instead of [`Circuit`]: the rest follows from it.
//!
//! A circuit does no I/O, starts no thread (it uses the rayon pool of its caller), logs nothing, maps no file
//! and no executable page, and draws randomness from the operating system only. It proves in a forked and
//! locked process (see `sandbox`): there, anything else ends the process, and a generator in memory would
//! repeat itself.

mod error;

mod checked;
mod descriptor;

mod interface;

#[cfg(feature = "halo2")]
pub mod halo2;
mod registry;

pub use crate::protocol::{Proof, PublicInputs};
pub use checked::CheckedWitness;
pub use descriptor::Descriptor;
pub use error::{BuildError, InvalidWitness, ProveError, VerifyError};
pub use interface::{Circuit, ProvingKey, VerifyingKey};
pub use registry::Circuits;

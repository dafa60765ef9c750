//! A witness that passed its circuit's check: what a proving key takes.

use std::any::Any;
use std::fmt;

use super::error::ProveError;
use crate::protocol::PublicInputs;

/// A decoded witness that passed the check of its circuit, with the public inputs that follow from it.
///
/// [`Circuit::check`](crate::circuit::Circuit::check) makes it, and
/// [`ProvingKey::prove`](crate::circuit::ProvingKey::prove) consumes it, so that a witness is decoded once,
/// and proved only if it was checked. The decoded value stays in one place on the heap from its check to its
/// end, and is dropped there: a type that wipes itself on drop leaves no copy. Nothing here copies, compares
/// or prints it.
pub struct CheckedWitness {
    // Without its type, so that one trait object serves circuits of every witness type. In a box, so that
    // passing the witness on moves a pointer and copies nothing of the secret.
    decoded: Box<dyn Any + Send>,
    public_inputs: PublicInputs,
}

impl CheckedWitness {
    /// Wraps a decoded witness. Only an implementation of [`Circuit::check`](crate::circuit::Circuit::check)
    /// has a use for this.
    ///
    /// `T` must be private to the circuit. A proving key takes back a value of its own type and of no other,
    /// so a type that only the circuit can name is one that only the circuit's check can hand to its key.
    /// Circuits that share a type must tell their values apart themselves.
    ///
    /// ```
    /// use sealprove::circuit::{CheckedWitness, ProveError, PublicInputs};
    ///
    /// struct Age(u8);
    /// struct Height(u8);
    ///
    /// let checked = CheckedWitness::new(Age(42), PublicInputs(vec![18]));
    /// assert_eq!(checked.public_inputs().0, [18]);
    /// let (age, _) = checked.into_parts::<Age>()?;
    /// assert_eq!(age.0, 42);
    ///
    /// let checked = CheckedWitness::new(Age(42), PublicInputs(vec![18]));
    /// assert_eq!(checked.into_parts::<Height>().err(), Some(ProveError::OtherCircuit));
    /// # let _ = Height(1).0;
    /// # Ok::<(), ProveError>(())
    /// ```
    pub fn new<T: Any + Send>(decoded: T, public_inputs: PublicInputs) -> Self {
        CheckedWitness { decoded: Box::new(decoded), public_inputs }
    }

    /// Returns the public inputs that a proof of this witness must have.
    pub fn public_inputs(&self) -> &PublicInputs {
        &self.public_inputs
    }

    /// Drops the witness and keeps its public inputs.
    pub fn into_public_inputs(self) -> PublicInputs {
        self.public_inputs
    }

    /// Takes the decoded value out, with its public inputs. Only an implementation of
    /// [`ProvingKey::prove`](crate::circuit::ProvingKey::prove) has a use for this.
    ///
    /// # Errors
    /// Fails when the value is of another type, that is, when another circuit checked it.
    pub fn into_parts<T: Any>(self) -> Result<(Box<T>, PublicInputs), ProveError> {
        // The box is handed on and not opened: moving the value out would leave its bytes behind in the heap.
        let decoded = self.decoded.downcast().map_err(|_| ProveError::OtherCircuit)?;
        Ok((decoded, self.public_inputs))
    }
}

impl fmt::Debug for CheckedWitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckedWitness")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn checked<T: Any + Send>(decoded: T) -> CheckedWitness {
        CheckedWitness::new(decoded, PublicInputs(vec![7]))
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        assert_eq!(checked("secret").into_parts::<String>().unwrap_err(), ProveError::OtherCircuit);
        let (decoded, public_inputs) = checked("secret").into_parts::<&str>().unwrap();
        assert_eq!((*decoded, public_inputs), ("secret", PublicInputs(vec![7])));
    }

    #[test]
    fn every_way_out_drops_the_decoded_value() {
        let value = Arc::new(());
        drop(checked(value.clone()));
        assert_eq!(Arc::strong_count(&value), 1, "dropped unused");
        checked(value.clone()).into_public_inputs();
        assert_eq!(Arc::strong_count(&value), 1, "only the public inputs kept");
        checked(value.clone()).into_parts::<u8>().unwrap_err();
        assert_eq!(Arc::strong_count(&value), 1, "refused");
    }

    #[test]
    fn the_decoded_value_does_not_move() {
        let witness = checked([1_u8; 64]);
        let before = (&raw const *witness.decoded).addr();
        let (decoded, _) = witness.into_parts::<[u8; 64]>().unwrap();
        assert_eq!((&raw const *decoded).addr(), before);
    }

    #[test]
    fn a_checked_witness_prints_nothing_of_its_value() {
        assert_eq!(format!("{:?}", checked("attack at dawn")), "CheckedWitness");
    }
}

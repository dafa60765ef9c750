//! The secrets: a witness and a private key.
//!
//! Both are created in place at their final size, are wiped when they are dropped, print nothing but a length or a name,
//! and cannot be cloned, compared or serialised. Each is read through one method, so a search for its name finds every
//! reader.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// The private input of one proof, in the circuit's own encoding.
pub struct Witness(Zeroizing<Vec<u8>>);

impl Witness {
    /// Takes the bytes over. The buffer must be at its final size: a vector that grows leaves its old block behind,
    /// unwiped.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Witness(Zeroizing::new(bytes))
    }

    /// Fills a buffer of exactly `len` bytes in place.
    ///
    /// # Errors
    /// When `fill` fails, with its error. The buffer is wiped.
    pub fn fill<E>(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Zeroizing::new(vec![0; len]);
        fill(&mut bytes)?;
        Ok(Witness(bytes))
    }

    /// Returns the witness.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Keeps the bytes `from..from + len` and wipes the rest, in place: a second buffer would be one more to wipe.
    pub(crate) fn trim(&mut self, from: usize, len: usize) {
        self.0.copy_within(from..from + len, 0);
        // `truncate` leaves the bytes behind the new end in place, and the buffer lives on.
        self.0[len..].zeroize();
        self.0.truncate(len);
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({} bytes)", self.0.len())
    }
}

/// A recipient private key: 32 bytes, an X25519 scalar (RFC 7748) or the seed of an X-Wing key.
pub struct PrivateKey(Zeroizing<[u8; PrivateKey::BYTES]>);

impl PrivateKey {
    /// Length of a key in bytes: `Nsk` of DHKEM(X25519) (RFC 9180 section 7.1) and of X-Wing.
    pub const BYTES: usize = 32;

    /// Fills a new key in place.
    ///
    /// # Errors
    /// When `fill` fails, with its error. The buffer is wiped.
    pub fn fill<E>(fill: impl FnOnce(&mut [u8; Self::BYTES]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = PrivateKey(Zeroizing::new([0; Self::BYTES]));
        fill(&mut key.0)?;
        Ok(key)
    }

    /// Returns the key.
    pub fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_print_no_bytes() {
        let witness = Witness::from_vec(b"attack at dawn".to_vec());
        assert_eq!(format!("{witness:?}"), "Witness(14 bytes)");

        let key = PrivateKey::fill(|bytes| {
            bytes.fill(0x41);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey");
    }

    #[test]
    fn trim_keeps_the_middle() {
        let mut witness = Witness::from_vec(b"0004wordzeros".to_vec());
        witness.trim(4, 4);
        assert_eq!(witness.expose(), b"word");
    }
}

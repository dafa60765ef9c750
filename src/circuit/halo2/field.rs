//! Field elements: public ones, secret ones, and their one encoding.

use std::fmt;
use std::str::FromStr;

use ff::{FromUniformBytes, PrimeField};
use pasta_curves::pallas::Base;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The bytes or digits are not the canonical encoding of a field element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a field element: expected 32 bytes, little-endian, below the modulus of Pallas' base field")]
pub struct NotCanonical;

/// A public field element, such as a commitment, a root or a nullifier.
///
/// Prints and parses as `0x` and 64 lower-case hexadecimal digits, little-endian.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Element(pub Base);

impl Element {
    /// Length of an encoded element, in bytes.
    pub const BYTES: usize = 32;

    /// Reads the canonical encoding.
    ///
    /// # Errors
    /// Fails when the number is not below the modulus.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, NotCanonical> {
        canonical(bytes).map(Element)
    }

    /// Returns the canonical encoding.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_repr()
    }

    /// Maps a message of any length to an element: SHA-512 over `len(label) ‖ label ‖ message`, the length in
    /// one byte, reduced from 64 little-endian bytes. Messages under different labels never collide.
    ///
    /// # Panics
    /// Panics when the label is longer than 255 bytes: labels are constants of the program.
    pub fn hash(label: &str, message: &[u8]) -> Self {
        // With the length in front, label and message cannot be divided in two ways.
        let label_len = u8::try_from(label.len()).expect("a label of at most 255 bytes");
        let digest = Sha512::new()
            .chain_update([label_len])
            .chain_update(label.as_bytes())
            .chain_update(message)
            .finalize();
        // Reducing 64 bytes to a field of 255 bits leaves no bias that can be noticed.
        Element(Base::from_uniform_bytes(&digest.into()))
    }
}

impl FromStr for Element {
    type Err = NotCanonical;
    fn from_str(text: &str) -> Result<Self, NotCanonical> {
        let mut bytes = [0; Element::BYTES];
        decode_hex(text, &mut bytes).ok_or(NotCanonical)?;
        Element::from_bytes(&bytes)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A secret field element, such as a blinding factor or the secret of an identity. Wiped on drop; prints only
/// the name of its type.
// Neither `Copy` nor `Clone`, unlike `Base`: each copy would be one more to wipe.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretElement(Base);

impl SecretElement {
    /// Draws a uniform element from the operating system.
    ///
    /// # Panics
    /// Panics when the operating system has no randomness: a predictable secret would be worse.
    pub fn random() -> Self {
        // The element follows from these bytes, so they are as secret as it is.
        let mut wide = Zeroizing::new([0; 64]);
        crate::protocol::random::fill(&mut *wide);
        SecretElement(Base::from_uniform_bytes(&wide))
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    /// Fails when the number is not below the modulus.
    pub fn from_bytes(bytes: &[u8; Element::BYTES]) -> Result<Self, NotCanonical> {
        canonical(bytes).map(SecretElement)
    }

    /// Returns the canonical encoding, for the owner to store.
    pub fn expose_bytes(&self) -> Zeroizing<[u8; Element::BYTES]> {
        Zeroizing::new(self.0.to_repr())
    }

    /// Returns the element itself.
    pub fn expose(&self) -> &Base {
        &self.0
    }
}

impl fmt::Debug for SecretElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretElement")
    }
}

/// Decodes 32 little-endian bytes. Refuses a number that is not below the modulus: it would be a second
/// encoding of another element.
pub(super) fn canonical(bytes: &[u8; Element::BYTES]) -> Result<Base, NotCanonical> {
    Option::from(Base::from_repr(*bytes)).ok_or(NotCanonical)
}

/// Fills `bytes` from `0x` and lower-case digits. Returns `None` for any other spelling.
pub(super) fn decode_hex(text: &str, bytes: &mut [u8; Element::BYTES]) -> Option<()> {
    let digits = text.strip_prefix("0x")?;
    // `hex` takes upper case as well, which would give one element many spellings.
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(digits, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modulus of Pallas' base field, little-endian.
    const MODULUS: &str = "0x01000000ed302d991bf94c09fc98462200000000000000000000000000000040";
    const MODULUS_MINUS_ONE: &str = "0x00000000ed302d991bf94c09fc98462200000000000000000000000000000040";

    #[test]
    fn an_element_has_one_spelling() {
        let one = "0x0100000000000000000000000000000000000000000000000000000000000000";
        assert_eq!(one.parse(), Ok(Element(Base::from(1))));
        assert_eq!(Element(Base::from(1)).to_string(), one);
        assert_eq!(MODULUS_MINUS_ONE.parse(), Ok(Element(-Base::from(1))));

        let others = [
            MODULUS,
            &one[2..],
            &one[..64],
            &format!("{one}00"),
            &MODULUS_MINUS_ONE.to_uppercase(),
            &MODULUS_MINUS_ONE.replace('d', "D"),
            "",
            "1",
        ];
        for other in others {
            assert_eq!(other.parse::<Element>(), Err(NotCanonical), "{other:?}");
        }
    }

    #[test]
    fn labels_and_messages_do_not_run_into_one_another() {
        assert_eq!(Element::hash("label", b"message"), Element::hash("label", b"message"));
        assert_ne!(Element::hash("label", b"message"), Element::hash("labelm", b"essage"));
        assert_ne!(Element::hash("label", b""), Element::hash("label", b"\0"));
    }

    #[test]
    fn a_secret_is_uniform_wiped_and_silent() {
        let mut secret = SecretElement::random();
        assert_ne!(secret.expose(), SecretElement::random().expose());
        assert_eq!(format!("{secret:?}"), "SecretElement");
        assert_eq!(SecretElement::from_bytes(&secret.expose_bytes()).unwrap().expose(), secret.expose());
        secret.zeroize();
        assert_eq!(secret.expose(), &Base::from(0));
    }
}

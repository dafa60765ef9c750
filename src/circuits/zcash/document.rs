//! The encoding of a PCZT: decoding, completing and encoding it.
//!
//! This module knows the format only. [`super::check`] checks the meaning of the fields.

use pczt::orchard::EncCiphertext;
use pczt::{EncodingVersion, ParseError, Pczt};

use crate::circuit::InvalidWitness;

use super::statement::Pool;

/// A decoded PCZT, with the version of the format that it was written in.
pub(super) struct Document {
    pub(super) pczt: Pczt,
    pub(super) encoding: EncodingVersion,
}

impl Document {
    /// Decodes a PCZT of either version. Bytes after its end are ignored, as `pczt` does.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InvalidWitness> {
        let pczt = pczt::parse(bytes).map_err(not_a_pczt)?;
        // `pczt` does not return the version that it read, which is the number in bytes 4 to 7, and 1 or 2.
        // Cannot panic: a PCZT that was parsed has the eight bytes of a header.
        let encoding = if bytes[4] == 1 { EncodingVersion::V1 } else { EncodingVersion::V2 };
        Ok(Document { pczt, encoding })
    }

    /// Recomputes the fields that a compact PCZT leaves out.
    pub(super) fn resolve(mut self) -> Result<Self, InvalidWitness> {
        match self.pczt.resolve_fields() {
            Ok(()) => Ok(self),
            Err(_) => Err(unresolved(&self.pczt)),
        }
    }

    /// Encodes the PCZT in the version that it was read in, so that its author can read it.
    pub(super) fn encode(self) -> Result<Vec<u8>, InvalidWitness> {
        let encoded = match self.encoding {
            EncodingVersion::V1 => pczt::v1::Pczt::try_from(self.pczt).map(|pczt| pczt.serialize()),
            EncodingVersion::V2 => pczt::v2::Pczt::try_from(self.pczt).map(|pczt| pczt.serialize()),
        };
        encoded.map_err(|_| InvalidWitness::whole("cannot be written in the PCZT version that it came in"))
    }
}

fn not_a_pczt(error: ParseError) -> InvalidWitness {
    match error {
        ParseError::TooShort => InvalidWitness::whole("too short for a PCZT: the header alone is 8 bytes"),
        ParseError::NotPczt => InvalidWitness::whole("not a PCZT: expected the bytes PCZT at the start"),
        ParseError::UnknownVersion(_) => {
            InvalidWitness::whole("an unknown version of the PCZT format: expected 1 or 2")
        }
        // The decoder's own text can quote what it read, so it stops here.
        ParseError::Invalid(_) => InvalidWitness::whole("not a well-formed PCZT encoding"),
        ParseError::MissingRequiredField(path) => InvalidWitness::at(path, "is missing; every PCZT has it"),
    }
}

/// Names the field at which `resolve_fields` stopped. It goes through the actions in order and writes as it
/// goes, so this is the first field that is still left out.
fn unresolved(pczt: &Pczt) -> InvalidWitness {
    for pool in Pool::ALL {
        for (index, action) in pool.bundle(pczt).actions().iter().enumerate() {
            let (field, reason) = if action.cv_net().is_none() {
                ("cv_net", "is left out, and does not follow from the values and rcv")
            } else if action.output().cmx().is_none() {
                ("output.cmx", "is left out, and does not follow from the output's note")
            } else if matches!(action.output().enc_ciphertext(), EncCiphertext::MemoPlaintext(_)) {
                ("output.enc_ciphertext", "is left as a memo, and does not follow from the output's note")
            } else {
                continue;
            };
            return InvalidWitness::at(pool.action_path(index, field), reason);
        }
    }
    InvalidWitness::whole("leaves out a field that cannot be recomputed")
}

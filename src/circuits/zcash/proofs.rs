//! The proofs of a PCZT's bundles, and their encoding in one byte string.

use pczt::Pczt;

use crate::circuit::VerifyError;

use super::statement::{Pool, Reader, Statement, put_label, put_length};

/// One proof for each bundle of a statement, in the same order.
#[derive(Clone, PartialEq, Eq)]
pub struct BundleProofs(Vec<(Pool, Vec<u8>)>);

impl BundleProofs {
    /// Copies the proofs of the bundles that `statement` names out of a proved PCZT.
    pub(super) fn from_pczt(pczt: &Pczt, statement: &Statement) -> Option<Self> {
        statement
            .bundles
            .iter()
            .map(|bundle| Some((bundle.pool, bundle.pool.bundle(pczt).zkproof().clone()?)))
            .collect::<Option<_>>()
            .map(BundleProofs)
    }

    /// Returns the proof for a pool, if there is one.
    pub fn get(&self, pool: Pool) -> Option<&[u8]> {
        self.0.iter().find(|(owner, _)| *owner == pool).map(|(_, proof)| proof.as_slice())
    }

    /// Iterates over the pools in order.
    pub fn pools(&self) -> impl Iterator<Item = Pool> {
        self.0.iter().map(|(pool, _)| *pool)
    }

    /// Encodes the proofs: for each its pool's label, its length and its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (pool, proof) in &self.0 {
            put_label(&mut bytes, pool.label());
            put_length(&mut bytes, proof.len());
            bytes.extend_from_slice(proof);
        }
        bytes
    }

    /// Decodes the proofs. There is exactly one encoding.
    ///
    /// # Errors
    /// Fails when the bytes are not such an encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerifyError> {
        let mut reader = Reader(bytes);
        let mut proofs = Vec::new();
        // Any pools in any order, because the proofs do not know their statement. The verifier compares the
        // two.
        while !reader.0.is_empty() {
            proofs.push(next(&mut reader).ok_or(VerifyError("the proof is malformed"))?);
        }
        Ok(BundleProofs(proofs))
    }
}

impl std::fmt::Debug for BundleProofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths = self.0.iter().map(|(pool, proof)| (pool.label(), proof.len()));
        f.debug_map().entries(lengths).finish()
    }
}

fn next(reader: &mut Reader<'_>) -> Option<(Pool, Vec<u8>)> {
    let pool = reader.label(Pool::ALL, Pool::label)?;
    let length = reader.length()?;
    // Copied only after that many bytes were found: a false length allocates nothing.
    Some((pool, reader.take(length)?.to_vec()))
}

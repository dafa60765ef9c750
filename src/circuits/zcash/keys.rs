//! Proving and verifying, under either version of the Action circuit.

use getrandom::SysRng;
use pczt::roles::prover::Prover;
use rand_core::UnwrapErr;
use sha2::{Digest, Sha256};

use crate::circuit::{BuildError, Proof, ProveError, ProvingKey, VerifyError, VerifyingKey};
use crate::job::VerifyingKeyDigest;

use super::document::Document;
use super::{BundleProofs, BundleStatement, KeyVersion, Pool, Statement};

impl KeyVersion {
    /// The digest of the verifying key of this version. Pinned: a key with another digest is another
    /// circuit, and needs another circuit name.
    pub fn digest(self) -> VerifyingKeyDigest {
        VerifyingKeyDigest(match self {
            KeyVersion::FixedPostNu6_2 => [0; 32],
            KeyVersion::PostNu6_3 => [0; 32],
        })
    }

    fn of_digest(digest: VerifyingKeyDigest) -> Option<Self> {
        KeyVersion::ALL.into_iter().find(|version| version.digest() == digest)
    }
}

/// One thing for each version.
struct Each<T> {
    fixed_post_nu6_2: T,
    post_nu6_3: T,
}

impl<T> Each<T> {
    fn of(mut make: impl FnMut(KeyVersion) -> T) -> Self {
        Each { fixed_post_nu6_2: make(KeyVersion::FixedPostNu6_2), post_nu6_3: make(KeyVersion::PostNu6_3) }
    }

    fn get(&self, version: KeyVersion) -> &T {
        match version {
            KeyVersion::FixedPostNu6_2 => &self.fixed_post_nu6_2,
            KeyVersion::PostNu6_3 => &self.post_nu6_3,
        }
    }
}

/// The verifying keys of both versions.
pub(super) struct VerifyingKeys {
    keys: Each<orchard::circuit::VerifyingKey>,
    digests: Vec<(&'static str, VerifyingKeyDigest)>,
}

impl VerifyingKeys {
    pub(super) fn build() -> Result<Self, BuildError> {
        Self::new(Each::of(|version| orchard::circuit::VerifyingKey::build(version.circuit_version())))
    }

    fn new(keys: Each<orchard::circuit::VerifyingKey>) -> Result<Self, BuildError> {
        let digest = |version: KeyVersion| Ok((version.label(), digest(keys.get(version))?));
        let digests = KeyVersion::ALL.into_iter().map(digest).collect::<Result<_, _>>()?;
        Ok(VerifyingKeys { keys, digests })
    }

    fn verify_bundle(
        &self,
        version: KeyVersion,
        bundle: &BundleStatement,
        proof: &[u8],
    ) -> Result<(), VerifyError> {
        // halo2 does not look at what follows a proof.
        if proof.len() != orchard::Proof::expected_proof_size(bundle.actions.len()) {
            return Err(VerifyError("the proof is not of the length for its number of actions"));
        }
        orchard::Proof::new(proof.to_vec())
            .verify(self.keys.get(version), &bundle.instances(version)?)
            .map_err(|_| VerifyError("the proof does not hold for the public inputs"))
    }
}

impl VerifyingKey for VerifyingKeys {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        self.digests.clone()
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        let statement = Statement::from_public_inputs(&proof.public_inputs)?;
        if KeyVersion::of_digest(proof.verifying_key) != Some(statement.version) {
            return Err(VerifyError("the verifying key is not the one that the public inputs name"));
        }
        let proofs = BundleProofs::from_bytes(&proof.proof)?;
        if !proofs.pools().eq(statement.bundles.iter().map(|bundle| bundle.pool)) {
            return Err(VerifyError("the proofs are not of the bundles that the public inputs name"));
        }
        if let Some(output) = &proof.output {
            verify_output(output, &statement, &proofs)?;
        }
        for bundle in &statement.bundles {
            let bundle_proof = proofs.get(bundle.pool).ok_or(VerifyError("a bundle has no proof"))?;
            self.verify_bundle(statement.version, bundle, bundle_proof)?;
        }
        Ok(())
    }
}

/// The document holds those proofs for those inputs, nothing unproved, and no byte behind its end.
fn verify_output(output: &[u8], statement: &Statement, proofs: &BundleProofs) -> Result<(), VerifyError> {
    const OTHER: VerifyError = VerifyError("the output states something else than the public inputs");
    let Document { pczt, encoding } =
        Document::parse(output).map_err(|_| VerifyError("the output is not a PCZT"))?;
    if Pool::ALL.into_iter().any(|pool| pool.needs_proof(&pczt)) {
        return Err(VerifyError("the output lacks a proof"));
    }
    let stated = |pool| statement.bundles.iter().any(|bundle| bundle.pool == pool);
    if Statement::of(&pczt, stated).map_err(|_| OTHER)? != *statement {
        return Err(OTHER);
    }
    if BundleProofs::of(&pczt, statement).as_ref() != Some(proofs) {
        return Err(VerifyError("the output holds another proof"));
    }
    match (Document { pczt, encoding }).encode() {
        Ok(canonical) if canonical == output => Ok(()),
        _ => Err(VerifyError("the output is not in its canonical encoding")),
    }
}

/// The proving keys of both versions, and the verifying keys that belong to them.
pub(super) struct ProvingKeys {
    keys: Each<orchard::circuit::ProvingKey>,
    verifying: VerifyingKeys,
}

impl ProvingKeys {
    pub(super) fn build() -> Result<Self, BuildError> {
        let keys = Each::of(|version| orchard::circuit::ProvingKey::build(version.circuit_version()));
        let verifying = VerifyingKeys::new(Each::of(|version| keys.get(version).verifying_key()))?;
        Ok(ProvingKeys { keys, verifying })
    }
}

impl ProvingKey for ProvingKeys {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        self.verifying.verifying_keys()
    }

    fn prove(&self, witness: &[u8]) -> Result<Proof, ProveError> {
        const DECODE: ProveError = ProveError("the witness does not decode");
        const WRITE: ProveError = ProveError("the proved PCZT cannot be written");
        let Document { pczt, encoding } =
            Document::parse(witness).and_then(Document::resolve).map_err(|_| DECODE)?;
        let statement = Statement::of(&pczt, |pool| pool.needs_proof(&pczt)).map_err(|_| DECODE)?;
        let key = self.keys.get(statement.version);
        let mut prover = Prover::new(pczt);
        for bundle in &statement.bundles {
            prover = prove_bundle(prover, bundle.pool, key)?;
        }
        let pczt = prover.finish();
        let proofs = BundleProofs::of(&pczt, &statement).ok_or(WRITE)?;
        let output = (Document { pczt, encoding }).encode().map_err(|_| WRITE)?;
        Ok(Proof {
            proof: proofs.to_bytes(),
            public_inputs: statement.to_public_inputs(),
            output: Some(output),
            verifying_key: statement.version.digest(),
        })
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        self.verifying.verify(proof)
    }
}

fn prove_bundle(
    prover: Prover,
    pool: Pool,
    key: &orchard::circuit::ProvingKey,
) -> Result<Prover, ProveError> {
    // Panics without randomness from the operating system, as it must.
    let rng = UnwrapErr(SysRng);
    match pool {
        Pool::Orchard => prover
            .create_orchard_proof(rng, key)
            .map_err(|_| ProveError("the prover does not take the Orchard bundle")),
        Pool::Ironwood => prover
            .create_ironwood_proof(rng, key)
            .map_err(|_| ProveError("the prover does not take the Ironwood bundle")),
    }
}

/// SHA-256 over the 32 bytes by which halo2 itself identifies a verifying key: the representative
/// that every proof absorbs before anything else, a hash over the pinned key (its domain, its gates
/// and lookups, its fixed and permutation commitments). It cannot change without every proof on the
/// chain ceasing to verify, and nothing that a verifier relies on can change without it.
///
/// `orchard` keeps the key private, so the representative is read from what the key prints.
fn digest(key: &orchard::circuit::VerifyingKey) -> Result<VerifyingKeyDigest, BuildError> {
    const FIELD: &str = "transcript_repr: 0x";
    let printed = format!("{key:?}");
    let representative = match printed.split(FIELD).collect::<Vec<_>>()[..] {
        [_, after] => after.get(..64).and_then(|digits| hex::decode(digits).ok()),
        _ => None,
    };
    let mut bytes =
        representative.ok_or_else(|| BuildError("the verifying key does not print its hash".to_owned()))?;
    // Printed most significant byte first, absorbed least significant byte first.
    bytes.reverse();
    Ok(VerifyingKeyDigest(Sha256::digest(bytes).into()))
}

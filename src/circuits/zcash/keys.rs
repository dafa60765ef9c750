//! The keys of both versions of the Action circuit: proving and verifying.

use getrandom::SysRng;
use pczt::roles::prover::Prover;
use rand_core::UnwrapErr;

use crate::circuit::{BuildError, CheckedWitness, ProveError, ProvingKey, VerifyError, VerifyingKey};
use crate::protocol::{Proof, Sha256Digest, VerifyingKeyDigest};

use super::check::CheckedPczt;
use super::document::Document;
use super::proofs::BundleProofs;
use super::statement::{BundleStatement, KeyVersion, Pool, Statement};

impl KeyVersion {
    /// Returns the pinned digest of this version's verifying key. A circuit with another digest needs another
    /// name.
    pub fn digest(self) -> VerifyingKeyDigest {
        // Written by hand. A version of `orchard` with another circuit keeps the chamber from starting, and
        // does not prove under this name what clients have not pinned.
        let pinned = match self {
            KeyVersion::FixedPostNu6_2 => {
                "sha256:fa05766fb1ae9f4505fc129d0be5d79c39f0afc88b7b1ea7547e6c1c4a8a42b2"
            }
            KeyVersion::PostNu6_3 => {
                "sha256:65a18bfcfe29e19f6da687514beb558a171c026b8689abeba455e2a65f6bb526"
            }
        };
        // Cannot panic: the constants are digests.
        pinned.parse().expect("a digest")
    }

    fn from_digest(digest: VerifyingKeyDigest) -> Option<Self> {
        KeyVersion::ALL.into_iter().find(|version| version.digest() == digest)
    }
}

/// One value for each version.
struct ByVersion<T> {
    fixed_post_nu6_2: T,
    post_nu6_3: T,
}

impl<T> ByVersion<T> {
    fn new(mut make: impl FnMut(KeyVersion) -> T) -> Self {
        ByVersion {
            fixed_post_nu6_2: make(KeyVersion::FixedPostNu6_2),
            post_nu6_3: make(KeyVersion::PostNu6_3),
        }
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
    keys: ByVersion<orchard::circuit::VerifyingKey>,
    digests: Vec<(&'static str, VerifyingKeyDigest)>,
}

impl VerifyingKeys {
    pub(super) fn build() -> Result<Self, BuildError> {
        Self::new(ByVersion::new(|version| orchard::circuit::VerifyingKey::build(version.circuit_version())))
    }

    fn new(keys: ByVersion<orchard::circuit::VerifyingKey>) -> Result<Self, BuildError> {
        let digests = KeyVersion::ALL
            .into_iter()
            .map(|version| Ok((version.label(), digest(keys.get(version))?)))
            .collect::<Result<_, _>>()?;
        Ok(VerifyingKeys { keys, digests })
    }

    fn verify_bundle(
        &self,
        version: KeyVersion,
        bundle: &BundleStatement,
        proof: &[u8],
    ) -> Result<(), VerifyError> {
        // halo2 ignores bytes that follow a proof.
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
        // Two claims of the sender, which choose one key and so have to agree.
        if KeyVersion::from_digest(proof.verifying_key) != Some(statement.version) {
            return Err(VerifyError("the verifying key is not the one that the public inputs name"));
        }
        let proofs = BundleProofs::from_bytes(&proof.proof)?;
        // In the same order and number, so that no proof is left over that nothing verifies.
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

/// Verifies that the document holds those proofs for those inputs, nothing unproved, and no byte behind its
/// end.
fn verify_output(output: &[u8], statement: &Statement, proofs: &BundleProofs) -> Result<(), VerifyError> {
    const OTHER: VerifyError = VerifyError("the output states something else than the public inputs");
    let Document { pczt, encoding } =
        Document::parse(output).map_err(|_| VerifyError("the output is not a PCZT"))?;
    if Pool::ALL.into_iter().any(|pool| pool.needs_proof(&pczt)) {
        return Err(VerifyError("the output lacks a proof"));
    }
    let found =
        Statement::from_pczt(&pczt, |pool| statement.bundles.iter().any(|bundle| bundle.pool == pool));
    if found.map_err(|_| OTHER)? != *statement {
        return Err(OTHER);
    }
    if BundleProofs::from_pczt(&pczt, statement).as_ref() != Some(proofs) {
        return Err(VerifyError("the output holds another proof"));
    }
    // Decoding ignores bytes behind the end. Encoding again shows them.
    match (Document { pczt, encoding }).encode() {
        Ok(canonical) if canonical == output => Ok(()),
        _ => Err(VerifyError("the output is not in its canonical encoding")),
    }
}

/// The proving keys of both versions, and the verifying keys that belong to them.
pub(super) struct ProvingKeys {
    keys: ByVersion<orchard::circuit::ProvingKey>,
    verifying: VerifyingKeys,
}

impl ProvingKeys {
    pub(super) fn build() -> Result<Self, BuildError> {
        // Both versions at start: a job process inherits the keys, and building one takes seconds.
        let keys = ByVersion::new(|version| orchard::circuit::ProvingKey::build(version.circuit_version()));
        // Taken out of the proving keys, because building them again would take seconds.
        let verifying = VerifyingKeys::new(ByVersion::new(|version| keys.get(version).verifying_key()))?;
        Ok(ProvingKeys { keys, verifying })
    }
}

impl ProvingKey for ProvingKeys {
    fn verifying_keys(&self) -> Vec<(&'static str, VerifyingKeyDigest)> {
        self.verifying.verifying_keys()
    }

    fn prove(&self, witness: CheckedWitness) -> Result<Proof, ProveError> {
        const WRITE: ProveError = ProveError::Refused("the proved PCZT cannot be written");
        let (checked, public_inputs) = witness.into_parts::<CheckedPczt>()?;
        let CheckedPczt { document: Document { pczt, encoding }, statement } = *checked;
        let key = self.keys.get(statement.version);
        let mut prover = Prover::new(pczt);
        // A proof for each bundle, because the transaction has one for each. A wallet may have made one of
        // them itself.
        for bundle in &statement.bundles {
            prover = prove_bundle(prover, bundle.pool, key)?;
        }
        let pczt = prover.finish();
        let proofs = BundleProofs::from_pczt(&pczt, &statement).ok_or(WRITE)?;
        let output = (Document { pczt, encoding }).encode().map_err(|_| WRITE)?;
        Ok(Proof {
            proof: proofs.to_bytes(),
            public_inputs,
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
    // A generator in memory would repeat itself in every process forked from the same chamber. Panics when
    // the operating system has no randomness: a predictable proof would reveal the witness.
    let rng = UnwrapErr(SysRng);
    match pool {
        Pool::Orchard => prover
            .create_orchard_proof(rng, key)
            .map_err(|_| ProveError::Refused("the prover does not accept the Orchard bundle")),
        Pool::Ironwood => prover
            .create_ironwood_proof(rng, key)
            .map_err(|_| ProveError::Refused("the prover does not accept the Ironwood bundle")),
    }
}

/// Computes the SHA-256 over the 32 bytes by which halo2 itself identifies a verifying key: the
/// representative that every proof absorbs first, a hash over the pinned key (its domain, its gates and
/// lookups, its fixed and permutation commitments). If it changed, no proof on the chain would verify, and
/// nothing that a verifier relies on can change without it.
///
/// `orchard` keeps the key private, so the representative is parsed from the key's debug output.
fn digest(key: &orchard::circuit::VerifyingKey) -> Result<VerifyingKeyDigest, BuildError> {
    let mut bytes = representative(&format!("{key:?}"))
        .ok_or_else(|| BuildError("the verifying key does not print its hash".to_owned()))?;
    // Printed most significant byte first, absorbed least significant byte first.
    bytes.reverse();
    Ok(Sha256Digest::hash(&bytes))
}

fn representative(printed: &str) -> Option<[u8; 32]> {
    let (_, after) = printed.split_once("transcript_repr: 0x")?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(after.get(..64)?, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use halo2_proofs::plonk::keygen_vk;
    use halo2_proofs::poly::commitment::Params;
    use orchard::builder::SpendInfo;
    use orchard::circuit::Circuit;
    use orchard::keys::{FullViewingKey, Scope, SpendingKey};
    use orchard::note::{NoteVersion, RandomSeed, Rho};
    use orchard::tree::{MerkleHashOrchard, MerklePath};
    use orchard::value::{NoteValue, ValueCommitTrapdoor};
    use orchard::{NOTE_COMMITMENT_TREE_DEPTH as DEPTH, Note};
    use pasta_curves::{pallas, vesta};
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::circuits::zcash::TEST_ONLY_SPENDING_KEY;

    #[test]
    fn built_keys_are_the_pinned_ones() {
        let built = VerifyingKeys::build().unwrap().verifying_keys();
        let pinned = KeyVersion::ALL.map(|version| (version.label(), version.digest()));
        assert_eq!(
            built, pinned,
            "the verifying keys changed. That makes another circuit: give it a new name and leave the \
             digests of zcash-pczt-v1 as they are, or clients who pinned them are broken",
        );
    }

    /// SHA-256 over the descriptions of the pinned keys that `orchard` 0.16 publishes in its sources,
    /// `src/circuit_data/circuit_description_*`.
    const PUBLISHED: [(KeyVersion, &str); 2] = [
        (KeyVersion::FixedPostNu6_2, "e51a737b95b741a323c65b94745429f95bbbc13643198a0a7e985573bd7bcf6e"),
        (KeyVersion::PostNu6_3, "8d325ee6753c8effb7d5184bdd729255d2697dd1730c0278084cd91192020e90"),
    ];

    #[test]
    fn digests_belong_to_the_keys_that_orchard_publishes() {
        for (version, published) in PUBLISHED {
            let key = keygen_vk(&Params::<vesta::Affine>::new(11), &some_circuit(version)).unwrap();
            let description = format!("{:#?}\n", key.pinned());
            assert_eq!(hex::encode(Sha256::digest(description)), published, "{version:?}");

            let mut bytes = representative(&format!("{key:?}")).unwrap();
            bytes.reverse();
            assert_eq!(Sha256Digest::hash(&bytes), version.digest(), "{version:?}");
        }
    }

    /// Returns a circuit of the right shape. Keys do not depend on its values.
    fn some_circuit(version: KeyVersion) -> Circuit {
        let fvk = FullViewingKey::from(&SpendingKey::from_bytes(TEST_ONLY_SPENDING_KEY).unwrap());
        let recipient = fvk.address_at(0u32, Scope::External);
        let note = |rho: Rho| {
            let rseed = RandomSeed::from_bytes([1; 32], &rho).unwrap();
            Note::from_parts(recipient, NoteValue::from_raw(1), rho, rseed, NoteVersion::V2).unwrap()
        };
        let spent = note(Rho::from_bytes(&[1; 32]).unwrap());
        let created = note(Rho::from_bytes(&spent.nullifier(&fvk).to_bytes()).unwrap());
        let path = MerklePath::from_parts(0, [MerkleHashOrchard::from_bytes(&[0; 32]).unwrap(); DEPTH]);
        let spend = SpendInfo::new(fvk, spent, path).unwrap();
        let rcv = ValueCommitTrapdoor::from_bytes([1; 32]).unwrap();
        Circuit::from_action_context(spend, created, pallas::Scalar::one(), rcv, version.circuit_version())
            .unwrap()
    }
}

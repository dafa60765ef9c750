//! The statement of a proof: the public inputs of the Action circuit, for each bundle that needs a proof.
//!
//! The encoding is the circuit's own, so that a verifier needs no PCZT. Of the ten rows of the circuit's
//! instance column, the anchor and the flags are the same for every action of a bundle and are encoded once;
//! the curve points are encoded compressed and take two rows each.

use orchard::Anchor;
use orchard::bundle::{BundleVersion, Flags};
use orchard::circuit::{Instance, OrchardCircuitVersion};
use orchard::note::{ExtractedNoteCommitment, Nullifier};
use orchard::primitives::redpallas::{SpendAuth, VerificationKey};
use orchard::value::ValueCommitment;
use pczt::Pczt;
use zcash_protocol::consensus::{BranchId, OrchardProtocolRevision};

use crate::circuit::{InvalidWitness, PublicInputs, VerifyError};

/// The two value pools whose bundles this circuit proves.
// The order of the variants is the order of the bundles in an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pool {
    /// The Orchard pool.
    Orchard,
    /// The Ironwood pool, from NU6.3 on.
    Ironwood,
}

impl Pool {
    /// Both, in the order in which they are proved and encoded.
    pub const ALL: [Pool; 2] = [Pool::Orchard, Pool::Ironwood];

    /// Returns the name of the pool in encodings and in paths.
    pub fn label(self) -> &'static str {
        match self {
            Pool::Orchard => "orchard",
            Pool::Ironwood => "ironwood",
        }
    }

    pub(super) fn bundle(self, pczt: &Pczt) -> &pczt::orchard::Bundle {
        match self {
            Pool::Orchard => pczt.orchard(),
            Pool::Ironwood => pczt.ironwood(),
        }
    }

    /// Checks whether the PCZT has actions in this pool, and no proof for them.
    pub(super) fn needs_proof(self, pczt: &Pczt) -> bool {
        let bundle = self.bundle(pczt);
        !bundle.actions().is_empty() && bundle.zkproof().is_none()
    }

    pub(super) fn path(self, field: &str) -> String {
        format!("{}.{field}", self.label())
    }

    pub(super) fn action_path(self, index: usize, field: &str) -> String {
        format!("{}.actions[{index}].{field}", self.label())
    }
}

/// A version of the Action circuit that proofs are made under. The one from before NU6.2 has no name here, so
/// its key cannot be requested.
// The order of the variants is the order of the upgrades, by which versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyVersion {
    /// NU6.2: variable-base multiplication is anchored to its base.
    FixedPostNu6_2,
    /// From NU6.3: `disableCrossAddress` is enforced as well. Both pools use it.
    PostNu6_3,
}

impl KeyVersion {
    /// Both, in order.
    pub const ALL: [KeyVersion; 2] = [KeyVersion::FixedPostNu6_2, KeyVersion::PostNu6_3];

    /// Returns the name of the version in encodings and in the descriptor.
    pub fn label(self) -> &'static str {
        match self {
            KeyVersion::FixedPostNu6_2 => "fixed-post-nu6-2",
            KeyVersion::PostNu6_3 => "post-nu6-3",
        }
    }

    pub(super) fn circuit_version(self) -> OrchardCircuitVersion {
        match self {
            KeyVersion::FixedPostNu6_2 => OrchardCircuitVersion::FixedPostNu6_2,
            KeyVersion::PostNu6_3 => OrchardCircuitVersion::PostNu6_3,
        }
    }

    /// Determines the version from the consensus branch of a PCZT. It is the same for both of its bundles.
    pub(super) fn from_pczt(pczt: &Pczt) -> Result<Self, InvalidWitness> {
        let refused = |reason| InvalidWitness::at("global.consensus_branch_id", reason);
        let branch = BranchId::try_from(*pczt.global().consensus_branch_id())
            .map_err(|_| refused("is not the id of a known consensus branch"))?;
        match branch.orchard_protocol_revision() {
            None => Err(refused("is of a branch before NU5, which has no Orchard pool")),
            // In that circuit the base of a variable-base multiplication is not held equal to the point that
            // is meant, so a proof can exist for a false statement.
            Some(OrchardProtocolRevision::InsecureV1) => Err(refused(
                "is of a branch before NU6.2, whose Orchard circuit is unsound; expected NU6.2 or later",
            )),
            Some(OrchardProtocolRevision::V2) => Ok(KeyVersion::FixedPostNu6_2),
            Some(OrchardProtocolRevision::V3) => Ok(KeyVersion::PostNu6_3),
        }
    }
}

/// The statement that one PCZT needs a proof of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Version of the Action circuit, for all bundles.
    pub version: KeyVersion,
    /// Bundles that need a proof, Orchard before Ironwood.
    pub bundles: Vec<BundleStatement>,
}

/// The public inputs of one bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleStatement {
    /// Pool of the bundle.
    pub pool: Pool,
    /// Flag byte of the bundle, as in the transaction (rows 7 to 9).
    pub flags: u8,
    /// Root of the note commitment tree (row 0).
    pub anchor: [u8; 32],
    /// Actions, in order.
    pub actions: Vec<ActionInputs>,
}

/// The public inputs of one action, in the encodings that the transaction has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionInputs {
    /// Commitment to the net value (rows 1 and 2).
    pub cv_net: [u8; 32],
    /// Nullifier of the spent note (row 3).
    pub nullifier: [u8; 32],
    /// Randomised key that validates the spend's signature (rows 4 and 5).
    pub rk: [u8; 32],
    /// Commitment to the new note (row 6).
    pub cmx: [u8; 32],
}

impl Statement {
    /// Reads the statement of the bundles that `wanted` picks, in a PCZT whose compact fields are resolved.
    pub(super) fn from_pczt(pczt: &Pczt, wanted: impl Fn(Pool) -> bool) -> Result<Self, InvalidWitness> {
        let version = KeyVersion::from_pczt(pczt)?;
        let bundles = Pool::ALL
            .into_iter()
            .filter(|pool| wanted(*pool))
            .map(|pool| BundleStatement::from_pczt(pczt, pool))
            .collect::<Result<_, _>>()?;
        Ok(Statement { version, bundles })
    }

    /// Encodes the statement as public inputs.
    pub fn to_public_inputs(&self) -> PublicInputs {
        let mut bytes = Vec::new();
        put_label(&mut bytes, self.version.label());
        for bundle in &self.bundles {
            put_label(&mut bytes, bundle.pool.label());
            bytes.push(bundle.flags);
            bytes.extend_from_slice(&bundle.anchor);
            put_length(&mut bytes, bundle.actions.len());
            for ActionInputs { cv_net, nullifier, rk, cmx } in &bundle.actions {
                for field in [cv_net, nullifier, rk, cmx] {
                    bytes.extend_from_slice(field);
                }
            }
        }
        PublicInputs(bytes)
    }

    /// Decodes a statement from public inputs. There is exactly one encoding of each statement.
    ///
    /// # Errors
    /// Fails when the bytes are not such an encoding.
    pub fn from_public_inputs(inputs: &PublicInputs) -> Result<Self, VerifyError> {
        const MALFORMED: VerifyError = VerifyError("the public inputs are malformed");
        let mut reader = Reader(&inputs.0);
        let version = reader.label(KeyVersion::ALL, KeyVersion::label).ok_or(MALFORMED)?;
        let mut bundles: Vec<BundleStatement> = Vec::new();
        while !reader.0.is_empty() {
            let bundle = reader.bundle().ok_or(MALFORMED)?;
            // A pool that comes twice, or out of order, would be a second encoding of the statement.
            if bundles.last().is_some_and(|last| last.pool >= bundle.pool) {
                return Err(MALFORMED);
            }
            bundles.push(bundle);
        }
        // A statement about no bundle would hold without any proof.
        if bundles.is_empty() {
            return Err(MALFORMED);
        }
        Ok(Statement { version, bundles })
    }
}

impl BundleStatement {
    fn from_pczt(pczt: &Pczt, pool: Pool) -> Result<Self, InvalidWitness> {
        let bundle = pool.bundle(pczt);
        let missing = |path| InvalidWitness::at(path, "is missing; the prover needs it");
        let anchor = bundle.anchor().ok_or_else(|| missing(pool.path("anchor")))?;
        let mut actions = Vec::with_capacity(bundle.actions().len());
        for (index, action) in bundle.actions().iter().enumerate() {
            actions.push(ActionInputs {
                cv_net: action.cv_net().ok_or_else(|| missing(pool.action_path(index, "cv_net")))?,
                nullifier: *action.spend().nullifier(),
                rk: *action.spend().rk(),
                cmx: action.output().cmx().ok_or_else(|| missing(pool.action_path(index, "output.cmx")))?,
            });
        }
        Ok(BundleStatement { pool, flags: *bundle.flags(), anchor, actions })
    }

    /// Returns the rules by which a flag byte of this bundle is decoded, if the pool exists in that version.
    pub(super) fn bundle_version(&self, version: KeyVersion) -> Option<BundleVersion> {
        match (self.pool, version) {
            (Pool::Orchard, KeyVersion::FixedPostNu6_2) => Some(BundleVersion::orchard_v2()),
            (Pool::Orchard, KeyVersion::PostNu6_3) => Some(BundleVersion::orchard_v3()),
            (Pool::Ironwood, KeyVersion::FixedPostNu6_2) => None,
            (Pool::Ironwood, KeyVersion::PostNu6_3) => Some(BundleVersion::ironwood_v3()),
        }
    }

    /// Decodes the instance of each action, as the verifier takes it.
    pub(super) fn instances(&self, version: KeyVersion) -> Result<Vec<Instance>, VerifyError> {
        let bundle_version =
            self.bundle_version(version).ok_or(VerifyError("the circuit version has no Ironwood pool"))?;
        // The same bit is reserved in one pool and means something in the other, so both pool and version
        // decide.
        let flags = Flags::from_byte(self.flags, bundle_version)
            .ok_or(VerifyError("a public input is not a valid flag byte"))?;
        let anchor = Anchor::from_bytes(self.anchor)
            .into_option()
            .ok_or(VerifyError("a public input is not a valid anchor"))?;
        let instances = self.actions.iter().map(|action| action.instance(anchor, flags));
        instances.collect::<Option<_>>().ok_or(VerifyError("a public input is not a valid encoding"))
    }
}

impl ActionInputs {
    fn instance(&self, anchor: Anchor, flags: Flags) -> Option<Instance> {
        let cv_net = ValueCommitment::from_bytes(&self.cv_net).into_option()?;
        let nullifier = Nullifier::from_bytes(&self.nullifier).into_option()?;
        let rk = VerificationKey::<SpendAuth>::try_from(self.rk).ok()?;
        let cmx = ExtractedNoteCommitment::from_bytes(&self.cmx).into_option()?;
        Instance::from_parts(anchor, cv_net, nullifier, rk, cmx, flags)
    }
}

/// Appends a label: one length byte, then that many bytes of ASCII.
pub(super) fn put_label(bytes: &mut Vec<u8>, label: &str) {
    // Cannot panic: labels are short constants.
    bytes.push(u8::try_from(label.len()).expect("a short label"));
    bytes.extend_from_slice(label.as_bytes());
}

/// Appends a length: four bytes, little-endian.
pub(super) fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // Cannot panic: the size of a message bounds every length.
    let length = u32::try_from(length).expect("a length below 2^32");
    bytes.extend_from_slice(&length.to_le_bytes());
}

/// The bytes that are left to read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn length(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    /// Reads a label, and returns the value of `all` that has it.
    pub(super) fn label<T: Copy>(
        &mut self,
        all: impl IntoIterator<Item = T>,
        label: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let length = usize::from(*self.take(1)?.first()?);
        let read = self.take(length)?;
        all.into_iter().find(|one| label(*one).as_bytes() == read)
    }

    fn field(&mut self) -> Option<[u8; 32]> {
        self.take(32)?.try_into().ok()
    }

    fn bundle(&mut self) -> Option<BundleStatement> {
        let pool = self.label(Pool::ALL, Pool::label)?;
        let flags = *self.take(1)?.first()?;
        let anchor = self.field()?;
        let count = self.length()?;
        // Memory is not reserved ahead of reading: the count may be wrong.
        let actions = (0..count).map(|_| self.action()).collect::<Option<Vec<_>>>()?;
        (!actions.is_empty()).then_some(BundleStatement { pool, flags, anchor, actions })
    }

    fn action(&mut self) -> Option<ActionInputs> {
        Some(ActionInputs {
            cv_net: self.field()?,
            nullifier: self.field()?,
            rk: self.field()?,
            cmx: self.field()?,
        })
    }
}

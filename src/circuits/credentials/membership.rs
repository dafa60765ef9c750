//! `membership-v1`: a member of a group signals once per occasion, without revealing which member it is.
//!
//! The prover knows `secret`, an index and 32 siblings such that
//! - `identity` = Poseidon(`"sealprove identity"`, `secret`, 0),
//! - the path from `identity` at that index through those siblings ends in `root`, each node being
//!   Poseidon(left, right),
//! - `nullifier` = Poseidon(`"sealprove nullifier"`, `secret`, `external_nullifier`).
//!
//! Public inputs, each a field element in 32 bytes, little-endian, canonical:
//!
//! | row | name | meaning |
//! |---|---|---|
//! | 0 | `root` | the group: the root of its tree of depth 32 |
//! | 1 | `nullifier` | the same for the same member and the same occasion; otherwise unlinkable |
//! | 2 | `external_nullifier` | the occasion, such as one ballot: [`ExternalNullifier::new`] of its name |
//! | 3 | `signal_hash` | the member's message: [`SignalHash::new`] of the signal |
//!
//! A verifier compares root, external nullifier and signal hash with its own, and refuses a nullifier that it
//! has seen before. The signal takes part in no equation: the circuit only holds a cell equal to its row. A
//! proof is made for one instance column and fails for any other, so it cannot be carried to another signal.
//!
//! **Domain separation.** A node has two inputs, an identity and a nullifier have three, and the number of
//! inputs is in the capacity element; identity and nullifier differ by their tag. So neither a node nor a
//! nullifier is a leaf, and a published nullifier reveals nothing about the leaf.
//!
//! The constraints are in `circuit.rs`.

use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use zeroize::Zeroizing;

use super::poseidon;
use crate::circuit::halo2::json::{self, Hex};
use crate::circuit::halo2::{Base, Element, Halo2Circuit, Limits, SecretElement, read_instance};
use crate::circuit::{InvalidWitness, PublicInputs, VerifyError};
use crate::secret::Witness;

mod group;
mod opening;

mod circuit;

#[cfg(test)]
mod tests;

pub use group::{DEPTH, Group, GroupFull, Path};

use circuit::Member;
use opening::{Opening, Step, commitment, nullifier};

// A document has 35 field elements of 68 characters each. The rest is room for names and white space.
const WITNESS_BYTES_MAX: u32 = 4096;

/// A member's secret. Wiped on drop; prints only the name of its type.
#[derive(Debug)]
pub struct Identity(SecretElement);

impl Identity {
    /// Draws a new identity from the operating system.
    ///
    /// # Panics
    /// Panics when the operating system has no randomness: a predictable secret would be worse.
    pub fn random() -> Self {
        Identity(SecretElement::random())
    }

    /// Restores an identity that its owner has stored. See [`Identity::secret`].
    pub fn from_secret(secret: SecretElement) -> Self {
        Identity(secret)
    }

    /// Returns the secret itself, for its owner to store.
    pub fn secret(&self) -> &SecretElement {
        &self.0
    }

    /// Returns the leaf that stands for this identity in a group. Public.
    pub fn commitment(&self) -> Element {
        Element(commitment(*self.0.expose()))
    }

    /// Returns the nullifier that a proof of this identity shows on that occasion.
    pub fn nullifier(&self, occasion: ExternalNullifier) -> Element {
        Element(nullifier(*self.0.expose(), occasion.0.0))
    }
}

/// An occasion on which a member may signal once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalNullifier(pub Element);

impl ExternalNullifier {
    /// Hashes the name of an occasion: SHA-512 under a label of its own, reduced to the field.
    pub fn new(occasion: &[u8]) -> Self {
        ExternalNullifier(Element::hash("sealprove external nullifier", occasion))
    }
}

/// The hash of a member's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalHash(pub Element);

impl SignalHash {
    /// Hashes a signal: SHA-512 under a label of its own, reduced to the field.
    pub fn new(signal: &[u8]) -> Self {
        SignalHash(Element::hash("sealprove signal", signal))
    }
}

/// Writes the witness that `identity` stands at `path` and signals `signal` on that occasion.
pub fn witness(
    identity: &Identity,
    path: &Path,
    external_nullifier: ExternalNullifier,
    signal: SignalHash,
) -> Witness {
    let document = Document {
        secret: Hex(*identity.0.expose()),
        index: path.index,
        path: path.siblings.map(|sibling| Hex(sibling.0)),
        external_nullifier: Hex(external_nullifier.0.0),
        signal_hash: Hex(signal.0.0),
    };
    json::write(&document, WITNESS_BYTES_MAX)
}

/// The statement of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Root of the group.
    pub root: Element,
    /// The member's mark on this occasion.
    pub nullifier: Element,
    /// Occasion.
    pub external_nullifier: ExternalNullifier,
    /// Hash of the member's message.
    pub signal_hash: SignalHash,
}

impl Statement {
    /// Reads the public inputs of a proof. Does not verify the proof.
    ///
    /// # Errors
    /// Fails when they do not encode such a statement.
    pub fn from_public_inputs(public_inputs: &PublicInputs) -> Result<Self, VerifyError> {
        let [root, nullifier, external_nullifier, signal_hash] =
            read_instance::<Membership>(public_inputs)?.map(Element);
        Ok(Statement {
            root,
            nullifier,
            external_nullifier: ExternalNullifier(external_nullifier),
            signal_hash: SignalHash(signal_hash),
        })
    }
}

/// The circuit `membership-v1`.
#[derive(Debug, Clone, Copy)]
pub struct Membership;

impl Halo2Circuit for Membership {
    const ID: &'static str = "membership-v1";
    const SUMMARY: &'static str = "a member of a group, unnamed, signals once per occasion";
    const VERIFYING_KEY: &'static str =
        "sha256:731e590194a029290826c3bdf4e1eea46122a4bea2810e434d56c2b1ba81ceb3";
    // 32 levels of 43 rows each need more than 2^10 rows.
    const K: u32 = 11;
    const LIMITS: Limits = Limits { witness_bytes_max: WITNESS_BYTES_MAX, ..Limits::DEFAULT };
    type Witness = Opening;
    type Circuit = Member;
    type Instance = [Base; 4];

    fn schema() -> Option<serde_json::Value> {
        Some(schema_for!(Document).to_value())
    }

    fn sample() -> Vec<u8> {
        // Cannot panic: the numbers are below the modulus, and three of 2^32 places are taken.
        let members =
            [1, 2, 3].map(|byte| Identity(SecretElement::from_bytes(&[byte; 32]).expect("a field element")));
        let mut group = Group::new();
        group.append_all(members.iter().map(Identity::commitment)).expect("a free place");
        let path = group.path(1).expect("the second of three members");
        let occasion = ExternalNullifier::new(b"sample occasion");
        witness(&members[1], &path, occasion, SignalHash::new(b"sample signal")).expose().to_vec()
    }

    fn decode(witness: &[u8]) -> Result<Opening, InvalidWitness> {
        // Root and nullifier are not read but computed: with wrong ones the proof would not verify, and the
        // client would not learn the reason.
        const NAMES: [&str; 5] = ["secret", "index", "path", "external_nullifier", "signal_hash"];
        let [secret, index, path, external_nullifier, signal_hash] = json::fields(witness, NAMES)?;
        let index = index.number()?;
        // The siblings tell which member it is, so this copy is wiped like the secret.
        let siblings = Zeroizing::new(path.elements::<DEPTH>()?);
        Ok(Opening {
            secret: secret.element()?,
            steps: std::array::from_fn(|level| Step {
                sibling: siblings[level],
                turn: Base::from(u64::from(index >> level & 1)),
            }),
            external_nullifier: external_nullifier.element()?,
            signal_hash: signal_hash.element()?,
        })
    }

    fn instance(opening: &Opening) -> [Base; 4] {
        // The circuit computes the same in its cells. If the two differed anywhere, no proof would verify.
        let root = opening.steps.iter().fold(commitment(opening.secret), |node, step| {
            let (left, right) = step.order(node);
            poseidon::node(left, right)
        });
        let nullifier = nullifier(opening.secret, opening.external_nullifier);
        [root, nullifier, opening.external_nullifier, opening.signal_hash]
    }

    fn circuit(opening: Opening) -> Member {
        Member(Some(opening))
    }
}

/// The witness of one proof, as it is sealed. No name is written with an escape.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Witness of membership-v1", deny_unknown_fields)]
struct Document {
    /// The identity's secret.
    secret: Hex,
    /// Where the identity's commitment stands among the leaves, counted from 0.
    #[schemars(range(max = 4_294_967_295u32))]
    index: u32,
    /// The siblings on the way from the leaf to the root, the leaf's own first.
    path: [Hex; DEPTH],
    /// The occasion.
    external_nullifier: Hex,
    /// What the member says, hashed.
    signal_hash: Hex,
}

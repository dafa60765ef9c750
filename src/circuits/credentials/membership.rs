//! `membership-v1`: a member of a group signals once per occasion, and nobody learns which member.
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
//! | 2 | `external_nullifier` | the occasion, such as one ballot: [`ExternalNullifier::of`] its name |
//! | 3 | `signal_hash` | what the member says: [`SignalHash::of`] the signal |
//!
//! A verifier compares root, external nullifier and signal hash with its own, and refuses a nullifier
//! that it has seen. The signal takes part in no equation: the circuit only holds a cell equal to its row.
//! A proof is made for one instance column and fails for any other, so it cannot be carried to another
//! signal.
//!
//! **Hashes that cannot be confused.** A node has two inputs, an identity and a nullifier have three,
//! and the number of inputs is in the capacity element; identity and nullifier differ by their tag. So
//! a node is no leaf, a nullifier is no leaf, and publishing a nullifier says nothing of the leaf.
//!
//! The constraints are in `circuit.rs`.

use std::time::Duration;

use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::json::{Fields, Hex};
use super::{Base, Element, SecretElement, json, keys, poseidon};
use crate::circuit::{
    BuildError, Circuit, Descriptor, InvalidWitness, ProvingKey, PublicInputs, VerifyError, VerifyingKey,
};
use crate::secret::Witness;

mod circuit;
mod group;

#[cfg(test)]
mod tests;

pub use group::{Group, GroupFull, Path};

/// Pinned. Another verifying key is another circuit, with another name.
const VERIFYING_KEY: &str = "sha256:731e590194a029290826c3bdf4e1eea46122a4bea2810e434d56c2b1ba81ceb3";
const WITNESS_BYTES_MAX: u32 = 4096;

/// Depth of the tree: a group has room for 2^32 members.
pub const DEPTH: usize = 32;

/// What an identity is tagged with.
const IDENTITY: Base = poseidon::tag("sealprove identity");
/// What a nullifier is tagged with.
const NULLIFIER: Base = poseidon::tag("sealprove nullifier");

/// A member's secret. Wiped when dropped, printed as a name.
#[derive(Debug)]
pub struct Identity(SecretElement);

impl Identity {
    /// Draws a new identity from the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness: nothing that follows would be safe.
    pub fn random() -> Self {
        Identity(SecretElement::random())
    }

    /// An identity that its owner has stored. See [`Identity::secret`].
    pub fn from_secret(secret: SecretElement) -> Self {
        Identity(secret)
    }

    /// The secret itself, to be stored by its owner.
    pub fn secret(&self) -> &SecretElement {
        &self.0
    }

    /// The leaf that stands for this identity in a group. Public.
    pub fn commitment(&self) -> Element {
        Element(commitment(*self.0.expose()))
    }

    /// What a proof of this identity shows on that occasion.
    pub fn nullifier(&self, occasion: ExternalNullifier) -> Element {
        Element(nullifier(*self.0.expose(), occasion.0.0))
    }
}

fn commitment(secret: Base) -> Base {
    poseidon::tagged(IDENTITY, secret, Base::zero())
}

fn nullifier(secret: Base, external_nullifier: Base) -> Base {
    poseidon::tagged(NULLIFIER, secret, external_nullifier)
}

/// The occasion on which a member may signal once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalNullifier(pub Element);

impl ExternalNullifier {
    /// The occasion of that name: SHA-512 under a label of its own, reduced to the field.
    pub fn of(occasion: &[u8]) -> Self {
        ExternalNullifier(Element::hash("sealprove external nullifier", occasion))
    }
}

/// What a member says, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalHash(pub Element);

impl SignalHash {
    /// The hash of that signal: SHA-512 under a label of its own, reduced to the field.
    pub fn of(signal: &[u8]) -> Self {
        SignalHash(Element::hash("sealprove signal", signal))
    }
}

/// The witness that `identity` stands at `path` and says `signal` on that occasion.
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

/// What a proof states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The root of the group.
    pub root: Element,
    /// The member's mark on this occasion.
    pub nullifier: Element,
    /// The occasion.
    pub external_nullifier: ExternalNullifier,
    /// What the member says.
    pub signal_hash: SignalHash,
}

impl Statement {
    /// Reads the public inputs of a proof. Says nothing of the proof.
    ///
    /// # Errors
    /// When they are not the encoding of such a statement.
    pub fn from_public_inputs(public_inputs: &PublicInputs) -> Result<Self, VerifyError> {
        let rows = keys::decode(public_inputs, <Membership as keys::Halo2Circuit>::PUBLIC_INPUTS)?;
        let row = |index: usize| Element(rows[index]);
        Ok(Statement {
            root: row(circuit::ROOT_ROW),
            nullifier: row(circuit::NULLIFIER_ROW),
            external_nullifier: ExternalNullifier(row(circuit::EXTERNAL_NULLIFIER_ROW)),
            signal_hash: SignalHash(row(circuit::SIGNAL_HASH_ROW)),
        })
    }
}

/// The circuit `membership-v1`.
#[derive(Debug, Clone, Copy)]
pub struct Membership;

impl Circuit for Membership {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: "membership-v1".parse().expect("Cannot panic: a literal circuit name"),
            summary: "a member of a group, unnamed, signals once per occasion",
            media_type: "application/json",
            schema: Some(schema_for!(Document).to_value()),
            output_media_type: None,
            verifying_keys: vec![(
                keys::LABEL,
                VERIFYING_KEY.parse().expect("Cannot panic: a literal digest"),
            )],
            witness_bytes_max: WITNESS_BYTES_MAX,
            answer_bytes_max: keys::ANSWER_BYTES_MAX,
            time_limit: Duration::from_secs(60),
            memory_bytes: 64 << 20,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<PublicInputs, InvalidWitness> {
        keys::check::<Self>(witness)
    }

    fn sample_witness(&self) -> Vec<u8> {
        let secret = |byte| SecretElement::from_bytes(&[byte; 32]).expect("Cannot panic: below the modulus");
        let members = [1, 2, 3].map(|byte| Identity(secret(byte)));
        let mut group = Group::new();
        group
            .append_all(members.iter().map(Identity::commitment))
            .expect("Cannot panic: three of 2^32 places");
        let path = group.path(1).expect("Cannot panic: the second of three members");
        let occasion = ExternalNullifier::of(b"sample occasion");
        witness(&members[1], &path, occasion, SignalHash::of(b"sample signal")).expose().to_vec()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        Ok(Box::new(keys::Verifier::<Self>::build()?))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        Ok(Box::new(keys::Prover::<Self>::build()?))
    }
}

impl keys::Halo2Circuit for Membership {
    const K: u32 = 11;
    const PROOF_BYTES: usize = 2464;
    const PUBLIC_INPUTS: usize = 4;
    type Synthesis = circuit::Member;

    fn open(witness: &[u8]) -> Result<(circuit::Member, Vec<Base>), InvalidWitness> {
        let opening = Opening::read(witness)?;
        let instance = opening.instance();
        Ok((circuit::Member(Some(opening)), instance))
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

/// The values of a witness. Turns are field elements here, as the circuit takes them: what makes them
/// 0 or 1 is the circuit.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Opening {
    secret: Base,
    steps: [Step; DEPTH],
    external_nullifier: Base,
    signal_hash: Base,
}

/// One level of a path.
#[derive(Clone, Copy, Zeroize)]
struct Step {
    sibling: Base,
    /// 1 if the path comes from the right.
    turn: Base,
}

impl Opening {
    fn read(witness: &[u8]) -> Result<Self, InvalidWitness> {
        const NAMES: [&str; 5] = ["secret", "index", "path", "external_nullifier", "signal_hash"];
        let fields = Fields::read(witness, WITNESS_BYTES_MAX, &NAMES)?;
        let index = fields.number("index")?;
        let siblings = Zeroizing::new(fields.elements::<DEPTH>("path")?);
        Ok(Opening {
            secret: fields.element("secret")?,
            steps: std::array::from_fn(|level| Step {
                sibling: siblings[level],
                turn: Base::from(u64::from(index >> level & 1)),
            }),
            external_nullifier: fields.element("external_nullifier")?,
            signal_hash: fields.element("signal_hash")?,
        })
    }

    /// The public inputs, in the order of their rows.
    fn instance(&self) -> Vec<Base> {
        let root = self.steps.iter().fold(commitment(self.secret), |node, step| {
            let (left, right) = step.order(node);
            poseidon::node(left, right)
        });
        let nullifier = nullifier(self.secret, self.external_nullifier);
        vec![root, nullifier, self.external_nullifier, self.signal_hash]
    }
}

impl Step {
    /// Left and right child, of which `node` is one.
    fn order(&self, node: Base) -> (Base, Base) {
        let move_by = self.turn * (self.sibling - node);
        (node + move_by, self.sibling - move_by)
    }
}

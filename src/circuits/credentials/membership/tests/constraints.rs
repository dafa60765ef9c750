//! One wrong assignment for each constraint of `membership-v1`, which that constraint alone refuses.

use std::collections::BTreeSet;

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{self, ConstraintSystem, Error};

use super::super::circuit::{Config, Member};
use super::super::opening::{IDENTITY, NULLIFIER, Opening, Step, commitment, nullifier};
use super::super::{Base, DEPTH, Membership, poseidon};
use super::PROOF_BYTES;
use crate::circuit::halo2::Halo2Circuit as _;
use crate::circuits::credentials::conformance;
use crate::circuits::credentials::tamper::{self, Cells};

/// Those that stand once for each level.
const AT_EACH_LEVEL: &[&str] = &[
    "turn is 0 or 1",
    "left is the node, or the sibling after a turn",
    "right is the other one",
    "the node comes from the level below",
    "the parent hashes left",
    "the parent hashes right",
];

/// Those that stand once. The gates of Poseidon, its padding and its initial state are halo2_gadgets'
/// own.
const ONCE: &[&str] = &[
    "the identity hashes the secret",
    "the identity hashes 0",
    "the identity hashes its tag",
    "the nullifier hashes the same secret",
    "the nullifier hashes the external nullifier",
    "the nullifier hashes its tag",
    "row 0 is the root",
    "row 1 is the nullifier",
    "row 2 is the external nullifier",
    "row 3 is the signal hash",
];

const K: u32 = Membership::K;

/// Failures at the inputs and at the result of a hash. A broken copy is reported at two links of its cycle of
/// equal cells, on either side of the wrong cell.
const TAGGED_INPUT: &str = "copy [add input for domain ConstantLength<3>@1]";
const NODE_INPUT: &str = "copy [add input for domain ConstantLength<2>@1]";
const HASH_OUTPUT: &str = "copy [permute state@36]";

/// An assignment, and the failures of the one constraint that refuses it.
struct Case {
    constraint: &'static str,
    circuit: Member,
    instance: Vec<Base>,
    faults: Cells,
    failures: Vec<String>,
}

impl Case {
    /// Creates a case of `opening` and its own instance.
    fn new(constraint: &'static str, opening: Opening) -> Self {
        let instance = Membership::instance(&opening).to_vec();
        let circuit = Member(Some(opening));
        Case { constraint, circuit, instance, faults: Cells::new(), failures: Vec::new() }
    }

    fn faults(mut self, faults: impl IntoIterator<Item = (String, Base)>) -> Self {
        self.faults.extend(faults);
        self
    }

    fn instance(mut self, row: usize, value: Base) -> Self {
        self.instance[row] = value;
        self
    }

    fn fails(mut self, failures: &[&str]) -> Self {
        self.failures = failures.iter().map(|failure| (*failure).to_owned()).collect();
        self
    }

    fn assert(&self) {
        let found = tamper::failures(K, &self.circuit, &self.instance, &self.faults);
        assert_eq!(found, self.failures.iter().cloned().collect(), "{}", self.constraint);
        assert!(!found.is_empty(), "{}", self.constraint);
    }
}

/// Returns an opening that turns left and right in alternation.
fn honest() -> Opening {
    Opening {
        secret: Base::from(11),
        steps: std::array::from_fn(|level| Step {
            sibling: Base::from(1000 + level as u64),
            turn: Base::from(level as u64 % 2),
        }),
        external_nullifier: Base::from(21),
        signal_hash: Base::from(31),
    }
}

fn turning(level: usize, turn: u64) -> Opening {
    let mut opening = honest();
    opening.steps[level].turn = Base::from(turn);
    opening
}

fn above(node: Base, steps: &[Step]) -> Base {
    steps.iter().fold(node, |node, step| {
        let (left, right) = step.order(node);
        poseidon::node(left, right)
    })
}

/// A circuit of the way up alone, from a chosen node at a chosen level.
struct Climb<'a> {
    level: usize,
    node: Base,
    steps: &'a [Step; DEPTH],
}

impl Climb<'_> {
    fn cells(&self) -> Cells {
        tamper::only(&tamper::cells(K, self, 1), &["swap ", "level "])
    }

    fn root(&self) -> Base {
        above(self.node, &self.steps[self.level..])
    }
}

impl plonk::Circuit<Base> for Climb<'_> {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Climb { ..*self }
    }

    fn configure(meta: &mut ConstraintSystem<Base>) -> Config {
        <Member as plonk::Circuit<Base>>::configure(meta)
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Base>) -> Result<(), Error> {
        let mut node = config.assign(&mut layouter, "start", Value::known(self.node))?;
        for level in self.level..DEPTH {
            node = config.parent(&mut layouter, level, &node, Value::known(self.steps[level]))?;
        }
        Ok(())
    }
}

#[test]
fn an_honest_assignment_is_taken() {
    let instance = Membership::instance(&honest());
    assert_eq!(tamper::failures(K, &Member(Some(honest())), &instance, &Cells::new()), BTreeSet::new());
}

#[test]
fn at_each_level_each_constraint_alone_refuses_some_assignment() {
    for level in 0..DEPTH {
        let cases = at_level(level);
        cases.iter().for_each(Case::assert);
        assert_eq!(cases.map(|case| case.constraint), AT_EACH_LEVEL);
    }
}

#[test]
fn each_other_constraint_alone_refuses_some_assignment() {
    let cases: Vec<Case> =
        [identity_hash(), nullifier_hash(), public_inputs()].into_iter().flatten().collect();
    cases.iter().for_each(Case::assert);
    assert_eq!(cases.iter().map(|case| case.constraint).collect::<Vec<_>>(), ONCE);
}

#[test]
fn the_document_has_these_constraints_the_key_and_the_sample() {
    let document = include_str!("../../../../../docs/circuits/membership-v1.md");
    for wanted in AT_EACH_LEVEL.iter().chain(ONCE).chain(&[Membership::VERIFYING_KEY]) {
        assert!(document.contains(wanted), "{wanted}");
    }
    let sample: serde_json::Value = serde_json::from_slice(&Membership::sample()).unwrap();
    for field in ["/secret", "/path/0", "/path/1", "/external_nullifier", "/signal_hash"] {
        let wanted = sample.pointer(field).unwrap().to_string();
        assert!(document.contains(&wanted), "{field}: {wanted}");
    }
    assert!(document.contains(&format!("{} bytes", PROOF_BYTES)));
}

#[test]
fn no_proof_comes_of_a_turn_that_is_no_bit() {
    let opening = turning(3, 2);
    let instance = Membership::instance(&opening);
    let circuit = Member(Some(opening));
    conformance::no_proof_comes_of_a_wrong_assignment::<Membership>(&circuit, &instance, PROOF_BYTES);
}

#[test]
fn no_proof_comes_of_a_root_that_the_path_does_not_reach() {
    let mut instance = Membership::instance(&honest());
    instance[0] += Base::one();
    let circuit = Member(Some(honest()));
    conformance::no_proof_comes_of_a_wrong_assignment::<Membership>(&circuit, &instance, PROOF_BYTES);
}

/// Whatever single cell is changed, something notices: no cell is free. Of the hashes, whose regions
/// are all alike, one is gone through.
#[test]
fn no_advice_cell_is_free() {
    let circuit = Member(Some(honest()));
    let instance = Membership::instance(&honest());
    let mut cells = tamper::cells(K, &circuit, 1);
    cells.retain(|name, _| {
        let of_a_hash = name.contains("/hash/") || name.contains("/init/");
        !of_a_hash || name.starts_with("level 7/")
    });
    assert!(cells.len() > 300);
    for (name, value) in cells {
        let fault = Cells::from([(name.clone(), value + Base::one())]);
        assert_ne!(tamper::failures(K, &circuit, &instance, &fault), BTreeSet::new(), "{name}");
    }
}

fn at_level(level: usize) -> [Case; 6] {
    let [is_a_bit, left, right] =
        [AT_EACH_LEVEL[0], AT_EACH_LEVEL[1], AT_EACH_LEVEL[2]].map(|c| format!("swap: {c} [swap {level}@0]"));
    let cell = |name: &str| format!("swap {level}: {name}");
    let other_sibling = honest().steps[level].sibling + Base::one();
    [
        Case::new(AT_EACH_LEVEL[0], turning(level, 2)).fails(&[&is_a_bit]),
        // Left and right as after five turns, and said to be after none.
        Case::new(AT_EACH_LEVEL[1], turning(level, 5)).faults([(cell("turn"), Base::zero())]).fails(&[&left]),
        Case::new(AT_EACH_LEVEL[2], turning(level, 0))
            .faults([(cell("sibling"), other_sibling)])
            .fails(&[&right]),
        other_node(level),
        other_child(level, 0, AT_EACH_LEVEL[4]),
        other_child(level, 1, AT_EACH_LEVEL[5]),
    ]
}

/// From this level on, the path of another node.
fn other_node(level: usize) -> Case {
    let opening = honest();
    let node = above(commitment(opening.secret), &opening.steps[..level]) + Base::one();
    let climb = Climb { level, node, steps: &opening.steps };
    let (cells, root) = (climb.cells(), climb.root());
    Case::new(AT_EACH_LEVEL[3], opening)
        .faults(cells)
        .instance(0, root)
        .fails(&[HASH_OUTPUT, &format!("copy [swap {level}@0]")])
}

/// The swap is honest. The hash, and all that is above it, is of another node: on the left if there
/// is no turn, on the right if there is.
fn other_child(level: usize, turn: u64, constraint: &'static str) -> Case {
    let opening = turning(level, turn);
    let node = above(commitment(opening.secret), &opening.steps[..level]) + Base::one();
    let climb = Climb { level, node, steps: &opening.steps };
    let (mut cells, root) = (climb.cells(), climb.root());
    cells.retain(|name, _| !name.starts_with(&format!("swap {level}: ")));
    Case::new(constraint, opening)
        .faults(cells)
        .instance(0, root)
        .fails(&[NODE_INPUT, &format!("copy [swap {level}@1]")])
}

/// The hash is an honest one, of something else; the path goes up from it.
fn identity_hash() -> Vec<Case> {
    let case = |constraint, tag, inputs: [Base; 2], failures: &[&str]| {
        let opening = honest();
        let node = poseidon::tagged(tag, inputs[0], inputs[1]);
        let climb = Climb { level: 0, node, steps: &opening.steps };
        let (cells, root) = (climb.cells(), climb.root());
        Case::new(constraint, opening)
            .faults(cells)
            .faults(tamper::tagged_cells("identity", tag, inputs))
            .instance(0, root)
            .fails(failures)
    };
    let (secret, one) = (honest().secret, Base::one());
    let zero_is_one = [("identity/zero: zero".to_owned(), one)];
    vec![
        case(ONCE[0], IDENTITY, [secret + one, Base::zero()], &[TAGGED_INPUT]),
        case(ONCE[1], IDENTITY, [secret, one], &["copy [Fixed row 0]", TAGGED_INPUT]).faults(zero_is_one),
        case(ONCE[2], IDENTITY + one, [secret, Base::zero()], &["copy [Fixed row 1]", TAGGED_INPUT]),
    ]
}

/// The hash is an honest one, of something else.
fn nullifier_hash() -> Vec<Case> {
    let case = |constraint, tag, inputs: [Base; 2], failures: &[&str]| {
        Case::new(constraint, honest())
            .faults(tamper::tagged_cells("nullifier", tag, inputs))
            .instance(1, poseidon::tagged(tag, inputs[0], inputs[1]))
            .fails(failures)
    };
    let Opening { secret, external_nullifier: occasion, .. } = &honest();
    let (secret, occasion, one) = (*secret, *occasion, Base::one());
    assert_eq!(Membership::instance(&honest())[1], nullifier(secret, occasion));
    vec![
        case(ONCE[3], NULLIFIER, [secret + one, occasion], &["copy [secret@0]", TAGGED_INPUT]),
        case(ONCE[4], NULLIFIER, [secret, occasion + one], &["copy [external nullifier@0]", TAGGED_INPUT]),
        case(ONCE[5], NULLIFIER + one, [secret, occasion], &["copy [Fixed row 101]", TAGGED_INPUT]),
    ]
}

fn public_inputs() -> Vec<Case> {
    let case = |row: usize, cell: &str| {
        Case::new(ONCE[6 + row], honest())
            .instance(row, Base::one())
            .fails(&[&format!("copy [Instance row {row}]"), cell])
    };
    vec![case(0, HASH_OUTPUT), case(1, HASH_OUTPUT), case(2, TAGGED_INPUT), case(3, "copy [signal hash@0]")]
}

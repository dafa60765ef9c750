//! One wrong assignment for each constraint of `threshold-v1`, which that constraint alone refuses.

use std::collections::BTreeSet;

use super::super::circuit::{AtLeast, WINDOWS};
use super::super::{Base, COMMITMENT, Opening, Threshold, poseidon};
use super::PROOF_BYTES;
use crate::circuit::halo2::Halo2Circuit as _;
use crate::circuits::credentials::conformance;
use crate::circuits::credentials::tamper::{self, Cells};

/// All of them. The gates of Poseidon, its padding and its initial state are halo2_gadgets' own.
const CONSTRAINTS: &[&str] = &[
    "value = threshold + difference",
    "every window of a running sum is 0, 1, 2 or 3",
    "the running sum of the value starts at the value",
    "the running sum of the threshold starts at the threshold",
    "the running sum of the difference starts at the difference",
    "the running sum of the value ends in 0",
    "the running sum of the threshold ends in 0",
    "the running sum of the difference ends in 0",
    "the commitment hashes the value",
    "the commitment hashes the blinding",
    "the commitment hashes its tag",
    "row 0 is the commitment",
    "row 1 is the threshold",
];

const K: u32 = Threshold::K;

/// Failure at an input of a hash. A broken copy is reported at two links of its cycle of equal cells, on
/// either side of the wrong cell.
const HASH_INPUT: &str = "copy [add input for domain ConstantLength<3>@1]";

/// An assignment, and the failures of the one constraint that refuses it.
struct Case {
    constraint: &'static str,
    circuit: AtLeast,
    instance: Vec<Base>,
    faults: Cells,
    failures: Vec<String>,
}

impl Case {
    /// Creates a case of `circuit` and its own instance.
    fn new(constraint: &'static str, circuit: AtLeast) -> Self {
        let instance = instance(&circuit);
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
}

fn at_least(value: Base, threshold: Base) -> AtLeast {
    AtLeast(Some(Opening { value, blinding: Base::from(9), threshold }))
}

fn instance(circuit: &AtLeast) -> Vec<Base> {
    Threshold::instance(circuit.0.as_ref().unwrap()).to_vec()
}

/// Returns an honest assignment in which no window of value, threshold and difference is 0.
fn honest() -> AtLeast {
    at_least(Base::from(u64::MAX), Base::from(0x5555_5555_5555_5555))
}

/// Returns another honest assignment: value, threshold and difference all differ.
fn other() -> AtLeast {
    at_least(Base::from(1_000_000), Base::from(1_000))
}

fn two_to_the_64() -> Base {
    Base::from_raw([0, 1, 0, 0])
}

#[test]
fn honest_assignments_are_taken() {
    for circuit in [honest(), other()] {
        assert_eq!(tamper::failures(K, &circuit, &instance(&circuit), &Cells::new()), BTreeSet::new());
    }
}

#[test]
fn each_constraint_alone_refuses_some_assignment() {
    let cases: Vec<Case> = [ordering(), windows(), sums_start(), sums_end(), commitment(), public_inputs()]
        .into_iter()
        .flatten()
        .collect();
    let mut covered = BTreeSet::new();
    for Case { constraint, circuit, instance, faults, failures } in &cases {
        let found = tamper::failures(K, circuit, instance, faults);
        assert_eq!(found, failures.iter().cloned().collect(), "{constraint}");
        assert!(!found.is_empty(), "{constraint}");
        covered.insert(*constraint);
    }
    assert_eq!(covered, CONSTRAINTS.iter().copied().collect());
    assert_eq!(cases.len(), 11 + 3 * WINDOWS + 1);
}

#[test]
fn the_document_has_these_constraints_the_key_and_the_sample() {
    let document = include_str!("../../../../../docs/circuits/threshold-v1.md");
    for wanted in CONSTRAINTS.iter().chain(&[Threshold::VERIFYING_KEY]) {
        assert!(document.contains(wanted), "{wanted}");
    }
    let sample = String::from_utf8(Threshold::sample()).unwrap();
    assert!(document.contains(&sample), "{sample}");
    assert!(document.contains(&format!("{} bytes", PROOF_BYTES)));
}

#[test]
fn no_proof_comes_of_a_number_that_is_too_long() {
    for (_, circuit) in too_long() {
        let instance = instance(&circuit);
        conformance::no_proof_comes_of_a_wrong_assignment::<Threshold>(&circuit, &instance, PROOF_BYTES);
    }
}

/// Whatever single cell is changed, something notices: no cell is free.
#[test]
fn no_advice_cell_is_free() {
    let circuit = honest();
    let cells = tamper::cells(K, &circuit, 1);
    assert!(cells.len() > 300);
    for (name, value) in cells {
        let fault = Cells::from([(name.clone(), value + Base::one())]);
        assert_ne!(tamper::failures(K, &circuit, &instance(&circuit), &fault), BTreeSet::new(), "{name}");
    }
}

/// The difference and its running sum are another number's.
fn ordering() -> Vec<Case> {
    let faults =
        tamper::only(&tamper::cells(K, &other(), 1), &["ordering: difference", "range of difference: "]);
    vec![
        Case::new("value = threshold + difference", honest())
            .faults(faults)
            .fails(&["ordering: value = threshold + difference [ordering@0]"]),
    ]
}

/// A window that is four too large, the next one less by one; at the end, what is left over is
/// dropped.
fn windows() -> Vec<Case> {
    const CONSTRAINT: &str = "every window of a running sum is 0, 1, 2 or 3";
    let failure = |name: &str, at: usize| format!("two bits: window is 0, 1, 2 or 3 [range of {name}@{at}]");
    let cells = tamper::cells(K, &honest(), 1);
    let mut cases = Vec::new();
    for (name, too_long) in too_long() {
        for at in 0..WINDOWS - 1 {
            let cell = format!("range of {name}: z_{}", at + 1);
            let less = cells[&cell] - Base::one();
            cases.push(Case::new(CONSTRAINT, honest()).faults([(cell, less)]).fails(&[&failure(name, at)]));
        }
        let last = format!("range of {name}: z_{WINDOWS}");
        cases.push(
            Case::new(CONSTRAINT, too_long)
                .faults([(last, Base::zero())])
                .fails(&[&failure(name, WINDOWS - 1)]),
        );
    }
    cases
}

/// Assignments in which only that number does not have 64 bits: a value of 2^64, a threshold of -1, a
/// difference of -1, which is a value just below its threshold.
fn too_long() -> [(&'static str, AtLeast); 3] {
    [
        ("value", at_least(two_to_the_64(), Base::from(1 << 63))),
        ("threshold", at_least(Base::from(7), -Base::one())),
        ("difference", at_least(Base::from(49_999), Base::from(50_000))),
    ]
}

/// The running sum is another number's.
fn sums_start() -> Vec<Case> {
    let other = tamper::cells(K, &other(), 1);
    let case = |constraint, region: &str, failures: &[&str]| {
        Case::new(constraint, honest()).faults(tamper::only(&other, &[region])).fails(failures)
    };
    vec![
        case(
            "the running sum of the value starts at the value",
            "range of value: ",
            &[HASH_INPUT, "copy [range of value@0]"],
        ),
        case(
            "the running sum of the threshold starts at the threshold",
            "range of threshold: ",
            &["copy [Instance row 1]", "copy [range of threshold@0]"],
        ),
        case(
            "the running sum of the difference starts at the difference",
            "range of difference: ",
            &["copy [ordering@0]", "copy [range of difference@0]"],
        ),
    ]
}

/// Numbers that are too long, with honest running sums.
fn sums_end() -> Vec<Case> {
    const NAMES: [&str; 3] = [
        "the running sum of the value ends in 0",
        "the running sum of the threshold ends in 0",
        "the running sum of the difference ends in 0",
    ];
    let case = |(row, (name, circuit)): (usize, (&str, AtLeast))| {
        let (end, zero) = (format!("copy [range of {name}@32]"), format!("copy [Fixed row {row}]"));
        Case::new(NAMES[row], circuit).fails(&[&end, &zero])
    };
    too_long().into_iter().enumerate().map(case).collect()
}

/// The hash is an honest one, of something else.
fn commitment() -> Vec<Case> {
    let honest_circuit = honest();
    let opening = honest_circuit.0.as_ref().unwrap();
    let (value, blinding) = (opening.value, opening.blinding);
    let other_tag = COMMITMENT + Base::one();
    let case = |constraint, tag, inputs: [Base; 2], failures: &[&str]| {
        Case::new(constraint, honest())
            .faults(tamper::tagged_cells("commitment", tag, inputs))
            .instance(0, poseidon::tagged(tag, inputs[0], inputs[1]))
            .fails(failures)
    };
    vec![
        case(
            "the commitment hashes the value",
            COMMITMENT,
            [value + Base::one(), blinding],
            &[HASH_INPUT, "copy [ordering@0]"],
        ),
        case(
            "the commitment hashes the blinding",
            COMMITMENT,
            [value, blinding + Base::one()],
            &[HASH_INPUT, "copy [ordering@1]"],
        ),
        case(
            "the commitment hashes its tag",
            other_tag,
            [value, blinding],
            &["copy [Fixed row 3]", HASH_INPUT],
        ),
    ]
}

fn public_inputs() -> Vec<Case> {
    vec![
        Case::new("row 0 is the commitment", honest())
            .instance(0, Base::one())
            .fails(&["copy [Instance row 0]", "copy [permute state@36]"]),
        Case::new("row 1 is the threshold", honest())
            .instance(1, Base::one())
            .fails(&["copy [Instance row 1]", "copy [ordering@0]"]),
    ]
}

//! For tests: any circuit of the family, with chosen cells set to wrong values.
//!
//! A wrapper stands between the circuit and the layouter. It learns the name and value of every advice
//! cell, and may hand the layouter another value, while the circuit goes on computing with its own. So
//! a test needs no hook in a circuit, and reaches the cells of gadgets too. Splicing the cells of
//! several honest runs gives an assignment that is wrong in one place only.
//!
//! A cell is called `namespaces/region: annotation`, such as `swap 3: left`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use halo2_proofs::circuit::layouter::RegionLayouter;
use halo2_proofs::circuit::{AssignedCell, Cell, Layouter, Region, SimpleFloorPlanner, Table, Value};
use halo2_proofs::dev::{FailureLocation, MockProver, VerifyFailure};
use halo2_proofs::plonk::{
    Advice, Assigned, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, Selector,
};

use super::poseidon::Poseidon;
use crate::circuit::halo2::Base;

/// Advice cells by name.
pub(super) type Cells = BTreeMap<String, Base>;

/// Returns every advice cell that the circuit assigns.
pub(super) fn cells<C: Circuit<Base>>(k: u32, circuit: &C, instance_columns: usize) -> Cells {
    let no_faults = Cells::new();
    let tampered = Tampered::new(circuit, &no_faults);
    MockProver::run(k, &tampered, vec![vec![]; instance_columns]).unwrap();
    tampered.seen.into_inner()
}

/// Returns what the constraint system refuses in the circuit's assignment with `faults` in it: a gate as
/// `gate: constraint [region@offset]`, a copy as `copy [region@offset]`, one for each broken link.
pub(super) fn failures<C: Circuit<Base>>(
    k: u32,
    circuit: &C,
    instance: &[Base],
    faults: &Cells,
) -> BTreeSet<String> {
    let tampered = Tampered::new(circuit, faults);
    let prover = MockProver::run(k, &tampered, vec![instance.to_vec()]).unwrap();
    let seen = tampered.seen.into_inner();
    for name in faults.keys() {
        assert!(seen.contains_key(name), "there is no cell {name:?}");
    }
    prover.verify().err().unwrap_or_default().iter().map(describe).collect()
}

/// Returns the cells whose names begin with one of `prefixes`.
pub(super) fn only(cells: &Cells, prefixes: &[&str]) -> Cells {
    let wanted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let chosen: Cells =
        cells.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), *value)).collect();
    assert!(!chosen.is_empty(), "no cell begins with any of {prefixes:?}");
    chosen
}

/// Returns the cells of `Poseidon::tagged` over chosen values, under the name of that namespace.
pub(super) fn tagged_cells(namespace: &'static str, tag: Base, inputs: [Base; 2]) -> Cells {
    let hash = Tagged { namespace, tag, inputs };
    only(&cells(7, &hash, 0), &[&format!("{namespace}/")])
}

fn describe(failure: &VerifyFailure) -> String {
    match failure {
        VerifyFailure::ConstraintNotSatisfied { constraint, location, .. } => {
            let names = constraint.to_string();
            match quoted(&names)[..] {
                [constraint, gate] => format!("{gate}: {constraint} [{}]", place(location)),
                [gate] => format!("{gate} [{}]", place(location)),
                _ => panic!("an unexpected name of a constraint: {names}"),
            }
        }
        VerifyFailure::Permutation { column, location: FailureLocation::OutsideRegion { row } } => {
            format!("copy [{} row {row}]", quoted(&column.to_string())[0])
        }
        VerifyFailure::Permutation { location, .. } => format!("copy [{}]", place(location)),
        other => format!("{other}"),
    }
}

fn place(location: &FailureLocation) -> String {
    match location {
        FailureLocation::InRegion { region, offset } => {
            format!("{}@{offset}", quoted(&region.to_string())[0])
        }
        FailureLocation::OutsideRegion { row } => format!("row {row}"),
    }
}

/// Returns the parts in quotes. halo2 keeps the names of gates and regions private, but prints them in quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}

/// One tagged hash and nothing else.
struct Tagged {
    namespace: &'static str,
    tag: Base,
    inputs: [Base; 2],
}

impl Circuit<Base> for Tagged {
    type Config = Poseidon;
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Tagged { ..*self }
    }

    fn configure(meta: &mut ConstraintSystem<Base>) -> Poseidon {
        Poseidon::configure(meta)
    }

    fn synthesize(&self, poseidon: Poseidon, mut layouter: impl Layouter<Base>) -> Result<(), Error> {
        let [a, b, _] = poseidon.state();
        let inputs: [AssignedCell<Base, Base>; 2] = layouter.assign_region(
            || "inputs",
            |mut region| {
                Ok([
                    region.assign_advice(|| "first", a, 0, || Value::known(self.inputs[0]))?,
                    region.assign_advice(|| "second", b, 0, || Value::known(self.inputs[1]))?,
                ])
            },
        )?;
        poseidon.tagged(layouter.namespace(|| self.namespace), self.tag, inputs).map(|_| ())
    }
}

/// A circuit with other values in some of its cells.
struct Tampered<'a, C> {
    circuit: &'a C,
    faults: &'a Cells,
    seen: RefCell<Cells>,
}

impl<'a, C> Tampered<'a, C> {
    fn new(circuit: &'a C, faults: &'a Cells) -> Self {
        Tampered { circuit, faults, seen: RefCell::default() }
    }
}

impl<C: Circuit<Base>> Circuit<Base> for Tampered<'_, C> {
    type Config = C::Config;
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        unreachable!("the simple floor planner measures with the witness in place")
    }

    fn configure(meta: &mut ConstraintSystem<Base>) -> C::Config {
        C::configure(meta)
    }

    fn synthesize(&self, config: C::Config, layouter: impl Layouter<Base>) -> Result<(), Error> {
        let namespaces = Vec::new();
        let layouter = Meddler { layouter, namespaces, faults: self.faults, seen: &self.seen };
        self.circuit.synthesize(config, layouter)
    }
}

struct Meddler<'a, L> {
    layouter: L,
    namespaces: Vec<String>,
    faults: &'a Cells,
    seen: &'a RefCell<Cells>,
}

impl<L: Layouter<Base>> Layouter<Base> for Meddler<'_, L> {
    type Root = Self;

    fn assign_region<A, AR, N, NR>(&mut self, name: N, mut assignment: A) -> Result<AR, Error>
    where
        A: FnMut(Region<'_, Base>) -> Result<AR, Error>,
        N: Fn() -> NR,
        NR: Into<String>,
    {
        let path = [&self.namespaces[..], &[name().into()]].concat().join("/");
        let (faults, seen) = (self.faults, self.seen);
        self.layouter.assign_region(name, |region| {
            let mut region = MeddlerRegion { region, path: &path, faults, seen };
            let region: &mut dyn RegionLayouter<Base> = &mut region;
            assignment(region.into())
        })
    }

    fn assign_table<A, N, NR>(&mut self, name: N, assignment: A) -> Result<(), Error>
    where
        A: FnMut(Table<'_, Base>) -> Result<(), Error>,
        N: Fn() -> NR,
        NR: Into<String>,
    {
        self.layouter.assign_table(name, assignment)
    }

    fn constrain_instance(&mut self, cell: Cell, column: Column<Instance>, row: usize) -> Result<(), Error> {
        self.layouter.constrain_instance(cell, column, row)
    }

    fn get_root(&mut self) -> &mut Self {
        self
    }

    fn push_namespace<NR, N>(&mut self, name: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
        self.namespaces.push(name().into());
    }

    fn pop_namespace(&mut self, _gadget: Option<String>) {
        self.namespaces.pop();
    }
}

#[derive(Debug)]
struct MeddlerRegion<'a, 'r> {
    region: Region<'r, Base>,
    path: &'a str,
    faults: &'a Cells,
    seen: &'a RefCell<Cells>,
}

impl RegionLayouter<Base> for MeddlerRegion<'_, '_> {
    fn assign_advice<'v>(
        &'v mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        column: Column<Advice>,
        offset: usize,
        to: &'v mut (dyn FnMut() -> Value<Assigned<Base>> + 'v),
    ) -> Result<Cell, Error> {
        let name = format!("{}: {}", self.path, annotation());
        let (faults, seen) = (self.faults, self.seen);
        let meddle = || {
            to().map(|own| {
                let repeated = seen.borrow_mut().insert(name.clone(), own.evaluate());
                assert_eq!(repeated, None, "two cells are called {name:?}");
                faults.get(&name).map_or(own, |wrong| Assigned::from(*wrong))
            })
        };
        self.region.assign_advice(annotation, column, offset, meddle).map(|cell| cell.cell())
    }

    fn assign_advice_from_constant<'v>(
        &'v mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        column: Column<Advice>,
        offset: usize,
        constant: Assigned<Base>,
    ) -> Result<Cell, Error> {
        let cell = self.assign_advice(annotation, column, offset, &mut || Value::known(constant))?;
        self.constrain_constant(cell, constant)?;
        Ok(cell)
    }

    fn enable_selector<'v>(
        &'v mut self,
        _annotation: &'v (dyn Fn() -> String + 'v),
        selector: &Selector,
        offset: usize,
    ) -> Result<(), Error> {
        selector.enable(&mut self.region, offset)
    }

    fn assign_advice_from_instance<'v>(
        &mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        instance: Column<Instance>,
        row: usize,
        advice: Column<Advice>,
        offset: usize,
    ) -> Result<(Cell, Value<Base>), Error> {
        let cell = self.region.assign_advice_from_instance(annotation, instance, row, advice, offset)?;
        Ok((cell.cell(), cell.value().copied()))
    }

    fn instance_value(&mut self, instance: Column<Instance>, row: usize) -> Result<Value<Base>, Error> {
        self.region.instance_value(instance, row)
    }

    fn assign_fixed<'v>(
        &'v mut self,
        annotation: &'v (dyn Fn() -> String + 'v),
        column: Column<Fixed>,
        offset: usize,
        to: &'v mut (dyn FnMut() -> Value<Assigned<Base>> + 'v),
    ) -> Result<Cell, Error> {
        self.region.assign_fixed(annotation, column, offset, to).map(|cell| cell.cell())
    }

    fn constrain_constant(&mut self, cell: Cell, constant: Assigned<Base>) -> Result<(), Error> {
        self.region.constrain_constant(cell, constant)
    }

    fn constrain_equal(&mut self, left: Cell, right: Cell) -> Result<(), Error> {
        self.region.constrain_equal(left, right)
    }
}

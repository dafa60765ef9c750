//! A program with a circuit of its own: the whole of `sealprove`, and the statement "I know two factors,
//! neither of them 1, of this public number".
//!
//!     cargo run --example own_circuit -- dev
//!     cargo run --example own_circuit -- sample factors-v1 > witness.json
//!     cargo run --example own_circuit -- submit factors-v1 witness.json --wait --json
//!
//! `Gates` is an ordinary halo2 circuit. `Factors` is what `sealprove` needs to know of it, item by item as
//! the documentation of `sealprove::circuit::halo2` explains them.

use ff::Field;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    self, Advice, Column, ConstraintSystem, Constraints, Error, Expression, Instance, Selector,
};
use halo2_proofs::poly::Rotation;
use schemars::{JsonSchema, schema_for};
use sealprove::circuit::halo2::{Base, Halo2Circuit, halo2_proofs, json};
use sealprove::circuit::{Circuits, InvalidWitness};
use serde::Deserialize;

/// Wipes freed memory: a chamber starts with no other allocator.
#[global_allocator]
static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;

fn main() -> std::process::ExitCode {
    sealprove::main(Circuits::new().with(Factors))
}

/// The circuit `factors-v1`.
struct Factors;

impl Halo2Circuit for Factors {
    const ID: &'static str = "factors-v1";
    const SUMMARY: &'static str = "a public number has two factors, neither of them 1";
    const VERIFYING_KEY: &'static str =
        "sha256:cc4624888bd6fb3de028878c85c185e676e801cb8143154f6fb159fdf63e082d";
    const K: u32 = 4;
    type Witness = Witness;
    type Circuit = Gates;
    type Instance = [Base; 1];

    fn schema() -> Option<serde_json::Value> {
        Some(schema_for!(Witness).to_value())
    }

    fn sample() -> Vec<u8> {
        br#"{"a":641,"b":6700417}"#.to_vec()
    }

    fn decode(witness: &[u8]) -> Result<Witness, InvalidWitness> {
        let witness: Witness = json::read(witness)?;
        for (path, factor) in [("a", witness.a), ("b", witness.b)] {
            if factor == 1 {
                return Err(InvalidWitness::at(path, "is 1, which is a factor of every number"));
            }
        }
        Ok(witness)
    }

    fn instance(witness: &Witness) -> [Base; 1] {
        [Base::from(u64::from(witness.a) * u64::from(witness.b))]
    }

    fn circuit(witness: Witness) -> Gates {
        let [a, b] = [witness.a, witness.b].map(|factor| Value::known(Base::from(u64::from(factor))));
        Gates { a, b }
    }
}

/// The witness: two factors. Their product is public.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Witness {
    a: u32,
    b: u32,
}

/// `a · b = product`, and `(a − 1) · a_inverse = 1`, `(b − 1) · b_inverse = 1`: neither factor is 1.
#[derive(Default)]
struct Gates {
    a: Value<Base>,
    b: Value<Base>,
}

impl plonk::Circuit<Base> for Gates {
    type Config = ([Column<Advice>; 5], Column<Instance>, Selector);
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Self::default()
    }

    fn configure(meta: &mut ConstraintSystem<Base>) -> Self::Config {
        let advice = [(); 5].map(|()| meta.advice_column());
        let (instance, selector) = (meta.instance_column(), meta.selector());
        meta.enable_equality(advice[2]);
        meta.enable_equality(instance);
        meta.create_gate("two factors, neither of them 1", |meta| {
            let [a, b, product, a_inverse, b_inverse] =
                advice.map(|column| meta.query_advice(column, Rotation::cur()));
            let one = Expression::Constant(Base::ONE);
            let constraints = [
                ("product", a.clone() * b.clone() - product),
                ("a is not 1", (a - one.clone()) * a_inverse - one.clone()),
                ("b is not 1", (b - one.clone()) * b_inverse - one),
            ];
            Constraints::with_selector(meta.query_selector(selector), constraints)
        });
        (advice, instance, selector)
    }

    fn synthesize(&self, config: Self::Config, mut layouter: impl Layouter<Base>) -> Result<(), Error> {
        let (advice, instance, selector) = config;
        let [a_inverse, b_inverse] = [self.a, self.b]
            .map(|factor| (factor - Value::known(Base::ONE)).map(|x| x.invert().unwrap_or(x)));
        let product = layouter.assign_region(
            || "factors",
            |mut region| {
                selector.enable(&mut region, 0)?;
                for (column, value) in [(0, self.a), (1, self.b), (3, a_inverse), (4, b_inverse)] {
                    region.assign_advice(|| "factor", advice[column], 0, || value)?;
                }
                region.assign_advice(|| "product", advice[2], 0, || self.a * self.b)
            },
        )?;
        layouter.constrain_instance(product.cell(), instance, 0)
    }
}

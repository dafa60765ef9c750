//! A circuit of your own, in a service of your own.
//!
//! The statement: "I know two factors, neither of them 1, of this public number." The whole of `sealprove`
//! comes with it:
//!
//!     cargo run --example own_circuit -- dev
//!     cargo run --example own_circuit -- sample factors-v1 > witness.json
//!     cargo run --example own_circuit -- submit factors-v1 witness.json --wait --json
//!
//! The gates are in `FactorsCircuit`; everything after it fits the circuit to `sealprove::circuit::Circuit`.

use std::process::ExitCode;
use std::time::Duration;

use ff::{Field, PrimeField};
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    self, Advice, Column, ConstraintSystem, Constraints, Error, Expression, Instance, Selector,
    SingleVerifier,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::commitment::Params;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255};
use pasta_curves::{pallas, vesta};
use rand_core::UnwrapErr;
use schemars::JsonSchema;
use sealprove::circuit::{
    BuildError, Circuit, Circuits, Descriptor, InvalidWitness, Proof, ProveError, ProvingKey, PublicInputs,
    VerifyError, VerifyingKey,
};
use sealprove::protocol::Sha256Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The circuit has 2^4 rows.
const K: u32 = 4;
/// Written by hand. Another circuit has another digest, and then needs another name: clients pin it.
const VERIFYING_KEY: &str = "sha256:cc4624888bd6fb3de028878c85c185e676e801cb8143154f6fb159fdf63e082d";

/// What is freed is wiped: a chamber starts with no other allocator.
#[global_allocator]
static ALLOCATOR: sealprove::chamber::WipingAllocator = sealprove::chamber::WipingAllocator;

fn main() -> ExitCode {
    sealprove::main(Circuits::new().with(Factors))
}

/// The witness: two factors. The product is public.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Witness {
    a: u32,
    b: u32,
}

/// `a · b = product`, and `(a − 1) · a_inverse = 1`, `(b − 1) · b_inverse = 1`: neither factor is 1.
#[derive(Clone, Default)]
struct FactorsCircuit {
    a: Value<pallas::Base>,
    b: Value<pallas::Base>,
}

#[derive(Clone)]
struct Config {
    advice: [Column<Advice>; 5],
    instance: Column<Instance>,
    selector: Selector,
}

impl plonk::Circuit<pallas::Base> for FactorsCircuit {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;

    fn without_witnesses(&self) -> Self {
        Self::default()
    }

    fn configure(meta: &mut ConstraintSystem<pallas::Base>) -> Config {
        let advice = [(); 5].map(|()| meta.advice_column());
        let (instance, selector) = (meta.instance_column(), meta.selector());
        meta.enable_equality(advice[2]);
        meta.enable_equality(instance);
        meta.create_gate("two factors, neither of them 1", |meta| {
            let selector = meta.query_selector(selector);
            let [a, b, product, a_inverse, b_inverse] =
                advice.map(|column| meta.query_advice(column, Rotation::cur()));
            let one = Expression::Constant(pallas::Base::ONE);
            Constraints::with_selector(
                selector,
                [
                    ("product", a.clone() * b.clone() - product),
                    ("a is not 1", (a - one.clone()) * a_inverse - one.clone()),
                    ("b is not 1", (b - one.clone()) * b_inverse - one),
                ],
            )
        });
        Config { advice, instance, selector }
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<pallas::Base>) -> Result<(), Error> {
        let inverse = |factor: Value<pallas::Base>| {
            factor.map(|factor| (factor - pallas::Base::ONE).invert().unwrap_or(pallas::Base::ZERO))
        };
        let cells = [self.a, self.b, self.a * self.b, inverse(self.a), inverse(self.b)];
        let product = layouter.assign_region(
            || "factors",
            |mut region| {
                config.selector.enable(&mut region, 0)?;
                let mut assigned = Vec::new();
                for (column, value) in config.advice.iter().zip(cells) {
                    assigned.push(region.assign_advice(|| "cell", *column, 0, || value)?);
                }
                Ok(assigned[2].cell())
            },
        )?;
        layouter.constrain_instance(product, config.instance, 0)
    }
}

/// The circuit as sealprove sees it: bytes in, bytes out.
struct Factors;

/// Decodes a witness. Errors say where, never what.
fn decode(witness: &[u8]) -> Result<Witness, InvalidWitness> {
    let decoded: Witness = serde_json::from_slice(witness)
        .map_err(|_| InvalidWitness::whole("expected {\"a\": number, \"b\": number}, both below 2^32"))?;
    for (path, factor) in [("a", decoded.a), ("b", decoded.b)] {
        if factor == 1 {
            return Err(InvalidWitness::at(path, "a factor of 1 proves nothing"));
        }
    }
    Ok(decoded)
}

/// One row: the product.
fn instance(witness: &Witness) -> pallas::Base {
    pallas::Base::from(u64::from(witness.a)) * pallas::Base::from(u64::from(witness.b))
}

fn digest(key: &plonk::VerifyingKey<vesta::Affine>) -> Sha256Digest {
    Sha256Digest(Sha256::digest(format!("{:#?}", key.pinned())).into())
}

fn build_error(error: Error) -> BuildError {
    BuildError(error.to_string())
}

impl Circuit for Factors {
    fn descriptor(&self) -> Descriptor {
        Descriptor {
            id: "factors-v1".parse().expect("a circuit's name"),
            summary: "a public number has two factors, neither of them 1",
            media_type: "application/json",
            schema: serde_json::to_value(schemars::schema_for!(Witness)).ok(),
            output_media_type: None,
            verifying_keys: vec![("main", VERIFYING_KEY.parse().expect("a digest"))],
            witness_bytes_max: 256,
            answer_bytes_max: 8192,
            time_limit: Duration::from_secs(10),
            memory_bytes: 64 << 20,
        }
    }

    fn check(&self, witness: &[u8]) -> Result<PublicInputs, InvalidWitness> {
        Ok(PublicInputs(instance(&decode(witness)?).to_repr().to_vec()))
    }

    fn sample_witness(&self) -> Vec<u8> {
        br#"{"a":641,"b":6700417}"#.to_vec()
    }

    fn build_verifying_key(&self) -> Result<Box<dyn VerifyingKey>, BuildError> {
        let params = Params::new(K);
        let key = plonk::keygen_vk(&params, &FactorsCircuit::default()).map_err(build_error)?;
        Ok(Box::new(Verifier { params, key }))
    }

    fn build_proving_key(&self) -> Result<Box<dyn ProvingKey>, BuildError> {
        let params: Params<vesta::Affine> = Params::new(K);
        let empty = FactorsCircuit::default();
        let verifying_key = plonk::keygen_vk(&params, &empty).map_err(build_error)?;
        let key = plonk::keygen_pk(&params, verifying_key.clone(), &empty).map_err(build_error)?;
        Ok(Box::new(Prover { key, verifier: Verifier { params, key: verifying_key } }))
    }
}

struct Verifier {
    params: Params<vesta::Affine>,
    key: plonk::VerifyingKey<vesta::Affine>,
}

struct Prover {
    key: plonk::ProvingKey<vesta::Affine>,
    verifier: Verifier,
}

impl ProvingKey for Prover {
    fn verifying_keys(&self) -> Vec<(&'static str, Sha256Digest)> {
        self.verifier.verifying_keys()
    }

    fn prove(&self, witness: &[u8]) -> Result<Proof, ProveError> {
        let witness = decode(witness).map_err(|_| ProveError("the witness was not checked"))?;
        let product = instance(&witness);
        let factor = |factor: u32| Value::known(pallas::Base::from(u64::from(factor)));
        let circuit = FactorsCircuit { a: factor(witness.a), b: factor(witness.b) };
        let mut transcript = Blake2bWrite::<_, _, Challenge255<_>>::init(vec![]);
        // Randomness from the operating system only: a generator in memory would be the same after every fork.
        let mut rng = UnwrapErr(getrandom::SysRng);
        plonk::create_proof(
            &self.verifier.params,
            &self.key,
            &[circuit],
            &[&[&[product]]],
            &mut rng,
            &mut transcript,
        )
        .map_err(|_| ProveError("the prover returned an error"))?;
        Ok(Proof {
            proof: transcript.finalize(),
            public_inputs: PublicInputs(product.to_repr().to_vec()),
            output: None,
            verifying_key: digest(&self.verifier.key),
        })
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        self.verifier.verify(proof)
    }
}

impl VerifyingKey for Verifier {
    fn verifying_keys(&self) -> Vec<(&'static str, Sha256Digest)> {
        vec![("main", digest(&self.key))]
    }

    fn verify(&self, proof: &Proof) -> Result<(), VerifyError> {
        let repr = proof
            .public_inputs
            .0
            .as_slice()
            .try_into()
            .map_err(|_| VerifyError("one public input of 32 bytes"))?;
        let product: Option<pallas::Base> = pallas::Base::from_repr(repr).into();
        let product = product.ok_or(VerifyError("a public input is not canonical"))?;
        let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(&proof.proof[..]);
        let strategy = SingleVerifier::new(&self.params);
        plonk::verify_proof(&self.params, &self.key, strategy, &[&[&[product]]], &mut transcript)
            .map_err(|_| VerifyError("the proof does not hold for this number"))
    }
}

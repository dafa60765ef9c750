//! The control of `tests/leaks`: a program that does what a job process does, with the system's allocator, in
//! one process that lives on, and with no thought for what it leaves behind. The scan must find something.
//!
//! Its arguments are a scheme, and files: a private key, what the seal is bound to, and the sealed job. It says `opened` and
//! then `proved`, and waits for a line each time.

use std::error::Error;

use sealprove::circuit::Circuits;
use sealprove::protocol::{Scheme, open};
use sealprove::secret::PrivateKey;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scheme, key, info, payload] = &arguments[..] else { return Err("a scheme and three files".into()) };
    work(scheme.parse()?, &std::fs::read(key)?, &std::fs::read(info)?, &std::fs::read(payload)?)?;
    pause("proved")
}

/// Says how far it is, and waits.
fn pause(at: &str) -> Result<(), Box<dyn Error>> {
    println!("{at}");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn work(scheme: Scheme, key: &[u8], info: &[u8], payload: &[u8]) -> Result<(), Box<dyn Error>> {
    let circuits = Circuits::built_in();
    let circuit = circuits.get(&"threshold-v1".parse()?).ok_or("no such circuit")?;
    let proving_key = circuit.build_proving_key()?;
    let witness = unseal(scheme, key, info, payload)?;
    pause("opened")?;
    let proof = proving_key.prove(circuit.check(&witness)?)?;
    proving_key.verify(&proof)?;
    Ok(())
}

fn unseal(scheme: Scheme, key: &[u8], info: &[u8], payload: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let private = PrivateKey::fill(|bytes| key.try_into().map(|key: &[u8; 32]| *bytes = *key))?;
    Ok(open(scheme, &private, info, payload)?.witness.expose().to_vec())
}

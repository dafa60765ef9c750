//! A back end: submits a witness, waits for the answer, opens it and verifies the proof.
//!
//! It needs the feature `client`, and that of the circuit's family to verify:
//!
//! ```text
//! sealprove dev                                           (in another shell; prints broker and identity)
//! sealprove sample threshold-v1 > witness.json
//! cargo run --no-default-features --features client,credentials --example backend -- BROKER IDENTITY witness.json
//! ```

use sealprove::circuit::Circuits;
use sealprove::client::{Client, Collected, SubmitOptions, Verifier};
use sealprove::config::{ClientConfig, NatsConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [broker, identity, witness] = [1, 2, 3].map(|n| std::env::args().nth(n).unwrap_or_default());
    let config = ClientConfig {
        nats: NatsConfig { url: broker, ..NatsConfig::default() },
        identity: Some(identity.parse()?), // pinned: only its bundles are accepted
        ..ClientConfig::default()
    };
    let client = Client::connect(config, Circuits::built_in()).await?;

    let witness = std::fs::read(witness)?;
    let ticket = client.submit(&"threshold-v1".parse()?, &witness, &SubmitOptions::default()).await?;

    match client.wait(&ticket, |_| {}).await? {
        Collected::Answer(answer) => {
            let proof = Verifier::new(Circuits::built_in()).verify_for(&ticket, &answer)?;
            println!("a proof of {} bytes, verified", proof.proof.len());
        }
        other => println!("no answer: {other:?}"),
    }
    Ok(())
}

//! `sealprove demo`: the path of a job, hop by hop, on real witnesses, for a person to watch.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use futures_util::StreamExt;

use super::collect::timings;
use super::dev::{Environment, Options, within};
use super::output::{OutputError, say};
use super::{Exit, Failure, Outcome_};
use crate::circuit::{Circuit, Circuits, VerifyError};
use crate::client::{AnswerError, Client, Collected, SubmitOptions, Verifier};
use crate::protocol::{Answer, CircuitId};

/// The circuits that are shown where the build has them.
const SHOWN: [&str; 2] = ["zcash-pczt-v1", "membership-v1"];
/// How long the eavesdropper waits for what the broker carries.
const OVERHEAR_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
}

pub(super) async fn run(args: &Args, circuits: &Circuits) -> Outcome_ {
    let shown = circuits.clone().retain(|id| SHOWN.contains(&id.as_str()));
    let shown = if shown.iter().next().is_none() { circuits.clone() } else { shown };
    say!("sealprove: private proving over NATS\n")?;
    say!("Starting a private nats-server with JetStream, an identity, a key, a signed bundle, the")?;
    say!("streams, the service and its chamber, which builds every proving key now …")?;
    let started = Instant::now();
    let ran = within(&args.options, &shown, async |environment| {
        let url = &environment.client_config.nats.url;
        say!("ready after {:.1} s: {url}\n", started.elapsed().as_secs_f32())?;
        show_all(environment, &shown).await
    });
    if ran.await?.is_none() {
        return Err(failed("interrupted; everything that was started has been stopped"));
    }
    say!("\nEverything that was started has been stopped, and its folder removed. To go on:\n")?;
    let program = std::env::args().next().unwrap_or_else(|| "sealprove".to_owned());
    say!("  {program} dev        (keeps such an environment running; then, in another shell:)")?;
    say!("  {program} submit zcash-pczt-v1 examples/pczt/nu6.2-orchard-2.pczt --out proved.pczt")?;
    say!("  {program} bench threshold-v1        (what the path adds to a bare proof)")?;
    Ok(Exit::Done)
}

async fn show_all(environment: &Environment, circuits: &Circuits) -> Result<(), Failure> {
    let client = Client::connect(environment.client_config.clone(), circuits.clone()).await?;
    say!("[client] building verifying keys of its own, to believe nobody …")?;
    let mut verifier = Verifier::new(circuits.clone());
    for (id, _) in circuits.iter() {
        let started = Instant::now();
        verifier.build(id)?;
        say!("[client] that of {id} built in {} ms", elapsed(started))?;
    }
    for (id, circuit) in circuits.iter() {
        show(environment, &client, &mut verifier, id, circuit.as_ref()).await?;
    }
    Ok(())
}

async fn show(
    environment: &Environment,
    client: &Client,
    verifier: &mut Verifier,
    id: &CircuitId,
    circuit: &dyn Circuit,
) -> Result<(), Failure> {
    let descriptor = circuit.descriptor();
    say!("\n=== {id}: {} ===\n", descriptor.summary)?;
    let witness = circuit.sample_witness();
    say!("[client] a witness of {} bytes, {}", witness.len(), descriptor.media_type)?;

    let started = Instant::now();
    let bundle = client.bundle().await?;
    let sealed = client.seal(&bundle, id, &witness, &SubmitOptions::default())?;
    let header = sealed.ticket.header();
    say!(
        "[client] sealed to key {} in {} ms: {} bytes",
        header.key,
        elapsed(started),
        sealed.payload().len()
    )?;

    let overhearing = overhear(environment).await?;
    let started = Instant::now();
    client.publish(&sealed, OVERHEAR_TIMEOUT, |_, _| {}).await?;
    say!("[client] published; the broker has it on disk after {} ms", elapsed(started))?;
    let overheard = tokio::time::timeout(OVERHEAR_TIMEOUT, overhearing).await;
    say!("[broker] all that it sees:")?;
    print_message(&overheard.map_err(|_| failed("nothing was overheard on the broker"))??)?;

    let started = Instant::now();
    let collected = client.wait(&sealed.ticket, |_| {}).await?;
    let Collected::Answer(answer) = collected else {
        return Err(failed(&format!("no answer: {collected:?}")));
    };
    say!("[chamber] forked process {} for this job alone; it is gone now", pid(environment, &answer))?;
    say!("[process] {}", timings(&answer))?;
    say!("[client] the one answer, sealed to this client, opened after {} ms", elapsed(started))?;
    verify(verifier, &sealed.ticket, &answer)?;
    combine(verifier, id, &witness, &answer)
}

/// Verifies the proof, and shows that one flipped byte is refused.
fn verify(verifier: &mut Verifier, ticket: &crate::client::Ticket, answer: &Answer) -> Result<(), Failure> {
    let started = Instant::now();
    let proof = verifier.verify_for(ticket, answer)?;
    say!(
        "[client] proof of {} bytes VERIFIED in {} ms, under the key that was built here",
        proof.proof.len(),
        elapsed(started)
    )?;
    let mut flipped = answer.clone();
    // The proof alone: the output document holds the good one.
    flipped.output = None;
    if let Some(proof) = &mut flipped.proof {
        let middle = proof.0.len() / 2;
        proof.0[middle] ^= 1;
    }
    match verifier.verify(&flipped) {
        Err(AnswerError::Invalid(VerifyError(reason))) => {
            say!("[client] the same proof with one bit flipped: REFUSED ({reason})")?;
            Ok(())
        }
        _ => Err(failed("a proof with a flipped bit was not refused")),
    }
}

/// Where the circuit returns a document, takes the proof out of it into the client's own.
fn combine(verifier: &Verifier, id: &CircuitId, witness: &[u8], answer: &Answer) -> Result<(), Failure> {
    if let Some(output) = &answer.output {
        let combined = verifier.combine(id, witness, &output.0)?;
        say!("[client] took the proof, and nothing else, into its own document: {} bytes", combined.len())?;
    }
    Ok(())
}

/// The next message on any job subject, as somebody sees it who may read everything on the broker.
async fn overhear(
    environment: &Environment,
) -> Result<impl Future<Output = Result<Message, Failure>>, Failure> {
    let nats = environment.client_config.nats.connect("eavesdropper").await;
    let nats = nats.map_err(|error| failed(&error.to_string()))?;
    let everything = format!("{}.job.>", environment.client_config.prefix.prefix());
    let mut messages = nats.subscribe(everything).await.map_err(|error| failed(&error.to_string()))?;
    // The broker answers in order: once it has answered this, it knows of the subscription. A flush would only
    // have written it to the socket.
    let asked = nats.request(environment.client_config.prefix.bundle(), "".into()).await;
    asked.map_err(|error| failed(&error.to_string()))?;
    Ok(async move {
        let message = messages.next().await.ok_or_else(|| failed("the broker went away"))?;
        // The connection lives as long as what is read from it.
        drop(nats);
        Ok(message)
    })
}

fn print_message(message: &Message) -> Result<(), OutputError> {
    say!("           {}", message.subject)?;
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        for value in values {
            say!("           {name}: {value}")?;
        }
    }
    let line = &message.payload[..message.payload.len().min(16)];
    let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String =
        line.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
    say!("           00000000  {}  |{text}|  … {} bytes of ciphertext", hex.join(" "), message.payload.len())
}

/// The process that a job had, as the service's log says.
fn pid(environment: &Environment, answer: &Answer) -> String {
    let log = std::fs::read_to_string(environment.log()).unwrap_or_default();
    let of_job = log.lines().filter(|line| line.contains(answer.job.as_str()));
    let mut pids =
        of_job.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["pid"].as_i64());
    pids.next_back().map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

fn elapsed(started: Instant) -> u128 {
    started.elapsed().as_millis()
}

fn failed(message: &str) -> Failure {
    Failure::new(Exit::Failed, message.to_owned())
}

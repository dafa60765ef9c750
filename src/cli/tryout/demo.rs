//! `sealprove demo`: the path of a job, hop by hop, on real witnesses, for a person to watch.

use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use futures_util::StreamExt;

use super::environment::{Environment, Options, within};
use crate::circuit::{Circuit, Circuits, VerifyError};
use crate::cli::client::timings;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::OutputError;
use crate::client::{AnswerError, Client, Collected, SealedJob, SubmitOptions, Ticket, Verifier};
use crate::protocol::{Answer, CircuitId};

/// The circuits that are shown, if the build has them.
const SHOWN: [&str; 2] = ["zcash-pczt-v1", "membership-v1"];
/// Time limit for the broker to deliver the published job to the eavesdropper.
const EAVESDROP_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between two looks at the busy slots.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
}

pub(crate) async fn run(args: &Args, circuits: &Circuits) -> CliResult {
    let shown = circuits.clone().retain(|id| SHOWN.contains(&id.as_str()));
    let shown = if shown.iter().next().is_none() { circuits.clone() } else { shown };
    say!("sealprove: private proving over NATS\n")?;
    say!("Starting a private nats-server with JetStream, an identity, keys, a signed bundle, the")?;
    say!("streams, the service and its chamber, which builds every proving key now …")?;
    let started = Instant::now();
    let ran = within(&args.options, &shown, async |environment| {
        let url = &environment.config.client.nats.url;
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
    say!("  {program} bench threshold-v1        (measures what the path adds to a bare proof)")?;
    Ok(Exit::Done)
}

async fn show_all(environment: &Environment, circuits: &Circuits) -> Result<(), Failure> {
    let client = Client::connect(environment.config.client.clone(), circuits.clone()).await?;
    say!("[client] building verifying keys of its own, so as to trust no other party …")?;
    let mut verifier = Verifier::new(circuits.clone());
    for (id, _) in circuits.iter() {
        let started = Instant::now();
        verifier.build(id)?;
        say!("[client] {id} built in {} ms", elapsed(started))?;
    }
    for (id, circuit) in circuits.iter() {
        Demo { environment, client: &client, verifier: &mut verifier }.show(id, circuit.as_ref()).await?;
    }
    Ok(())
}

/// The parties of the demonstration.
struct Demo<'a> {
    environment: &'a Environment,
    client: &'a Client,
    verifier: &'a mut Verifier,
}

impl Demo<'_> {
    /// Shows the path of one job.
    async fn show(&mut self, id: &CircuitId, circuit: &dyn Circuit) -> Result<(), Failure> {
        let descriptor = circuit.descriptor();
        say!("\n=== {id}: {} ===\n", descriptor.summary)?;
        let witness = circuit.sample_witness();
        say!("[client] a witness of {} bytes, {}", witness.len(), descriptor.media_type)?;
        let sealed = self.seal(id, &witness).await?;
        self.publish(&sealed).await?;

        let started = Instant::now();
        let (collected, process) = self.wait(&sealed.ticket).await?;
        let Collected::Answer(answer) = collected else {
            return Err(failed(&format!("no answer: {collected:?}")));
        };
        show_process(process)?;
        say!("[process] {}", timings(&answer))?;
        say!("[client] the one answer, sealed to this client, opened after {} ms", elapsed(started))?;
        self.verify(&sealed.ticket, &answer)?;
        self.combine(id, &witness, &answer)
    }

    async fn seal(&self, id: &CircuitId, witness: &[u8]) -> Result<SealedJob, Failure> {
        let started = Instant::now();
        let bundle = self.client.bundle().await?;
        let sealed = self.client.seal(&bundle, id, witness, &SubmitOptions::default())?;
        let (key, bytes) = (&sealed.ticket.header().key, sealed.payload().len());
        say!("[client] sealed to key {key} in {} ms: {bytes} bytes", elapsed(started))?;
        Ok(sealed)
    }

    /// Publishes the job, and shows everything that the broker sees of it.
    async fn publish(&self, sealed: &SealedJob) -> Result<(), Failure> {
        let intercepted = self.eavesdrop().await?;
        let started = Instant::now();
        self.client.publish(sealed, EAVESDROP_TIMEOUT, |_, _| {}).await?;
        say!("[client] published; the broker has it on disk after {} ms", elapsed(started))?;
        let intercepted = tokio::time::timeout(EAVESDROP_TIMEOUT, intercepted).await;
        say!("[broker] all that it sees:")?;
        Ok(print_message(&intercepted.map_err(|_| failed("the broker delivered no job"))??)?)
    }

    /// Subscribes to all jobs, as a user who may read everything on the broker, and returns a future of the next one.
    async fn eavesdrop(&self) -> Result<impl Future<Output = Result<Message, Failure>> + use<>, Failure> {
        let config = &self.environment.config.client;
        let nats = config.nats.connect("eavesdropper").await;
        let nats = nats.map_err(|error| failed(&error.to_string()))?;
        let mut messages =
            nats.subscribe(config.prefix.jobs()).await.map_err(|error| failed(&error.to_string()))?;
        // The broker handles requests in order, so after this one it has the subscription. A flush would only show that
        // it is written to the socket.
        let asked = nats.request(config.prefix.bundle(), "".into()).await;
        asked.map_err(|error| failed(&error.to_string()))?;
        Ok(async move {
            let message = messages.next().await.ok_or_else(|| failed("the broker closed the connection"))?;
            // The subscription needs the connection until here.
            drop(nats);
            Ok(message)
        })
    }

    /// Waits for the answer. Returns the id of the job's process as well, if it was seen in its slot.
    async fn wait(&self, ticket: &Ticket) -> Result<(Collected, Option<i32>), Failure> {
        let answered = self.client.wait(ticket, |_| {});
        tokio::pin!(answered);
        let mut process = None;
        loop {
            tokio::select! {
                collected = &mut answered => return Ok((collected?, process)),
                () = tokio::time::sleep(WATCH_INTERVAL), if process.is_none() => {
                    // The environment has no other job.
                    let busy = self.environment.snapshot().await.map(|snapshot| snapshot.busy);
                    process = busy.and_then(|busy| busy.first()?.pid);
                }
            }
        }
    }

    /// Verifies the proof, and shows that a flipped bit is refused.
    fn verify(&mut self, ticket: &Ticket, answer: &Answer) -> Result<(), Failure> {
        let started = Instant::now();
        let proof = self.verifier.verify_for(ticket, answer)?;
        say!(
            "[client] proof of {} bytes VERIFIED in {} ms, under the key that was built here",
            proof.proof.len(),
            elapsed(started)
        )?;
        let mut flipped = answer.clone();
        // Without the output document, which holds the good proof, too.
        flipped.output = None;
        if let Some(proof) = &mut flipped.proof {
            let middle = proof.0.len() / 2;
            proof.0[middle] ^= 1;
        }
        match self.verifier.verify(&flipped) {
            Err(AnswerError::Invalid(VerifyError(reason))) => {
                say!("[client] the same proof with one bit flipped: REFUSED ({reason})")?;
                Ok(())
            }
            _ => Err(failed("a proof with a flipped bit was not refused")),
        }
    }

    /// If the circuit returns a document, combines the proof in it into the client's own.
    fn combine(&self, id: &CircuitId, witness: &[u8], answer: &Answer) -> Result<(), Failure> {
        if let Some(output) = &answer.output {
            let combined = self.verifier.combine(id, witness, &output.0)?.len();
            say!("[client] took the proof, and nothing else, into its own document: {combined} bytes")?;
        }
        Ok(())
    }
}

/// Shows the process that the job had. It must be gone: an answer is stored after its process has ended.
fn show_process(process: Option<i32>) -> Result<(), Failure> {
    let Some(pid) = process else {
        say!("[chamber] forked a process for this job alone; it ended before it was seen")?;
        return Ok(());
    };
    if Path::new("/proc").join(pid.to_string()).exists() {
        return Err(failed(&format!("process {pid} outlives its job")));
    }
    say!("[chamber] forked process {pid} for this job alone; it is gone now")?;
    Ok(())
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

fn elapsed(started: Instant) -> u128 {
    started.elapsed().as_millis()
}

fn failed(message: &str) -> Failure {
    Failure::new(Exit::Failed, message.to_owned())
}

//! `sealprove bench`: measures what the whole path adds to a bare proof, and how many jobs this machine proves in a minute.
//! Bare proofs and the whole path are measured in turn, so that noise of the machine affects both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::builder::RangedU64ValueParser;
use futures_util::future::try_join_all;

use super::environment::{Options, within};
use crate::circuit::{Circuit, Circuits, ProvingKey};
use crate::cli::circuits;
use crate::cli::client::Progress;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::{OutputError, count};
use crate::client::{Client, Collected, SubmitOptions, Verifier};
use crate::protocol::{Answer, CircuitId, Timings};

#[derive(clap::Args)]
#[command(after_help = "\
Each job is proved twice, in turn: bare, in this process, with the same number of threads; and over the
whole path: seal, publish, queue, fork, open, check, prove, verify, seal, store, wake, open. Client and
service share this machine. The overhead is the difference of the medians. Then all jobs are submitted at
once, so that no slot is ever free: to size a service, compare --slots and --threads.")]
pub(crate) struct Args {
    /// The circuit, whose sample witness is proved
    circuit: CircuitId,
    /// Number of jobs
    #[arg(long, default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    jobs: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

/// One job's figures, in milliseconds.
struct Sample {
    bare: f64,
    path: f64,
    answer: Answer,
}

pub(crate) async fn run(args: &Args, circuits: &Circuits) -> CliResult {
    let circuit = circuits::find(circuits, &args.circuit)?.clone();
    let only = circuits.clone().retain(|id| *id == args.circuit);
    let mut progress = Progress::new("building keys, starting broker and service");
    let threads = args.options.threads();
    let bare = Bare::build(circuit.clone(), threads)?;
    let measured = within(&args.options, &only, async |environment| {
        let client = Client::connect(environment.config.client.clone(), only.clone()).await?;
        progress.step("waiting for the self-tests of the service, which would disturb the measurement");
        environment.self_tests_passed().await?;
        let mut samples = Vec::new();
        for job in 0..args.jobs {
            progress.step(format!("job {} of {}", job + 1, args.jobs));
            samples.push(sample(&bare, &client, &args.circuit, circuit.as_ref()).await?);
        }
        progress.step(format!("{} at once", count(args.jobs, "job")));
        let rate = jobs_a_minute(&client, args, circuit.as_ref()).await?;
        Ok((samples, rate))
    });
    let Some((samples, rate)) = measured.await? else {
        return Err(Failure::new(Exit::Failed, "interrupted"));
    };
    let mut verifier = Verifier::new(only);
    for sample in &samples {
        verifier.verify(&sample.answer)?;
    }
    progress.done();
    report(args, threads, &samples, rate)?;
    Ok(Exit::Done)
}

async fn sample(
    bare: &Bare,
    client: &Client,
    id: &CircuitId,
    circuit: &dyn Circuit,
) -> Result<Sample, Failure> {
    let witness = circuit.sample_witness();
    let bare = bare.prove(&witness)?;
    let started = Instant::now();
    let answer = whole_path(client, id, &witness).await?;
    Ok(Sample { bare, path: millis(started.elapsed()), answer })
}

async fn whole_path(client: &Client, id: &CircuitId, witness: &[u8]) -> Result<Answer, Failure> {
    let ticket = client.submit(id, witness, &SubmitOptions::default()).await?;
    match client.wait(&ticket, |_| {}).await? {
        Collected::Answer(answer) => Ok(*answer),
        other => Err(Failure::new(Exit::Failed, format!("no proof came back: {other:?}"))),
    }
}

/// Measures how many jobs are done in a minute while no slot is ever free.
async fn jobs_a_minute(client: &Client, args: &Args, circuit: &dyn Circuit) -> Result<f64, Failure> {
    let witness = circuit.sample_witness();
    let started = Instant::now();
    let jobs = (0..args.jobs).map(|_| whole_path(client, &args.circuit, &witness));
    let answers = try_join_all(jobs).await?;
    Ok(answers.len() as f64 * 60_000.0 / millis(started.elapsed()))
}

/// A prover without a service.
struct Bare {
    circuit: Arc<dyn Circuit>,
    key: Box<dyn ProvingKey>,
    pool: rayon::ThreadPool,
}

impl Bare {
    fn build(circuit: Arc<dyn Circuit>, threads: u32) -> Result<Self, Failure> {
        let threads = usize::try_from(threads).unwrap_or(1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Failure::new(Exit::Failed, error))?;
        let key = pool.install(|| circuit.build_proving_key());
        let key = key.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Bare { circuit, key, pool })
    }

    /// Checks and proves as a job process does; returns the time in milliseconds.
    fn prove(&self, witness: &[u8]) -> Result<f64, Failure> {
        let started = Instant::now();
        let proved = self.pool.install(|| {
            let prepared = self.circuit.prepare(witness).map_err(|error| error.to_string())?;
            let checked = self.circuit.check(&prepared).map_err(|error| error.to_string())?;
            self.key.prove(checked).map_err(|error| error.to_string())
        });
        proved.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(millis(started.elapsed()))
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The spread of several measurements, in milliseconds.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn from_values(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Spread { least: at(0), median: at(values.len() / 2), most: at(values.len().saturating_sub(1)) }
    }
}

/// Returns the median of a step in the job process, in milliseconds.
fn median_step(samples: &[Sample], step: fn(&Timings) -> Option<u64>) -> f64 {
    let values = samples.iter().filter_map(|sample| step(&sample.answer.timings_ms));
    Spread::from_values(values.map(|ms| ms as f64)).median
}

fn report(args: &Args, threads: u32, samples: &[Sample], rate: f64) -> Result<(), OutputError> {
    let bare = Spread::from_values(samples.iter().map(|sample| sample.bare));
    let path = Spread::from_values(samples.iter().map(|sample| sample.path));
    let (added, ratio) = (path.median - bare.median, path.median / bare.median);
    let steps = [
        ("opened", median_step(samples, |timings| timings.opened)),
        ("checked", median_step(samples, |timings| timings.checked)),
        ("proved", median_step(samples, |timings| timings.proved)),
        ("verified", median_step(samples, |timings| timings.verified)),
    ];
    if args.json {
        let mut figures = serde_json::json!({
            "circuit": args.circuit, "jobs": samples.len(), "threads": threads,
            "bare_ms": bare.median, "bare_ms_range": [bare.least, bare.most],
            "path_ms": path.median, "path_ms_range": [path.least, path.most],
            "added_ms": added, "ratio": ratio, "slots": args.options.slots, "jobs_per_minute": rate,
        });
        for (name, value) in steps {
            figures[format!("{name}_ms")] = value.into();
        }
        return say!("{figures}");
    }
    say!(
        "{}, {}, {}: medians",
        args.circuit,
        count(samples.len(), "job"),
        count(threads as usize, "thread")
    )?;
    for (what, spread) in [("bare proof in process", &bare), ("whole path", &path)] {
        let Spread { least, median, most } = spread;
        say!("  {what:<24} {median:>10.1} ms   {least:.1} to {most:.1}")?;
    }
    say!("  {:<24} {added:>10.1} ms   ratio {ratio:.3}", "the path adds")?;
    let inside: Vec<String> = steps.iter().map(|(name, value)| format!("{name} {value:.0}")).collect();
    say!("  in the job process: {} ms", inside.join(", "))?;
    say!("  {:<24} {rate:>10.1} jobs a minute", format!("{} busy", count(args.options.slots, "slot")))
}

//! The command line. Each subcommand has a file; this one has the arguments they share, the exit codes,
//! and how an error is shown.

mod audit;
mod bundle;
mod cancel;
mod collect;
mod connection;
mod files;
pub(crate) mod keys;
mod look;
mod output;
mod progress;
mod signals;
mod submit;

#[cfg(feature = "service")]
mod bench;
#[cfg(feature = "service")]
mod demo;
#[cfg(feature = "service")]
mod dev;
#[cfg(feature = "service")]
mod doctor;
#[cfg(feature = "service")]
mod serve;
#[cfg(feature = "service")]
mod tenants;
#[cfg(feature = "service")]
mod top;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};

use crate::circuit::{Circuit, Circuits};
use crate::client::{AnswerError, ClientError};
use crate::jetstream::ConnectError;
use crate::protocol::{CircuitId, Code, Outcome};
use crate::telemetry;
use connection::Connection;
use output::note;

/// How a run ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Proved, verified, or otherwise done.
    Done = 0,
    /// Something failed here: a file, a proof that does not verify.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// Final: the same witness would be refused again.
    Refused = 3,
    /// The service failed; the same witness may succeed as a new job.
    Retryable = 4,
    /// The broker or the service cannot be reached.
    Unreachable = 5,
    /// There is no answer yet.
    NotYet = 6,
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match (code.outcome(), code.retryable()) {
            (Outcome::Proved, _) => Exit::Done,
            (_, true) => Exit::Retryable,
            (_, false) => Exit::Refused,
        }
    }
}

/// Why a command failed: its exit code and what the user reads.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    cause: Box<dyn std::error::Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    fn new(exit: Exit, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Failure { exit, cause: cause.into(), hint: None }
    }

    /// With a line below the error.
    fn with_hint(self, hint: String) -> Self {
        Failure { hint: Some(hint), ..self }
    }

    /// The error and its causes, one after the other. Some libraries say the cause in their own text as well.
    pub(crate) fn text(&self) -> String {
        let mut text = self.cause.to_string();
        let mut source = self.cause.source();
        while let Some(cause) = source {
            let said = cause.to_string();
            if !text.ends_with(&said) {
                text.push_str(&format!(": {said}"));
            }
            source = cause.source();
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n{hint}"));
        }
        text
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::Connect(ConnectError::Broker { .. })
            | ClientError::NoBundle
            | ClientError::Read(_) => Exit::Unreachable,
            ClientError::Witness(_) | ClientError::TooLarge { .. } | ClientError::UnknownCircuit(_) => {
                Exit::Refused
            }
            ClientError::QueueFull { .. } | ClientError::CancelUnknown => Exit::Retryable,
            ClientError::Submit(_) | ClientError::NoService => Exit::Unreachable,
            ClientError::Lifetime => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, error)
    }
}

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        let exit = match error {
            AnswerError::NoProof { code, .. } => Exit::from(code),
            AnswerError::NotInThisBuild(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, error)
    }
}

macro_rules! fails_here {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::new(Exit::Failed, error)
            }
        })*
    };
}
fails_here!(
    std::io::Error,
    files::FileError,
    crate::client::TicketError,
    crate::config::ConfigError,
    crate::protocol::BundleError,
    crate::operator::keyring::KeyringError
);

type Outcome_ = Result<Exit, Failure>;

/// The circuit that an argument names.
fn named<'a>(circuits: &'a Circuits, id: &CircuitId) -> Result<&'a Arc<dyn Circuit>, Failure> {
    circuits.get(id).ok_or_else(|| {
        let names: Vec<&str> = circuits.iter().map(|(id, _)| id.as_str()).collect();
        Failure::new(Exit::Usage, format!("this build has no circuit {id}; it has {}", names.join(", ")))
    })
}

/// Private proving over NATS: seal a witness, get its proof.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more on standard error (-v, -vv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

const AFTER_HELP: &str = "\
Try it: `sealprove dev` in one shell keeps a whole private environment running. In another:
  sealprove circuits                                    what is proved there
  sealprove sample threshold-v1 > witness.json          something to prove
  sealprove submit threshold-v1 witness.json --wait --json > answer.json
                                                        seal, submit, wait, open, verify, keep

Exit codes: 0 done, 1 failed here, 2 usage, 3 refused, 4 failed but worth a new try,
5 unreachable, 6 no answer yet.";

#[derive(Subcommand)]
enum Command {
    /// Seal a witness and submit it; with --wait or --out, wait for the verified proof
    Submit(submit::Args),
    /// Collect, open and verify the answer to a job that was submitted before
    Answer(collect::Args),
    /// Check a witness here, without proving
    Check(look::CheckArgs),
    /// Print a valid witness that holds no secret, to try a circuit with
    Sample(look::SampleArgs),
    /// Say what is being done about a job
    Status(look::StatusArgs),
    /// Take a job back: a queued one is removed, a running proof is killed
    Cancel(cancel::Args),
    /// Verify the proof in an answer
    Verify(look::VerifyArgs),
    /// List what the deployment proves
    Circuits(look::CircuitsArgs),
    /// Make and list recipient keys
    Keys(keys::Args),
    /// Make, sign, show and trust bundles
    Bundle(bundle::Args),
    /// Check audit logs
    Audit(audit::Args),
    /// Make or check the streams that a deployment needs
    #[cfg(feature = "service")]
    Streams(serve::StreamsArgs),
    /// Make users and accounts for the broker, one account for each tenant
    #[cfg(feature = "service")]
    Tenants(tenants::Args),
    /// Run the service
    #[cfg(feature = "service")]
    Serve(serve::ServeArgs),
    /// Keep a whole private environment running: broker, keys, service
    #[cfg(feature = "service")]
    Dev(dev::Args),
    /// Show the path of two jobs, hop by hop
    #[cfg(feature = "service")]
    Demo(demo::Args),
    /// Show what services and broker are doing, live
    #[cfg(feature = "service")]
    Top(top::Args),
    /// Examine what the service relies on: the locks of this machine, broker, keys, bundle
    #[cfg(feature = "service")]
    Doctor(doctor::Args),
    /// Measure what the whole path adds to a bare proof
    #[cfg(feature = "service")]
    Bench(bench::Args),
    /// Print a shell's completions
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// What starts the key side of a service; started by it
    #[cfg(feature = "service")]
    #[command(hide = true)]
    Launcher(serve::LauncherArgs),
    /// The key side of a service
    #[cfg(feature = "service")]
    #[command(hide = true)]
    Chamber(serve::ChamberArgs),
}

/// Runs the program with these circuits. What a program of your own calls, with circuits of its own.
pub fn main(circuits: Circuits) -> ExitCode {
    let cli = Cli::parse();
    // What follows first is locked or forks while it has one thread, so it is not run on a runtime.
    report(match cli.command {
        #[cfg(feature = "service")]
        Command::Chamber(args) => serve::chamber(&args, &circuits),
        #[cfg(feature = "service")]
        Command::Launcher(args) => {
            telemetry::init(cli.verbose, true);
            serve::launcher(args)
        }
        #[cfg(feature = "service")]
        Command::Serve(args) => {
            telemetry::init(cli.verbose, true);
            serve::serve(&args, &circuits)
        }
        #[cfg(feature = "service")]
        Command::Doctor(args) => {
            telemetry::init(cli.verbose, false);
            doctor::run(&args, &circuits)
        }
        command => {
            telemetry::init(cli.verbose, false);
            on_runtime(run(command, &circuits))
        }
    })
}

/// Runs a command to its end; what it has left running ends with it.
fn on_runtime(command: impl Future<Output = Outcome_>) -> Outcome_ {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command, circuits: &Circuits) -> Outcome_ {
    match command {
        Command::Submit(args) => submit::run(&args, circuits).await,
        Command::Answer(args) => collect::run(&args, circuits).await,
        Command::Check(args) => look::check(&args, circuits),
        Command::Sample(args) => look::sample(&args, circuits),
        Command::Status(args) => look::status(&args, circuits).await,
        Command::Cancel(args) => cancel::run(&args, circuits).await,
        Command::Verify(args) => look::verify(&args, circuits),
        Command::Circuits(args) => look::circuits(&args, circuits).await,
        Command::Keys(args) => keys::run(&args),
        Command::Bundle(args) => bundle::run(&args, circuits).await,
        Command::Audit(args) => audit::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sealprove", &mut script);
            output::bytes(&script)?;
            Ok(Exit::Done)
        }
        #[cfg(feature = "service")]
        Command::Streams(args) => serve::streams(&args).await,
        #[cfg(feature = "service")]
        Command::Tenants(args) => tenants::run(&args),
        #[cfg(feature = "service")]
        Command::Dev(args) => dev::run(&args, circuits).await,
        #[cfg(feature = "service")]
        Command::Demo(args) => demo::run(&args, circuits).await,
        #[cfg(feature = "service")]
        Command::Top(args) => top::run(&args).await,
        #[cfg(feature = "service")]
        Command::Bench(args) => bench::run(&args, circuits).await,
        #[cfg(feature = "service")]
        Command::Serve(_) | Command::Doctor(_) | Command::Launcher(_) | Command::Chamber(_) => {
            unreachable!("is run before there is a runtime")
        }
    }
}

fn report(outcome: Outcome_) -> ExitCode {
    let exit = outcome.unwrap_or_else(|failure| {
        if failure.exit != Exit::Done {
            note!("error: {}", failure.text());
        }
        failure.exit
    });
    ExitCode::from(exit as u8)
}

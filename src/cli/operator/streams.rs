//! `sealprove streams`.

use std::path::PathBuf;

use async_nats::jetstream;

use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::OutputError;
use crate::client::ClientError;
use crate::config::ServiceConfig;
use crate::jetstream::topology;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Create and correct streams and consumers, or only report differences
    action: Action,
    /// The service's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Action {
    Apply,
    Check,
}

pub(crate) async fn run(args: &Args) -> CliResult {
    let config = ServiceConfig::read(&args.config)?;
    let client = config.nats.connect("sealprove streams").await.map_err(ClientError::from)?;
    let context = jetstream::new(client);
    match args.action {
        Action::Apply => {
            for difference in topology::apply(&context, &config).await? {
                say!("mended: {difference}")?;
            }
        }
        Action::Check => {}
    }
    Ok(report(&topology::check(&context, &config).await?)?)
}

impl From<topology::StreamsError> for Failure {
    fn from(error: topology::StreamsError) -> Self {
        Failure::new(Exit::Unreachable, error)
    }
}

fn report(differences: &[topology::Difference]) -> Result<Exit, OutputError> {
    for difference in differences {
        say!("{difference}")?;
    }
    if !differences.is_empty() {
        return Ok(Exit::Failed);
    }
    say!("streams and consumers are as they must be")?;
    Ok(Exit::Done)
}

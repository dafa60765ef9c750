//! `sealprove doctor`: whether this machine holds what the service promises.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::dev::{self, Options};
use super::output::say;
use super::{Exit, Failure, Outcome_};
use crate::circuit::Circuits;
use crate::config::ServiceConfig;
use crate::service::{Setup, doctor};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where a throw-away deployment is
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

/// Makes a throw-away deployment, and examines it in a process of its own: one that is locked can clear
/// nothing away.
pub(super) fn run(args: &Args) -> Outcome_ {
    let circuits = Circuits::new().with(doctor::circuit());
    if let Some(folder) = &args.folder {
        return examine(folder, &circuits);
    }
    let folder = tempfile::Builder::new().prefix("sealprove-doctor-").tempdir()?;
    dev::configure(&Options::smallest(), folder.path(), 0, &circuits)?;
    let examined =
        Command::new("/proc/self/exe").arg("doctor").arg("--folder").arg(folder.path()).status()?;
    Ok(if examined.success() { Exit::Done } else { Exit::Failed })
}

/// It is called with one thread, and is the service of that deployment.
fn examine(folder: &Path, circuits: &Circuits) -> Outcome_ {
    let config = ServiceConfig::read(&folder.join("sealprove.toml"))?;
    let setup = Setup::new(config, circuits)?;
    super::on_runtime(async {
        let findings = doctor::examine(setup).await.map_err(Failure::from)?;
        for finding in &findings {
            let state = if finding.holds { "in force" } else { "MISSING" };
            say!("{:<8} {:<32} {state:<9} {}", finding.process, finding.protection, finding.how)?;
        }
        Ok(if findings.iter().all(|finding| finding.holds) { Exit::Done } else { Exit::Failed })
    })
}

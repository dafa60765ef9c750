//! `sealprove demo`: placeholder until the circuits land.
use super::{Exit, Outcome_};
use crate::circuit::Circuits;
#[derive(clap::Args)]
pub(super) struct Args {}
pub(super) async fn run(_args: &Args, _circuits: &Circuits) -> Outcome_ {
    Ok(Exit::Done)
}

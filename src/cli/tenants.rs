//! `sealprove tenants`: what the broker must know of the tenants, and users for it.

use std::path::{Path, PathBuf};

use nkeys::{KeyPair, KeyPairType};
use zeroize::Zeroizing;

use super::output::{self, note, say};
use super::{Exit, Failure, Outcome_, files};
use crate::config::{ServiceConfig, UserKey};
use crate::jetstream::accounts::Deployment;
use crate::protocol::Tenant;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print the broker's accounts: one that owns the streams, one for each tenant
    Accounts(AccountsArgs),
    /// Make a user of the broker: its seed into a file of mode 0600, its public nkey on standard output
    User {
        /// The file for the seed, which is what [nats] nkey names
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
struct AccountsArgs {
    /// The service's configuration, which names the tenants
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The public nkey of a user that services connect as
    #[arg(long = "service", value_name = "NKEY", required = true)]
    services: Vec<UserKey>,
    /// The public nkey of a user that `sealprove streams` connects as
    #[arg(long = "admin", value_name = "NKEY", required = true)]
    admins: Vec<UserKey>,
    /// The account that owns the streams; in operator mode, its public key
    #[arg(long, default_value = "SEALPROVE")]
    account: Tenant,
    /// For a server's configuration file, or the claims of operator mode
    #[arg(long, value_enum, default_value_t = Format::Conf)]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Conf,
    Claims,
}

pub(super) fn run(args: &Args) -> Outcome_ {
    match &args.command {
        Command::Accounts(args) => accounts(args),
        Command::User { out } => user(out),
    }
}

fn accounts(args: &AccountsArgs) -> Outcome_ {
    let config = ServiceConfig::read(&args.config)?;
    let (services, admins) = (&args.services[..], &args.admins[..]);
    let deployment = Deployment { config: &config, account: &args.account, services, admins };
    if let Some(name) = deployment.clash() {
        let message =
            format!("the account {name} would own the streams and be a tenant: give another --account");
        return Err(Failure::new(Exit::Usage, message));
    }
    if let Some(twice) = twice(&config, services, admins) {
        let message =
            format!("the user {} stands twice: each belongs to one account, for one purpose", twice.as_str());
        return Err(Failure::new(Exit::Usage, message));
    }
    for (tenant, _) in config.tenants.iter().filter(|(_, limits)| limits.users.is_empty()) {
        note!("nobody may connect for {tenant}: run `sealprove tenants user --out {tenant}.nkey`,");
        note!("and put what it prints into tenants.{tenant}.users");
    }
    match args.format {
        Format::Conf => output::bytes(deployment.to_conf().as_bytes())?,
        Format::Claims => output::json(&deployment.to_claims())?,
    }
    Ok(Exit::Done)
}

/// A user who is of two accounts, or service and administrator in one.
fn twice(config: &ServiceConfig, services: &[UserKey], admins: &[UserKey]) -> Option<UserKey> {
    let of_tenants = config.tenants.iter().flat_map(|(_, limits)| &limits.users);
    let mut all: Vec<&UserKey> = of_tenants.chain(services).chain(admins).collect();
    all.sort();
    all.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
}

fn user(out: &Path) -> Outcome_ {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).map_err(std::io::Error::other)?;
    let made = KeyPair::new_from_raw(KeyPairType::User, *random)
        .and_then(|user| Ok((user.seed()?, user.public_key())));
    let (seed, public_key) =
        made.map_err(|error| Failure::new(Exit::Failed, format!("make an nkey: {error}")))?;
    let seed = Zeroizing::new(format!("{seed}\n"));
    files::write_secret("write the nkey's seed", out, seed.as_bytes())?;
    say!("{public_key}")?;
    note!(
        "its seed is in {}; whoever connects with it names that file as nkey in the [nats] table,",
        out.display()
    );
    note!("and has there: inbox_prefix = \"_INBOX_{public_key}\"");
    Ok(Exit::Done)
}

//! `sealprove tenants`: accounts and users of the broker for the tenants.

use std::path::{Path, PathBuf};

use nkeys::{KeyPair, KeyPairType};
use zeroize::Zeroizing;

use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::{files, output};
use crate::config::{ServiceConfig, UserKey};
use crate::jetstream::accounts::Deployment;
use crate::protocol::Tenant;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the broker's accounts: one that owns the streams, one for each tenant
    Accounts(AccountsArgs),
    /// Make a user of the broker: write its seed to a file of mode 0600, print its public nkey
    User {
        /// The file for the seed, which `nkey` of the [nats] table names
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct AccountsArgs {
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
    /// Output for a server's configuration file, or the claims of operator mode
    #[arg(long, value_enum, default_value_t = Format::Conf)]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Conf,
    Claims,
}

pub(crate) fn run(command: &Command) -> CliResult {
    match command {
        Command::Accounts(args) => accounts(args),
        Command::User { out } => user(out),
    }
}

fn accounts(args: &AccountsArgs) -> CliResult {
    let config = ServiceConfig::read(&args.config)?;
    let (services, admins) = (&args.services[..], &args.admins[..]);
    let deployment = Deployment { config: &config, account: &args.account, services, admins };
    if let Some(name) = deployment.clash() {
        let message =
            format!("the account {name} would both own the streams and be a tenant; give another --account");
        return Err(Failure::new(Exit::Usage, message));
    }
    if let Some(user) = find_duplicate(&config, services, admins) {
        let message = format!(
            "the user {} is given twice; each belongs to one account, for one purpose",
            user.as_str()
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    for (tenant, _) in config.tenants.iter().filter(|(_, limits)| limits.users.is_empty()) {
        note!("no user may connect for {tenant}: run `sealprove tenants user --out {tenant}.nkey`,");
        note!("and put the nkey that it prints into tenants.{tenant}.users");
    }
    match args.format {
        Format::Conf => output::bytes(deployment.to_conf().as_bytes())?,
        Format::Claims => output::json(&deployment.to_claims())?,
    }
    Ok(Exit::Done)
}

/// Finds a user who is given for two accounts, or as both service and administrator.
fn find_duplicate(config: &ServiceConfig, services: &[UserKey], admins: &[UserKey]) -> Option<UserKey> {
    let tenants = config.tenants.iter().flat_map(|(_, limits)| &limits.users);
    let mut all: Vec<&UserKey> = tenants.chain(services).chain(admins).collect();
    all.sort();
    all.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
}

fn user(out: &Path) -> CliResult {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).map_err(std::io::Error::other)?;
    let made = KeyPair::new_from_raw(KeyPairType::User, *random)
        .and_then(|user| Ok((user.seed()?, user.public_key())));
    let (seed, public_key) =
        made.map_err(|error| Failure::new(Exit::Failed, format!("make an nkey: {error}")))?;
    let seed = Zeroizing::new(format!("{seed}\n"));
    files::write_secret("write the nkey's seed", out, seed.as_bytes())?;
    say!("{public_key}")?;
    note!("its seed is in {}; to connect as this user, set in the [nats] table:", out.display());
    note!("nkey = {:?}", out.display().to_string());
    note!("inbox_prefix = \"_INBOX_{public_key}\"");
    Ok(Exit::Done)
}

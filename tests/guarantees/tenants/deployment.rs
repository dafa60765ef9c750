//! A deployment with the accounts that the program itself writes, and each party's connection to the broker.

use std::path::PathBuf;

use async_nats::jetstream;
use sealprove::client::{Client, Collected, SubmitOptions, Ticket};
use sealprove::config::ClientConfig;
use sealprove::config::NatsConfig;
use sealprove::protocol::Tenant;
use tempfile::TempDir;

use crate::kit::{Lab, Nats, PATIENCE, Ran, Setup, sealprove};

/// A user of the broker, and the file that holds its seed.
pub(crate) struct User {
    pub(crate) key: String,
    pub(crate) seed: PathBuf,
}

/// The users of a deployment, made by the program.
pub(crate) struct Users {
    folder: TempDir,
    pub(crate) service: User,
    pub(crate) admin: User,
    /// Whom nothing but an account holds, where a test lets him in: in operator mode a tenant makes such users
    /// itself.
    pub(crate) unbound: User,
    pub(crate) tenants: Vec<(String, User)>,
}

impl Users {
    pub(crate) fn new(tenants: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let seed = folder.path().join(format!("{name}.nkey"));
            let made = Ran::run(program().args(["tenants", "user", "--out"]).arg(&seed), b"").exits(0);
            User { key: made.line().to_owned(), seed }
        };
        let tenants = tenants.iter().map(|tenant| ((*tenant).to_owned(), make(tenant))).collect();
        Users { service: make("service"), admin: make("admin"), unbound: make("unbound"), tenants, folder }
    }

    pub(crate) fn tenant(&self, name: &str) -> &User {
        let found = self.tenants.iter().find(|(tenant, _)| tenant == name);
        &found.expect("a tenant of this deployment").1
    }

    /// The tables of a service's configuration; `limits` says what else is in a tenant's table.
    pub(crate) fn tables(&self, limits: impl Fn(&str) -> String) -> String {
        let table = |(tenant, user): &(String, User)| {
            format!("[tenants.{tenant}]\nusers = [{:?}]\n{}\n", user.key, limits(tenant))
        };
        self.tenants.iter().map(table).collect()
    }

    /// Runs `sealprove tenants accounts` for these tables.
    pub(crate) fn accounts(&self, tables: &str, arguments: &[&str]) -> Ran {
        let config = self.folder.path().join("tenants.toml");
        std::fs::write(&config, format!("bundle = \"b\"\nkeys = \"k\"\n{tables}")).expect("write a file");
        let mut command = program();
        command.args(["tenants", "accounts", "--config"]).arg(config);
        command.args(["--service", &self.service.key, "--admin", &self.admin.key]).args(arguments);
        Ran::run(&mut command, b"")
    }
}

fn program() -> std::process::Command {
    let mut command = std::process::Command::new(sealprove());
    command.env_clear();
    command
}

/// A running deployment.
pub(crate) struct Deployment {
    pub(crate) lab: Lab,
    pub(crate) users: Users,
    /// Returns the configuration that uses a user's file.
    file: File,
}

/// The content of a user's file.
#[derive(Clone, Copy)]
enum File {
    Seed,
    Credentials,
}

/// A user who sees everything in the account that owns the streams: the tests' own, in no real deployment.
pub(crate) const OBSERVER: &str = "{ user: observer, password: observer }";

impl Deployment {
    /// With these tenants under the accounts that the program writes, after `change` had its way with them.
    pub(crate) async fn start(
        setup: Setup,
        tenants: &[&str],
        limits: impl Fn(&str) -> String,
        change: impl FnOnce(&str, &Users) -> String,
    ) -> Self {
        let users = Users::new(tenants);
        let tables = users.tables(limits);
        let accounts = users.accounts(&tables, &[]).exits(0).stdout;
        let observed = accounts.replacen("users: [", &format!("users: [\n{OBSERVER}"), 1);
        let nats = Nats::start_with(&change(&observed, &users)).await;
        Self::at(setup.tenants(&tables), nats, users)
    }

    /// At this broker, whatever its accounts are.
    pub(crate) fn at(setup: Setup, nats: Nats, users: Users) -> Self {
        Self::with(setup, nats, users, File::Seed)
    }

    /// The same, where every user's file holds its token besides its seed.
    pub(crate) fn at_with_credentials(setup: Setup, nats: Nats, users: Users) -> Self {
        Self::with(setup, nats, users, File::Credentials)
    }

    fn with(setup: Setup, nats: Nats, users: Users, file: File) -> Self {
        let service = file.nats_config(&nats.url(), &users.service);
        let table = toml::to_string(&service).expect("a table");
        let lab = setup.reached_by(table).without_streams().at(nats);
        let deployment = Deployment { lab, users, file };
        deployment.streams("apply").exits(0);
        deployment.streams("check").exits(0);
        deployment
    }

    /// `sealprove streams`, as the administrator.
    pub(crate) fn streams(&self, action: &str) -> Ran {
        let admin = &self.users.admin;
        let variable = match self.file {
            File::Seed => "SEALPROVE_NATS__NKEY",
            File::Credentials => "SEALPROVE_NATS__CREDENTIALS",
        };
        let mut command = self.lab.command();
        command.args(["streams", action, "--config", "sealprove.toml"]);
        command.env(variable, &admin.seed).env("SEALPROVE_NATS__INBOX_PREFIX", inbox_prefix(admin));
        Ran::run(&mut command, b"")
    }

    /// Returns the connection of a tenant.
    pub(crate) fn nats_of(&self, tenant: &str) -> NatsConfig {
        self.file.nats_config(&self.lab.nats.url(), self.users.tenant(tenant))
    }

    /// The connection of a user whom only the account restricts.
    pub(crate) fn nats_of_unbound(&self) -> NatsConfig {
        self.file.nats_config(&self.lab.nats.url(), &self.users.unbound)
    }

    /// A client that connects as one tenant and says that it is another.
    pub(crate) async fn client_in_name_of(&self, tenant: &str, other: &str) -> Client {
        let change = |config: &mut ClientConfig| {
            config.nats = self.nats_of(tenant);
            config.tenant = other.parse().expect("a tenant's name");
        };
        self.lab.client_as(change).await
    }

    /// A tenant's client, whose configuration says who it is and nothing else.
    pub(crate) async fn client(&self, tenant: &str) -> Client {
        let change = |config: &mut ClientConfig| {
            config.nats = self.nats_of(tenant);
            config.tenant = tenant.parse().expect("a tenant's name");
            config.state = Some(self.lab.path(&format!("state-{tenant}")));
        };
        self.lab.client_as(change).await
    }

    /// Submits a witness for a tenant without checking it.
    pub(crate) async fn submit(&self, tenant: &str, circuit: &str, witness: &[u8]) -> Ticket {
        let client = self.client(tenant).await;
        let (circuit, options) = (circuit.parse().expect("a circuit's name"), SubmitOptions::default());
        let sealed = client.seal(&self.lab.bundle(), &circuit, witness, &options).expect("seal");
        client.publish(&sealed, options.patience, |_, _| {}).await.expect("publish");
        sealed.ticket
    }

    /// Waits for the outcome of a job, as its tenant learns it.
    pub(crate) async fn outcome(&self, tenant: &str, ticket: &Ticket) -> Collected {
        let client = self.client(tenant).await;
        let waiting = client.wait(ticket, |_| {});
        tokio::time::timeout(PATIENCE, waiting).await.expect("an answer in time").expect("to ask")
    }

    /// A connection that sees everything in the account that owns the streams.
    pub(crate) async fn observer(&self) -> jetstream::Context {
        let options =
            async_nats::ConnectOptions::with_user_and_password("observer".into(), "observer".into());
        jetstream::new(options.connect(self.lab.nats.url()).await.expect("connect the observer"))
    }
}

pub(crate) fn inbox_prefix(user: &User) -> String {
    format!("_INBOX_{}", user.key)
}

impl File {
    fn nats_config(self, url: &str, user: &User) -> NatsConfig {
        let (nkey, credentials) = match self {
            File::Seed => (Some(user.seed.clone()), None),
            File::Credentials => (None, Some(user.seed.clone())),
        };
        let inbox_prefix = Some(inbox_prefix(user));
        NatsConfig { url: url.to_owned(), nkey, credentials, inbox_prefix, ..NatsConfig::default() }
    }
}

/// A tenant by its name.
pub(crate) fn tenant(name: &str) -> Tenant {
    name.parse().expect("a tenant's name")
}

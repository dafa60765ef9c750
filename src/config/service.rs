//! The configuration of a service.
//!
//! Unknown keys are refused. Paths of keys are configuration; keys are not. Every key is explained in
//! `docs/sealprove.toml`, which a test parses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::nats::NatsConfig;
use super::read::{ConfigError, read};
use super::tenants::Tenants;
use crate::protocol::{CircuitId, Subjects, Tenant};

/// The configuration of `sealprove serve`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// The signed bundle that is served, made elsewhere by `sealprove bundle sign`.
    pub bundle: PathBuf,
    /// The folder of private keys, which only the chamber reads.
    pub keys: PathBuf,
    /// The prefix of all subjects.
    #[serde(default)]
    pub prefix: Subjects,
    /// The connection to the broker.
    #[serde(default)]
    pub nats: NatsConfig,
    /// The slots for jobs, and how the service stops.
    #[serde(default)]
    pub service: Slots,
    /// The address of metrics and health.
    #[serde(default)]
    pub admin: Admin,
    /// The settings of the streams.
    #[serde(default)]
    pub streams: Streams,
    /// The destination of the audit log.
    #[serde(default)]
    pub audit: AuditConfig,
    /// The destination of the spans of traces.
    #[serde(default)]
    pub traces: TracesConfig,
    /// Limits of circuits, by name. The bundle lists the circuits that are served.
    #[serde(default)]
    pub circuits: BTreeMap<CircuitId, CircuitLimits>,
    /// The tenants whose jobs are proved, and the share of each.
    #[serde(default)]
    pub tenants: Tenants,
}

/// The `[service]` table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slots {
    /// Number of jobs that are proved at once. At least 1.
    pub slots: usize,
    /// Number of threads for each proof. At least 1.
    pub threads: u32,
    /// One in this many jobs of a tenant is taken from its standard lane first, a share that its express lane cannot
    /// take. At least 2.
    pub standard_turn: u32,
    /// Whether processes lock themselves.
    pub sandbox: Sandbox,
    /// Memory for the service with all its processes; by default the limit of machine and cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Time that running proofs have after SIGTERM. Then they are handed back.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// Whether the processes of a service lock themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// They lock themselves, and do not start where they cannot.
    #[default]
    On,
    /// They do not. A decoder or a prover that is taken over can do all that the service's user can.
    Off,
}

impl Sandbox {
    /// Returns its name in configurations and arguments.
    pub fn as_str(self) -> &'static str {
        match self {
            Sandbox::On => "on",
            Sandbox::Off => "off",
        }
    }
}

impl std::str::FromStr for Sandbox {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "on" => Ok(Sandbox::On),
            "off" => Ok(Sandbox::Off),
            _ => Err("expected on or off"),
        }
    }
}

/// The `[admin]` table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The address of `/metrics`, `/livez`, `/readyz` and `/top.json`. It has no authentication: keep it internal.
    pub listen: SocketAddr,
    /// The tenants with metrics of their own. The others are part of the sums.
    pub tenants: Vec<Tenant>,
}

/// The `[streams]` table: the settings that `sealprove streams` applies and the service checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// Number of copies of every stream: 3 in production, 1 on a single broker.
    pub replicas: usize,
    /// Largest number of queued jobs of a tenant, unless its table sets one.
    pub jobs_max: u64,
    /// Largest size of the queued jobs of a tenant, in bytes.
    pub jobs_bytes_max: u64,
    /// Largest size of the answers of a tenant, which are kept for 48 hours, in bytes.
    pub answers_bytes_max: u64,
    /// Time without a progress message after which a delivery goes to another service. At least four times as long as
    /// a leader election of the broker takes.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
}

/// The `[audit]` table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// The destination of the lines.
    pub to: AuditTo,
    /// The folder, if they go to one. Each start of a service makes a folder of its own in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Size of a file at which the next one is started.
    pub file_bytes_max: ByteSize,
}

/// The `[traces]` table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// The collector that takes spans by OTLP over HTTP: `http://host:4318`. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
}

impl TracesConfig {
    /// Returns the collector's host and port.
    pub fn collector(&self) -> Option<&str> {
        self.otlp.as_deref()?.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'))
    }
}

/// The destination of the lines of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditTo {
    /// Nowhere.
    #[default]
    Off,
    /// Standard output. A service writes nothing else to it.
    Stdout,
    /// Files in a folder.
    Folder,
}

/// A circuit's table under `[circuits]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitLimits {
    /// Time after which the process of a proof is killed; the circuit's own limit by default.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Duration>,
    /// Memory at which the process of a proof is ended, without the memory that it shares with the chamber and the
    /// stacks of its threads; the circuit's own need by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<ByteSize>,
}

impl Default for Slots {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        Slots {
            slots: 1,
            threads: u32::try_from(threads).unwrap_or(1),
            standard_turn: 8,
            sandbox: Sandbox::On,
            memory: None,
            grace: Duration::from_secs(30),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: SocketAddr::from(([127, 0, 0, 1], 9464)), tenants: Vec::new() }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        AuditConfig { to: AuditTo::Off, folder: None, file_bytes_max: ByteSize::mib(64) }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Streams {
            replicas: 1,
            jobs_max: 100_000,
            jobs_bytes_max: 2 << 30,
            answers_bytes_max: 4 << 30,
            ack_wait: Duration::from_secs(60),
        }
    }
}

impl ServiceConfig {
    /// Reads a configuration from a file and the environment.
    ///
    /// # Errors
    /// When the file cannot be read, or the configuration contradicts itself.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        read::<Self>(path)?.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let refuse = |reason: &str| Err(ConfigError::Relation(reason.to_owned()));
        if self.service.slots == 0 || self.service.threads == 0 {
            return refuse("service.slots and service.threads are at least 1");
        }
        if self.service.standard_turn < 2 {
            return refuse("service.standard_turn is at least 2; 2 gives each lane half of the turns");
        }
        if self.admin.tenants.iter().any(|shown| !self.tenants.contains(shown)) {
            return refuse("admin.tenants may only name tenants of this deployment");
        }
        if self.streams.ack_wait < Duration::from_secs(1) {
            return refuse("streams.ack_wait is at least 1s");
        }
        if !matches!(self.streams.replicas, 1 | 3 | 5) {
            return refuse("streams.replicas is 1, 3 or 5");
        }
        let has_port =
            |host: &str| host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if self.traces.otlp.is_some() && !self.traces.collector().is_some_and(has_port) {
            return refuse("traces.otlp is http://host:port of a collector on the same machine or network");
        }
        if self.traces.otlp.is_some() && !cfg!(feature = "otlp") {
            return refuse("traces.otlp: this build sends no spans; build it with the feature otlp");
        }
        if (self.audit.to == AuditTo::Folder) != self.audit.folder.is_some() {
            return refuse("audit.folder and audit.to = \"folder\" are given together or not at all");
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "docs/sealprove.toml";

    /// Collects every key of a table and of the tables in it, with dots between. The name of a circuit or of a tenant is
    /// not a key.
    fn keys(table: &toml::Table, path: &str, found: &mut Vec<String>) {
        for (key, value) in table {
            let key = if matches!(path, "circuits." | "tenants.") { "*" } else { key };
            match value {
                toml::Value::Table(inner) => keys(inner, &format!("{path}{key}."), found),
                _ => found.push(format!("{path}{key}")),
            }
        }
    }

    #[test]
    fn the_sample_configuration_can_be_read_and_names_every_key() {
        let sample = std::fs::read_to_string(SAMPLE).unwrap();
        let config = ServiceConfig::read(SAMPLE.as_ref()).unwrap();
        assert_eq!(config.streams.replicas, 3);

        // A line that is commented out shows a default, and must be readable too.
        let with_defaults: Vec<&str> = sample
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest,
                _ => line,
            })
            .collect();
        let table: toml::Table = with_defaults.join("\n").parse().unwrap();
        let mut named = Vec::new();
        keys(&table, "", &mut named);
        named.sort();

        let mut config: ServiceConfig = table.clone().try_into().unwrap();
        config.nats.nkey = Some(PathBuf::from("x"));
        let mut every = Vec::new();
        keys(&toml::Table::try_from(&config).unwrap(), "", &mut every);
        every.sort();
        assert_eq!(named, every);
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused() {
        let refused = [
            "[service]\nslots = 0",
            "[service]\nthreads = 0",
            "[streams]\nreplicas = 2",
            "[admin]\ntenants = [\"stranger\"]",
            "[streams]\nack_wait = \"100ms\"",
            "[nats]\npassword = \"x\"",
            "[audit]\nto = \"folder\"",
            "[traces]\notlp = \"https://collector:4318\"",
            "[traces]\notlp = \"http://collector\"",
            "[audit]\nto = \"syslog\"",
            "[audit]\nfolder = \"f\"",
            "colour = \"red\"",
            "tenants = [\"acme\"]",
            "[tenants.acme]\nweight = 0",
        ];
        for text in refused {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), format!("bundle = \"b\"\nkeys = \"k\"\n{text}\n")).unwrap();
            assert!(ServiceConfig::read(file.path()).is_err(), "{text}");
        }
    }
}

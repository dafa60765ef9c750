//! A throw-away deployment in one folder: identity, keys, bundle and configurations.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use crate::circuit::Circuits;
use crate::cli::circuits;
use crate::cli::exit::{Exit, Failure};
use crate::config::{
    Admin, AuditConfig, ClientConfig, NatsConfig, ServiceConfig, Slots, Streams, TracesConfig,
};
use crate::operator::key_folder::{KeyFolder, NewKey};
use crate::operator::keyring::Life;
use crate::protocol::{Bundle, IdentityKey, Scheme, UnixSeconds, VERSION};

/// Validity of keys and bundle.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The configurations of a throw-away deployment.
pub(crate) struct Throwaway {
    pub(crate) service: ServiceConfig,
    pub(crate) client: ClientConfig,
}

impl Throwaway {
    /// Makes identity, keys and bundle, and writes both configurations, for a broker on a local port.
    pub(crate) fn create(
        folder: &Path,
        broker_port: u16,
        slots: Slots,
        circuits: &Circuits,
    ) -> Result<Self, Failure> {
        let identity = IdentityKey::generate();
        let (keys, bundle) = (folder.join("keys"), folder.join("bundle.json"));
        std::fs::create_dir_all(folder)?;
        std::fs::write(&bundle, make_bundle(&identity, &keys, circuits)?)?;
        let nats = NatsConfig { url: format!("nats://127.0.0.1:{broker_port}"), ..NatsConfig::default() };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(0)?));
        let service = ServiceConfig {
            bundle,
            keys,
            prefix: Default::default(),
            nats: nats.clone(),
            service: slots,
            admin: Admin { listen, ..Admin::default() },
            streams: Streams::default(),
            audit: AuditConfig::default(),
            traces: TracesConfig::default(),
            circuits: Default::default(),
            tenants: Default::default(),
        };
        let client = ClientConfig {
            nats,
            identity: Some(identity.identity()),
            state: Some(folder.join("state")),
            ..ClientConfig::default()
        };
        let toml = toml::to_string(&service).map_err(|error| Failure::new(Exit::Failed, error))?;
        std::fs::write(folder.join("sealprove.toml"), toml)?;
        std::fs::write(folder.join("client.toml"), client_toml(&client)?)?;
        Ok(Throwaway { service, client })
    }
}

fn make_bundle(identity: &IdentityKey, keys: &Path, circuits: &Circuits) -> Result<Vec<u8>, Failure> {
    let now = UnixSeconds::now();
    let life = Life { seal_from: now, seal_for: LIFE, bundles_for: LIFE };
    let folder = KeyFolder::new(keys);
    folder.add(&Scheme::STRONGEST_FIRST.map(|scheme| NewKey::generate(scheme, life)))?;
    let bundle = Bundle {
        version: VERSION.to_owned(),
        // Cannot panic: a constant name.
        deployment: "dev".parse().expect("a deployment's name"),
        identity: identity.identity(),
        serial: now.0,
        issued_at: now,
        expires_at: now + LIFE,
        keys: folder.read()?.listed(now),
        circuits: circuits::describe(circuits),
    };
    Ok(bundle.sign(identity).to_json())
}

/// Formats a client configuration.
pub(crate) fn client_toml(config: &ClientConfig) -> Result<Vec<u8>, Failure> {
    Ok(toml::to_string(config).map_err(|error| Failure::new(Exit::Failed, error))?.into_bytes())
}

/// Returns a free port, or checks that `wanted` is free unless it is 0. Another program may take it before it is used.
pub(crate) fn free_port(wanted: u16) -> Result<u16, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, wanted));
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    let bound = bound.map_err(|error| Failure::new(Exit::Failed, format!("listen on {address}: {error}")))?;
    Ok(bound.port())
}

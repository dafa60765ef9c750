//! The connection to the deployment: flags and environment, over a client configuration that was named or found.

use std::path::{Path, PathBuf};

use crate::circuit::Circuits;
use crate::cli::exit::Failure;
use crate::client::{Client, ClientError, State};
use crate::config::ClientConfig;
use crate::protocol::{Identity, Tenant};

/// The connection to the deployment. All of it can stand in a file.
#[derive(clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// A client configuration [default: of a running `sealprove dev`, else ~/.config/sealprove/client.toml]
    #[arg(long, value_name = "FILE", env = "SEALPROVE_CLIENT")]
    client: Option<PathBuf>,
    /// The broker's address, such as nats://host:4222
    #[arg(long, value_name = "URL", env = "SEALPROVE_NATS_URL")]
    nats: Option<String>,
    /// A credentials file for the broker
    #[arg(long, value_name = "FILE", env = "SEALPROVE_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// The tenant that jobs belong to
    #[arg(long, env = "SEALPROVE_TENANT")]
    tenant: Option<Tenant>,
    /// The pinned identity that signs the deployment's bundles: ed25519:…
    #[arg(long, env = "SEALPROVE_IDENTITY")]
    identity: Option<Identity>,
}

impl Connection {
    /// Returns the configuration that these arguments make.
    pub(crate) fn config(&self) -> Result<ClientConfig, Failure> {
        let mut config = match self.file() {
            Some(path) => ClientConfig::read(&path)?,
            None => ClientConfig::default(),
        };
        if let Some(url) = &self.nats {
            config.nats.url.clone_from(url);
        }
        if let Some(credentials) = &self.credentials {
            config.nats.credentials = Some(credentials.clone());
        }
        if let Some(tenant) = &self.tenant {
            config.tenant = tenant.clone();
        }
        config.identity = self.identity.or(config.identity);
        Ok(config)
    }

    /// Returns the named file, else that of a running development environment, else the user's own.
    fn file(&self) -> Option<PathBuf> {
        let running = || DevFile::of_user().filter(DevFile::is_in_use).map(|file| file.0);
        let own = || user_client_file().filter(|path| path.is_file());
        self.client.clone().or_else(running).or_else(own)
    }

    /// Connects to the deployment.
    pub(crate) async fn connect(&self, circuits: &Circuits) -> Result<Client, Failure> {
        let connected = Client::connect(self.config()?, circuits.clone()).await;
        connected.map_err(|error| match error {
            ClientError::Connect(_) => Failure::from(error).with_hint(self.address_source()),
            error => error.into(),
        })
    }

    /// Tells where the broker's address is from.
    fn address_source(&self) -> String {
        match (&self.nats, self.file()) {
            (Some(_), _) => "the address is from --nats or SEALPROVE_NATS_URL".to_owned(),
            (None, Some(path)) => format!("the client configuration is {}", path.display()),
            (None, None) => {
                "no client configuration was found, so this is the default address; name one with \
                             --client, or start `sealprove dev`"
                    .to_owned()
            }
        }
    }
}

/// Returns the path of the user's own client configuration; `None` without a home.
pub(super) fn user_client_file() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(folder.join("sealprove").join("client.toml"))
}

/// The client configuration of a running `sealprove dev`. Its first line names the process, so that a file which a killed
/// process left behind is not used.
pub(crate) struct DevFile(PathBuf);

const DEV_FILE_START: &str = "# sealprove dev, process ";

impl DevFile {
    /// Returns the file at the place where other shells of this user look; `None` without a home.
    pub(crate) fn of_user() -> Option<Self> {
        Some(DevFile(State::default_folder()?.join("dev-client.toml")))
    }

    fn process(&self) -> Option<u32> {
        let text = std::fs::read_to_string(&self.0).ok()?;
        text.strip_prefix(DEV_FILE_START)?.lines().next()?.parse().ok()
    }

    fn is_in_use(&self) -> bool {
        self.process().is_some_and(|process| Path::new("/proc").join(process.to_string()).exists())
    }
}

#[cfg(feature = "service")]
impl DevFile {
    /// Returns the file in a given folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        DevFile(folder.join("client.toml"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the file for this process.
    pub(crate) fn write(&self, config: &[u8]) -> Result<(), Failure> {
        if let Some(folder) = self.0.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let first = format!("{DEV_FILE_START}{}\n", std::process::id());
        let text = [first.as_bytes(), config].concat();
        crate::cli::files::write("write the client configuration", &self.0, &text)
    }

    /// Removes the file, unless another environment has written it since.
    pub(crate) fn remove(&self) {
        if self.process() == Some(std::process::id()) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

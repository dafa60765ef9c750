//! Files, TCP and other processes: Landlock (landlock(7)), by path, for this thread and all that it starts.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope, path_beneath_rules,
};

use super::error::LockError;

/// Newest version whose restrictions are asked for. An older kernel leaves out those that it does not know.
const NEWEST: ABI = ABI::V6;

/// Files that name resolution and TLS read: the resolver's, with the targets of their links; libraries that the resolver
/// loads; the system's authorities.
const SYSTEM: [&str; 14] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/usr/lib",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
];

/// The files that a service may read, and the folder that it may fill.
#[derive(Debug)]
pub struct Readable {
    /// The folder of private keys, which none of the paths may contain.
    keys: PathBuf,
    paths: Vec<PathBuf>,
    filled: Option<PathBuf>,
}

impl Readable {
    /// Creates the list of files that every program reads, without those that contain `keys`.
    pub fn without(keys: &Path) -> Self {
        let keys = keys.canonicalize().unwrap_or_else(|_| keys.to_owned());
        let paths = SYSTEM.iter().map(PathBuf::from).filter(|path| !keys.starts_with(path)).collect();
        Readable { keys, paths, filled: None }
    }

    /// Adds a file, with its folder: a file that is replaced while the service runs is another one to Landlock. The
    /// folder is left out if the keys lie there.
    #[must_use]
    pub fn and(mut self, file: &Path) -> Self {
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let has_keys = folder.canonicalize().is_ok_and(|folder| self.keys.starts_with(folder));
        self.paths.push(if has_keys { file } else { folder }.to_owned());
        self
    }

    /// Adds a folder that the service may fill with new files, and cannot read.
    #[must_use]
    pub fn filling(mut self, folder: Option<&Path>) -> Self {
        self.filled = folder.map(Path::to_owned);
        self
    }
}

/// Takes from this thread all access to files, except what `readable` grants, and to processes outside. Returns the
/// version of Landlock. TCP stays allowed, since a service talks to its broker.
pub(super) fn allow(readable: &Readable) -> Result<u32, LockError> {
    let rules = path_beneath_rules(&readable.paths, AccessFs::ReadFile | AccessFs::ReadDir);
    let filled = path_beneath_rules(&readable.filled, AccessFs::MakeReg | AccessFs::WriteFile);
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rules(rules))
        .and_then(|ruleset| ruleset.add_rules(filled));
    restrict(ruleset)
}

/// Takes from this thread all access to files, to TCP, and to processes outside. Returns the version of Landlock.
pub(super) fn allow_none() -> Result<u32, LockError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create);
    restrict(ruleset)
}

fn restrict(ruleset: Result<RulesetCreated, landlock::RulesetError>) -> Result<u32, LockError> {
    let status = ruleset.and_then(RulesetCreated::restrict_self);
    match status.map_err(|error| LockError::Files(error.to_string()))?.landlock {
        LandlockStatus::Available { effective_abi, .. } => Ok(effective_abi as u32),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => Ok(0),
    }
}

//! What a process may do to files, to TCP and to other processes: Landlock (landlock(7)), by path, for this
//! thread and all that it starts.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope, path_beneath_rules,
};

use super::LockError;

/// The newest version whose every restriction is asked for. What an older kernel lacks is left out.
const NEWEST: ABI = ABI::V6;

/// What name resolution and TLS read: the resolver's files with what they are links to, libraries that the
/// resolver loads, the system's authorities.
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

/// The files that a service may read.
#[derive(Debug)]
pub struct Readable {
    keys: PathBuf,
    paths: Vec<PathBuf>,
    filled: Option<PathBuf>,
}

impl Readable {
    /// What every program reads; never what lies in `keys`.
    pub fn without(keys: &Path) -> Self {
        let keys = keys.canonicalize().unwrap_or_else(|_| keys.to_owned());
        let system = SYSTEM.iter().map(PathBuf::from).filter(|path| !keys.starts_with(path)).collect();
        Readable { keys, paths: system, filled: None }
    }

    /// And a file. With its folder, so that it can be replaced while the service runs, unless the keys lie
    /// there.
    #[must_use]
    pub fn and(mut self, file: &Path) -> Self {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let has_keys = folder.canonicalize().is_ok_and(|folder| self.keys.starts_with(folder));
        self.paths.push(if has_keys { file } else { folder }.to_owned());
        self
    }

    /// And it may fill this folder with new files, which it cannot read.
    #[must_use]
    pub fn filling(mut self, folder: Option<&Path>) -> Self {
        self.filled = folder.map(Path::to_owned);
        self
    }
}

/// Takes all access to files from this thread but reading what is `readable` and filling its folder, and
/// processes outside. TCP is left as it is: a service talks to its broker.
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

/// Takes all access to files, TCP, and processes outside from this thread.
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

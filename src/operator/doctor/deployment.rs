//! Keys and bundle of a deployment, as they lie on disk: whether clients have something to seal to, now and for
//! some days to come, and whether both agree. No private key is read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;
use crate::cli::keys;
use crate::config::ServiceConfig;
use crate::operator::keyring::{KeyRecord, KeyState, Keyring};
use crate::protocol::{Bundle, BundleError, KeyId, Scheme, SignedBundle, UnixSeconds};

/// How long before an end it is said, in seconds.
const SOON: u64 = 7 * 86_400;

pub(crate) fn keys(config: &ServiceConfig) -> Vec<Finding> {
    let folder = &config.keys;
    let keyring = match keys::read(folder) {
        Ok(keyring) => keyring,
        Err(failure) => {
            return vec![Finding::not_known(
                "keys",
                "the folder",
                format!("{}: run this as its owner", failure.text()),
            )];
        }
    };
    let mut findings: Vec<Finding> = Scheme::STRONGEST_FIRST
        .iter()
        .map(|scheme| of_scheme(*scheme, &keyring, UnixSeconds::now()))
        .collect();
    findings.extend(keyring.records().iter().map(|record| of_key(record, folder, UnixSeconds::now())));
    findings
}

/// Somebody has to be there to seal to, today and in a week.
fn of_scheme(scheme: Scheme, keyring: &Keyring, now: UnixSeconds) -> Finding {
    let what = format!("a key of {} to seal to", scheme.as_str());
    let lives = || {
        keyring.records().iter().filter(|record| record.key.scheme == scheme && record.destroyed_at.is_none())
    };
    let is_active = lives().any(|record| record.state(now) == KeyState::Active);
    let until = lives().map(|record| record.key.seal_until).max().unwrap_or_default();
    let rotate = "`sealprove keys rotate`, then sign and serve a new bundle";
    match until.0.checked_sub(now.0) {
        Some(left) if is_active && left > SOON => {
            Finding::in_force("keys", what, format!("for {} days", left / 86_400))
        }
        Some(left) if is_active => {
            Finding::not("keys", what, format!("for {} days only: {rotate}", left / 86_400))
        }
        _ => Finding::not("keys", what, format!("none is active: {rotate}")),
    }
}

/// A key's private half is where it has to be, and nobody else's to read.
fn of_key(record: &KeyRecord, folder: &Path, now: UnixSeconds) -> Finding {
    let KeyRecord { key, .. } = record;
    let state = record.state(now);
    let what = format!("{} {} {}", &key.id.as_str()[..13], key.scheme.as_str(), state.as_str());
    let private = std::fs::metadata(folder.join(format!("{}.{}", key.id, key.scheme.as_str())));
    let days = |until: UnixSeconds| until.since(now).as_secs() / 86_400;
    match (state, private) {
        (KeyState::Destroyed, Err(_)) => Finding::in_force("keys", what, "its private half is gone"),
        (KeyState::Destroyed, Ok(_)) => {
            Finding::not("keys", what, "its private half is here again: remove it, in backups too")
        }
        (_, Err(_)) => {
            Finding::not("keys", what, "its private half is not here: put it back, or destroy the key")
        }
        (_, Ok(file)) if file.permissions().mode() & 0o007 != 0 => {
            let mode = file.permissions().mode() & 0o777;
            Finding::not("keys", what, format!("mode {mode:04o}, which others can use: `chmod 0600` it"))
        }
        (KeyState::Retired, Ok(_)) if record.is_needed_until() <= now => Finding::not(
            "keys",
            what,
            format!("no longer needed: `sealprove keys destroy {} {}`", folder.display(), key.id),
        ),
        (KeyState::Retired, Ok(_)) => {
            Finding::in_force("keys", what, format!("opens for {} days", days(key.open_until)))
        }
        (KeyState::Pending, Ok(_)) => {
            Finding::in_force("keys", what, format!("in {} days", days(key.seal_from)))
        }
        (KeyState::Active, Ok(file)) => {
            let mode = file.permissions().mode() & 0o777;
            Finding::in_force("keys", what, format!("for {} days, mode {mode:04o}", days(key.seal_until)))
        }
    }
}

/// The bundle on disk, if it can be read.
pub(crate) fn read_bundle(config: &ServiceConfig) -> Result<Bundle, String> {
    let path = config.bundle.display();
    let bytes = std::fs::read(&config.bundle).map_err(|error| format!("read {path}: {error}"))?;
    let signed = SignedBundle::from_json(&bytes).map_err(|error| error.to_string())?;
    let bundle = signed.read_unverified().map_err(|error| error.to_string())?;
    // By the identity that it names itself: whether it is the right one, clients know, who have pinned it.
    match signed.verify(bundle.identity, UnixSeconds::now(), 0) {
        Ok(_) | Err(BundleError::Expired { .. }) => Ok(bundle),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) fn bundle(config: &ServiceConfig, bundle: &Result<Bundle, String>) -> Vec<Finding> {
    let sign = "sign a new one with `sealprove bundle sign`";
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(cause) => return vec![Finding::not("bundle", "is signed", format!("{cause}: {sign}"))],
    };
    let now = UnixSeconds::now();
    let mut findings = vec![Finding::in_force("bundle", "is signed", format!("by {}", bundle.identity))];
    findings.push(match bundle.expires_at.0.checked_sub(now.0) {
        Some(left) if left > SOON => {
            Finding::in_force("bundle", "is good", format!("for {} days", left / 86_400))
        }
        Some(left) => Finding::not("bundle", "is good", format!("for {} hours only: {sign}", left / 3600)),
        None => Finding::not("bundle", "is good", format!("it has run out: {sign}")),
    });
    findings.push(agreement(config, bundle, now));
    findings
}

/// A bundle lists what the folder has, and what the folder has to seal to is listed.
fn agreement(config: &ServiceConfig, bundle: &Bundle, now: UnixSeconds) -> Finding {
    let what = "agrees with the keys";
    let Ok(keyring) = keys::read(&config.keys) else {
        return Finding::not_known("bundle", what, "the folder of keys cannot be read");
    };
    let has = |id: &KeyId| {
        keyring.records().iter().any(|record| record.key.id == *id && record.destroyed_at.is_none())
    };
    if let Some(ahead) = bundle.keys.iter().find(|key| !has(&key.id)) {
        let how = format!("it lists the key {}, which is not here: deploy first, publish second", ahead.id);
        return Finding::not("bundle", what, how);
    }
    let listed = keyring.listed(now);
    match listed.iter().find(|key| !bundle.keys.iter().any(|of_bundle| of_bundle.id == key.id)) {
        Some(unlisted) => {
            let how = format!("it does not list the key {}: sign and serve a new one", unlisted.id);
            Finding::not("bundle", what, how)
        }
        None => Finding::in_force("bundle", what, format!("{} listed, all here", bundle.keys.len())),
    }
}

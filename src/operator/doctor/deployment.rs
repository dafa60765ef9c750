//! Keys and bundle of a deployment, as they lie on disk: examines whether clients have a key to seal to, now and for
//! some days to come, and whether keys and bundle agree. It reads no private key.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;
use crate::causes::with_causes;
use crate::config::ServiceConfig;
use crate::operator::key_folder::KeyFolder;
use crate::operator::keyring::{KeyRecord, KeyState, Keyring};
use crate::protocol::{Bundle, BundleError, KeyId, Scheme, SignedBundle, UnixSeconds};

/// Time before an end at which it is reported, in seconds.
const SOON: u64 = 7 * 86_400;

/// Examines the folder of keys.
pub fn keys(config: &ServiceConfig) -> Vec<Finding> {
    let folder = &config.keys;
    let keyring = match KeyFolder::new(folder).read() {
        Ok(keyring) => keyring,
        Err(error) => {
            let how = format!("{}: run this as its owner", with_causes(&error));
            return vec![Finding::not_known("keys", "the folder", how)];
        }
    };
    let mut findings: Vec<Finding> =
        Scheme::ALL.iter().map(|scheme| examine_scheme(*scheme, &keyring, UnixSeconds::now())).collect();
    findings.extend(keyring.records().iter().map(|record| examine_key(record, folder, UnixSeconds::now())));
    findings
}

/// Examines whether clients have a key of this scheme to seal to, today and in a week.
fn examine_scheme(scheme: Scheme, keyring: &Keyring, now: UnixSeconds) -> Finding {
    let what = format!("a key of {} to seal to", scheme.as_str());
    let usable: Vec<&KeyRecord> = keyring
        .records()
        .iter()
        .filter(|record| record.key.scheme == scheme && record.destroyed_at.is_none())
        .collect();
    let is_active = usable.iter().any(|record| record.state(now) == KeyState::Active);
    let until = usable.iter().map(|record| record.key.seal_until).max().unwrap_or_default();
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

/// Examines whether a key's private half is where it must be, and readable by its owner and group alone.
fn examine_key(record: &KeyRecord, folder: &Path, now: UnixSeconds) -> Finding {
    let KeyRecord { key, .. } = record;
    let state = record.state(now);
    let what = format!("{} {} {}", &key.id.as_str()[..13], key.scheme.as_str(), state.as_str());
    let private = std::fs::metadata(KeyFolder::new(folder).private_file(record));
    let days_until = |time: UnixSeconds| time.since(now).as_secs() / 86_400;
    match (state, private) {
        (KeyState::Destroyed, Err(_)) => Finding::in_force("keys", what, "its private half is gone"),
        (KeyState::Destroyed, Ok(_)) => {
            Finding::not("keys", what, "its private half is here: remove it, in backups too")
        }
        (_, Err(_)) => {
            Finding::not("keys", what, "its private half is not here: put it back, or destroy the key")
        }
        (_, Ok(file)) if file.permissions().mode() & 0o007 != 0 => {
            let mode = file.permissions().mode() & 0o777;
            Finding::not("keys", what, format!("mode {mode:04o}, so others can read it: `chmod 0600` it"))
        }
        (KeyState::Retired, Ok(_)) if record.needed_until() <= now => Finding::not(
            "keys",
            what,
            format!("no longer needed: `sealprove keys destroy {} {}`", folder.display(), key.id),
        ),
        (KeyState::Retired, Ok(_)) => {
            Finding::in_force("keys", what, format!("opens for {} days", days_until(key.open_until)))
        }
        (KeyState::Pending, Ok(_)) => {
            Finding::in_force("keys", what, format!("in {} days", days_until(key.seal_from)))
        }
        (KeyState::Active, Ok(file)) => {
            let mode = file.permissions().mode() & 0o777;
            Finding::in_force(
                "keys",
                what,
                format!("for {} days, mode {mode:04o}", days_until(key.seal_until)),
            )
        }
    }
}

/// Reads the bundle on disk.
///
/// # Errors
/// When it cannot be read, or is not signed by the identity that it names; in words.
pub fn read_bundle(config: &ServiceConfig) -> Result<Bundle, String> {
    let path = config.bundle.display();
    let bytes = std::fs::read(&config.bundle).map_err(|error| format!("read {path}: {error}"))?;
    let signed = SignedBundle::from_json(&bytes).map_err(|error| error.to_string())?;
    let bundle = signed.read_unverified().map_err(|error| error.to_string())?;
    // The bundle is checked against its own identity: only clients, which have pinned one, know the right identity.
    match signed.verify(bundle.identity, UnixSeconds::now(), 0) {
        Ok(_) | Err(BundleError::Expired { .. }) => Ok(bundle),
        Err(error) => Err(error.to_string()),
    }
}

/// Examines the bundle, given as [`read_bundle`] returns it.
pub fn bundle(config: &ServiceConfig, bundle: &Result<Bundle, String>) -> Vec<Finding> {
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
        None => Finding::not("bundle", "is good", format!("it has expired: {sign}")),
    });
    findings.push(compare_with_keys(config, bundle, now));
    findings
}

/// Checks that the bundle lists no key that the folder lacks, and every key that clients may seal to.
fn compare_with_keys(config: &ServiceConfig, bundle: &Bundle, now: UnixSeconds) -> Finding {
    let what = "agrees with the keys";
    let Ok(keyring) = KeyFolder::new(&config.keys).read() else {
        return Finding::not_known("bundle", what, "the folder of keys cannot be read");
    };
    let usable: Vec<&KeyId> = keyring
        .records()
        .iter()
        .filter(|record| record.destroyed_at.is_none())
        .map(|record| &record.key.id)
        .collect();
    if let Some(ahead) = bundle.keys.iter().find(|key| !usable.contains(&&key.id)) {
        let how =
            format!("it lists the key {}, which is not here: deploy the key before the bundle", ahead.id);
        return Finding::not("bundle", what, how);
    }
    let listed = keyring.listed(now);
    match listed.iter().find(|key| !bundle.keys.iter().any(|other| other.id == key.id)) {
        Some(unlisted) => {
            let how = format!("it does not list the key {}: sign and serve a new one", unlisted.id);
            Finding::not("bundle", what, how)
        }
        None => Finding::in_force("bundle", what, format!("{} listed, all here", bundle.keys.len())),
    }
}

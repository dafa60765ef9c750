//! The recipient keys of a deployment and their life: pending, active, retired, destroyed.
//!
//! ```text
//!           seal_from        seal_until                          open_until
//!  pending ────┼──── active ─────┼── retired: opens, is not sealed to ────┼── may be destroyed
//! ```
//!
//! A key opens until the last bundle that lists it has expired and every job sealed to it has ended, so that no queued
//! job is stranded. Pure: reads no file and no clock, and holds no private key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::{
    ANSWER_GRACE, Base64, BundleKey, JOB_LIFETIME_MAX, KeyId, Scheme, UnixSeconds, key_id,
};

/// The state of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Services have it; clients do not seal to it yet.
    Pending,
    /// Clients seal to it.
    Active,
    /// Clients no longer seal to it; it still opens.
    Retired,
    /// Its private half is gone. A job sealed to it is answered `KEY_RETIRED`.
    Destroyed,
}

impl KeyState {
    /// Returns the name of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyState::Pending => "pending",
            KeyState::Active => "active",
            KeyState::Retired => "retired",
            KeyState::Destroyed => "destroyed",
        }
    }
}

/// The public half of a key and its times: the file `<id>.json`, and `<id>.destroyed` at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The key as the bundle lists it.
    #[serde(flatten)]
    pub key: BundleKey,
    /// Time of the destruction of its private half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroyed_at: Option<UnixSeconds>,
}

impl KeyRecord {
    /// Creates the record of a new key.
    pub fn new(scheme: Scheme, public_key: Vec<u8>, life: Life) -> Self {
        let seal_until = life.seal_from + life.seal_for;
        let key = BundleKey {
            id: key_id(scheme, &public_key),
            scheme,
            public_key: Base64(public_key),
            seal_from: life.seal_from,
            seal_until,
            // The holder of the last bundle that lists it may seal until that bundle expires, and the job lives a
            // day; a second day is a margin.
            open_until: seal_until + life.bundles_for + 2 * JOB_LIFETIME_MAX,
        };
        KeyRecord { key, destroyed_at: None }
    }

    /// Returns its state at `now`.
    pub fn state(&self, now: UnixSeconds) -> KeyState {
        match self {
            KeyRecord { destroyed_at: Some(_), .. } => KeyState::Destroyed,
            KeyRecord { key, .. } if now < key.seal_from => KeyState::Pending,
            KeyRecord { key, .. } if now < key.seal_until => KeyState::Active,
            KeyRecord { .. } => KeyState::Retired,
        }
    }

    /// Returns the time from which no job sealed to it can be waiting for an answer.
    pub fn needed_until(&self) -> UnixSeconds {
        self.key.open_until + ANSWER_GRACE
    }
}

/// The lifetime of a new key.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Time from which clients seal to it.
    pub seal_from: UnixSeconds,
    /// Time for which they do.
    pub seal_for: Duration,
    /// Longest validity of a bundle that lists it.
    pub bundles_for: Duration,
}

/// The change would strand jobs or clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The key is unknown.
    #[error("there is no key {0} here; `sealprove keys list` shows the keys")]
    Unknown(KeyId),
    /// The key is destroyed already.
    #[error("the key {0} is destroyed already")]
    Destroyed(KeyId),
    /// It is the last key that clients can seal to.
    #[error("clients would have no other key to seal to now; make one with `sealprove keys rotate` first")]
    Last,
    /// Jobs sealed to it may be waiting.
    #[error(
        "jobs sealed to the key {id} may wait for their answers until {}; destroy it then, or, if it is disclosed, now \
         with --compromised, which answers those jobs KEY_RETIRED",
        until.to_rfc3339()
    )]
    Needed {
        /// The key.
        id: KeyId,
        /// End of the longest wait.
        until: UnixSeconds,
    },
    /// The old keys end before the new ones begin.
    #[error(
        "clients would have no key to seal to from {} until {}; choose a shorter --lead",
        from.to_rfc3339(),
        until.to_rfc3339()
    )]
    Gap {
        /// End of the last old key.
        from: UnixSeconds,
        /// Start of the first new key.
        until: UnixSeconds,
    },
}

/// All keys of a deployment, including destroyed ones, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    records: Vec<KeyRecord>,
}

impl Keyring {
    /// Creates a keyring of these keys.
    pub fn new(mut records: Vec<KeyRecord>) -> Self {
        records.sort_by(|one, two| {
            (one.key.seal_from, one.key.scheme, &one.key.id).cmp(&(
                two.key.seal_from,
                two.key.scheme,
                &two.key.id,
            ))
        });
        Keyring { records }
    }

    /// The records of all keys.
    pub fn records(&self) -> &[KeyRecord] {
        &self.records
    }

    /// Returns the keys that a bundle signed now lists: those that clients seal to, now or later.
    pub fn listed(&self, now: UnixSeconds) -> Vec<BundleKey> {
        let listed = self.records.iter().filter(|record| record.state(now) <= KeyState::Active);
        listed.map(|record| record.key.clone()).collect()
    }

    /// Adds new keys, which all start at the same time, and ends the active keys `overlap` after that start. Clients
    /// prefer the newest key. Returns the changed records.
    ///
    /// # Errors
    /// When there would be a time without an active key.
    pub fn rotate(
        &mut self,
        new: Vec<KeyRecord>,
        overlap: Duration,
        now: UnixSeconds,
    ) -> Result<Vec<KeyRecord>, KeyringError> {
        let begin = new.iter().map(|record| record.key.seal_from).min().unwrap_or(now);
        let is_active = |record: &KeyRecord| record.state(now) == KeyState::Active;
        let active = self.records.iter().filter(|record| is_active(record));
        let last_end = active.map(|record| record.key.seal_until).max();
        if let Some(from) = last_end.filter(|end| *end < begin) {
            return Err(KeyringError::Gap { from, until: begin });
        }
        let end = begin + overlap;
        let mut changed = Vec::new();
        for record in &mut self.records {
            if is_active(record) && record.key.seal_until > end {
                record.key.seal_until = end;
                changed.push(record.clone());
            }
        }
        changed.extend(new.iter().cloned());
        *self = Keyring::new([std::mem::take(&mut self.records), new].concat());
        Ok(changed)
    }

    /// Retires a key, so that clients no longer seal to it; returns its new record.
    ///
    /// # Errors
    /// When it is the last active key.
    pub fn retire(&mut self, id: &KeyId, now: UnixSeconds) -> Result<KeyRecord, KeyringError> {
        let is_other = |record: &KeyRecord| record.key.id != *id && record.state(now) == KeyState::Active;
        let has_other = self.records.iter().any(is_other);
        let record = self.find(id)?;
        match record.state(now) {
            KeyState::Active if !has_other => return Err(KeyringError::Last),
            // With an empty life it is never listed in a bundle.
            KeyState::Pending => (record.key.seal_from, record.key.seal_until) = (now, now),
            KeyState::Active => record.key.seal_until = now,
            KeyState::Retired | KeyState::Destroyed => {}
        }
        Ok(record.clone())
    }

    /// Marks a key as destroyed at `now`; returns its new record. The caller destroys the private half.
    ///
    /// # Errors
    /// When jobs that were sealed to it may be waiting, unless the key is `compromised`.
    pub fn destroy(
        &mut self,
        id: &KeyId,
        compromised: bool,
        now: UnixSeconds,
    ) -> Result<KeyRecord, KeyringError> {
        let record = self.find(id)?;
        let until = record.needed_until();
        if now < until && !compromised {
            return Err(KeyringError::Needed { id: id.clone(), until });
        }
        record.destroyed_at = Some(now);
        Ok(record.clone())
    }

    /// Finds a key that is not destroyed.
    fn find(&mut self, id: &KeyId) -> Result<&mut KeyRecord, KeyringError> {
        let found = self.records.iter_mut().find(|record| record.key.id == *id);
        let record = found.ok_or_else(|| KeyringError::Unknown(id.clone()))?;
        match record.destroyed_at {
            Some(_) => Err(KeyringError::Destroyed(id.clone())),
            None => Ok(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);

    fn key(byte: u8, seal_from: UnixSeconds, seal_days: u32) -> KeyRecord {
        let life = Life { seal_from, seal_for: DAY * seal_days, bundles_for: DAY * 30 };
        KeyRecord::new(Scheme::X25519, vec![byte; 32], life)
    }

    fn id(byte: u8) -> KeyId {
        key_id(Scheme::X25519, &[byte; 32])
    }

    fn states(keyring: &Keyring, now: UnixSeconds) -> Vec<KeyState> {
        keyring.records().iter().map(|record| record.state(now)).collect()
    }

    #[test]
    fn a_key_is_pending_then_active_then_retired() {
        let keyring = Keyring::new(vec![key(1, NOW, 10)]);
        let states =
            [NOW - SECOND, NOW, NOW + DAY * 10 - SECOND, NOW + DAY * 10].map(|now| states(&keyring, now)[0]);
        assert_eq!(states, [KeyState::Pending, KeyState::Active, KeyState::Active, KeyState::Retired]);
    }

    #[test]
    fn a_key_opens_until_the_last_job_of_the_last_bundle_has_ended() {
        let record = key(1, NOW, 10);
        let last_bundle_ends = record.key.seal_until + DAY * 30;
        assert!(record.key.open_until >= last_bundle_ends + JOB_LIFETIME_MAX + ANSWER_GRACE);

        let mut keyring = Keyring::new(vec![record.clone()]);
        let until = record.needed_until();
        assert_eq!(
            keyring.destroy(&id(1), false, until - SECOND),
            Err(KeyringError::Needed { id: id(1), until })
        );
        assert_eq!(keyring.destroy(&id(1), false, until).unwrap().destroyed_at, Some(until));
        assert_eq!(keyring.destroy(&id(1), true, until), Err(KeyringError::Destroyed(id(1))));
    }

    #[test]
    fn a_compromised_key_is_destroyed_at_once_and_no_longer_listed() {
        let mut keyring = Keyring::new(vec![key(1, NOW, 10), key(2, NOW, 10)]);
        keyring.destroy(&id(1), true, NOW).unwrap();
        assert_eq!(keyring.listed(NOW).iter().map(|key| &key.id).collect::<Vec<_>>(), [&id(2)]);
        assert_eq!(keyring.destroy(&id(3), true, NOW), Err(KeyringError::Unknown(id(3))));
    }

    #[test]
    fn a_rotation_leaves_no_time_without_a_key() {
        let mut keyring = Keyring::new(vec![key(1, NOW - DAY, 3)]);
        let late = keyring.rotate(vec![key(2, NOW + DAY * 5, 10)], DAY, NOW);
        assert_eq!(late, Err(KeyringError::Gap { from: NOW + DAY * 2, until: NOW + DAY * 5 }));

        let changed = keyring.rotate(vec![key(2, NOW + DAY, 10)], SECOND * 60, NOW).unwrap();
        assert_eq!(changed.len(), 2);
        for (now, expected) in [
            (NOW, [KeyState::Active, KeyState::Pending]),
            (NOW + DAY, [KeyState::Active, KeyState::Active]),
            (NOW + DAY + SECOND * 60, [KeyState::Retired, KeyState::Active]),
        ] {
            assert_eq!(states(&keyring, now), expected);
        }
        // Clients still hold bundles that list it, so it opens for as long as before.
        assert_eq!(changed[0].key.open_until, key(1, NOW - DAY, 3).key.open_until);
    }

    #[test]
    fn the_last_active_key_cannot_be_retired() {
        let mut keyring = Keyring::new(vec![key(1, NOW, 10), key(2, NOW + DAY, 10)]);
        assert_eq!(keyring.retire(&id(1), NOW), Err(KeyringError::Last));
        assert_eq!(keyring.retire(&id(1), NOW + DAY).unwrap().key.seal_until, NOW + DAY);
        assert_eq!(states(&keyring, NOW + DAY), [KeyState::Retired, KeyState::Active]);
    }

    #[test]
    fn a_record_is_the_bundles_key_with_the_time_of_its_destruction() {
        let mut keyring = Keyring::new(vec![key(1, NOW, 10)]);
        let json = serde_json::to_value(&keyring.records()[0]).unwrap();
        assert_eq!(json, serde_json::to_value(&keyring.records()[0].key).unwrap());
        let destroyed = keyring.destroy(&id(1), true, NOW).unwrap();
        let json = serde_json::to_string(&destroyed).unwrap();
        assert_eq!(serde_json::from_str::<KeyRecord>(&json).unwrap(), destroyed);
    }
}

//! The bundle that is served, and the next one. A bundle that changes on disk is served once the chamber has
//! every key and every circuit that it lists: deploy first, publish second.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tracing::{error, info, warn};

use super::link::Live;
use super::{ServiceError, Shared};
use crate::audit::log::Audit;
use crate::audit::{BundleServed, Event, Sha256Digest};
use crate::bundle::{Bundle, BundleCircuit, BundleError, BundleKey, SignedBundle};
use crate::clock::unix_now;

/// A bundle, and the bytes that everybody gets who asks for it.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) bundle: Bundle,
    pub(super) bytes: Vec<u8>,
}

impl Signed {
    /// Reads a signed bundle that is still good.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ServiceError> {
        let signed = SignedBundle::from_json(bytes)?;
        let bundle = signed.read_unverified()?;
        if bundle.expires_at <= unix_now() {
            return Err(ServiceError::BundleExpired(bundle.expires_at));
        }
        // That it is the right identity, clients know; that it is signed at all can be seen here.
        let bundle = signed.verify(bundle.identity, unix_now(), 0)?;
        Ok(Signed { bundle, bytes: signed.to_json() })
    }

    /// What the audit log is told of it.
    fn is_served(&self) -> Event {
        let (serial, expires_at) = (self.bundle.serial, self.bundle.expires_at);
        Event::BundleServed(BundleServed { serial, expires_at, bundle: Sha256Digest::of(&self.bytes) })
    }

    /// It may promise nothing that the chamber does not have.
    pub(super) fn agrees_with(&self, chamber: &Live) -> Result<(), ServiceError> {
        has_all(chamber, &self.bundle.keys, &self.bundle.circuits)
    }
}

/// Says when the bundle that is served has run out: clients refuse it from then on, and no new jobs come.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut said = None;
    loop {
        let Bundle { serial, expires_at, .. } = shared.published.now().bundle;
        let left = expires_at.saturating_sub(unix_now());
        if left == 0 && said.replace(serial) != Some(serial) {
            error!(
                serial,
                "the bundle has expired, and clients refuse it; sign a new one with `sealprove bundle sign`"
            );
        }
        tokio::time::sleep(Duration::from_secs(left.clamp(1, 60))).await;
    }
}

/// Whether a chamber has these keys and circuits; says what it lacks.
fn has_all<'a>(
    chamber: &Live,
    keys: impl IntoIterator<Item = &'a BundleKey>,
    circuits: &[BundleCircuit],
) -> Result<(), ServiceError> {
    for key in keys {
        if chamber.keys.scheme_of(&key.id).is_none() {
            return Err(ServiceError::BundleAhead { what: format!("the key {}", key.id) });
        }
    }
    for circuit in circuits {
        let built = chamber.circuit(&circuit.id).map(|built| built.verifying_key);
        if built != Some(circuit.verifying_key) {
            let what = format!("the circuit {} under {}", circuit.id, circuit.verifying_key);
            return Err(ServiceError::BundleAhead { what });
        }
    }
    Ok(())
}

/// What is served at the moment.
pub(super) struct Published {
    served: RwLock<Arc<Signed>>,
    /// A newer one, which the chamber does not have everything for yet.
    waiting: Mutex<Option<Arc<Signed>>>,
    audit: Audit,
}

impl Published {
    pub(super) fn new(signed: Signed, audit: Audit) -> Self {
        audit.note(|| signed.is_served());
        Published { served: RwLock::new(Arc::new(signed)), waiting: Mutex::default(), audit }
    }

    /// The bundle that is served.
    pub(super) fn now(&self) -> Arc<Signed> {
        // Whoever panicked, the pointer is whole.
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bundle that is served, and the one that waits: the keys of either may be sealed to.
    pub(super) fn all(&self) -> Vec<Arc<Signed>> {
        [Some(self.now()), self.waiting()].into_iter().flatten().collect()
    }

    fn waiting(&self) -> Option<Arc<Signed>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_waiting(&self, waiting: Option<Arc<Signed>>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }

    /// A bundle that has changed on disk: serves it now, or once a chamber has what it lists.
    pub(super) fn offer(&self, bytes: &[u8], chamber: Option<&Live>) {
        match self.take(bytes) {
            Ok(Some(signed)) => {
                let serial = signed.bundle.serial;
                self.set_waiting(Some(Arc::new(signed)));
                match chamber.map(|chamber| self.advance(chamber)) {
                    Some(Ok(())) => {}
                    Some(Err(cause)) => warn!(serial, %cause, "the new bundle is not served yet"),
                    None => info!(serial, "the new bundle waits for a chamber"),
                }
            }
            Ok(None) => {}
            Err(cause) => error!(%cause, "the changed bundle is not served; the one before still is"),
        }
    }

    /// A bundle that may follow the one that is served; `None` for that one itself.
    fn take(&self, bytes: &[u8]) -> Result<Option<Signed>, ServiceError> {
        let (signed, now) = (Signed::read(bytes)?, self.now());
        if signed.bytes == now.bytes {
            return Ok(None);
        }
        let (new, old) = (&signed.bundle, &now.bundle);
        if new.deployment != old.deployment {
            return Err(ServiceError::OtherDeployment(new.deployment.clone()));
        }
        if new.identity != old.identity {
            return Err(ServiceError::OtherIdentity(new.identity));
        }
        if new.serial <= old.serial {
            let rollback = BundleError::Rollback { found: new.serial, seen: old.serial };
            return Err(rollback.into());
        }
        Ok(Some(signed))
    }

    /// Serves the bundle that waits, if there is one and this chamber has what it lists.
    pub(super) fn advance(&self, chamber: &Live) -> Result<(), ServiceError> {
        if let Some(waiting) = self.waiting() {
            waiting.agrees_with(chamber)?;
            info!(serial = waiting.bundle.serial, "the new bundle is served");
            self.audit.note(|| waiting.is_served());
            *self.served.write().unwrap_or_else(PoisonError::into_inner) = waiting;
            self.set_waiting(None);
        }
        Ok(())
    }

    /// Whether a chamber may take over: it has what the bundle lists that is served, or the one that waits. A key
    /// that was destroyed is lacked on purpose, whatever a bundle still says.
    pub(super) fn admits(&self, chamber: &Live) -> Result<(), ServiceError> {
        let waiting = self.waiting();
        if waiting.is_some_and(|waiting| waiting.agrees_with(chamber).is_ok()) {
            return Ok(());
        }
        let Bundle { keys, circuits, .. } = &self.now().bundle;
        let (destroyed, kept): (Vec<&BundleKey>, Vec<_>) =
            keys.iter().partition(|key| chamber.keys.destroyed.contains(&key.id));
        for key in destroyed {
            warn!(key = %key.id, "the bundle lists a key that is destroyed; sign a new one");
        }
        has_all(chamber, kept, circuits)
    }
}

//! The bundle that is served, and the next one. A bundle that changes on disk is served once the chamber has every
//! key and every circuit that it lists: deploy first, publish second.
//!
//! Requests hand out its signed bytes unchanged. A service can sign nothing.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tracing::{error, info, warn};

use super::chamber_client::ChamberClient;
use crate::audit::log::AuditLog;
use crate::audit::{BundleServed, Event};
use crate::protocol::{
    Bundle, BundleCircuit, BundleError, BundleKey, Deployment, Identity, Sha256Digest, SignedBundle,
    UnixSeconds,
};

/// A bundle cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeBundleError {
    /// The bundle is malformed, or older than the one that is served.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle has expired.
    #[error("the bundle expired at {}; sign a new one with `sealprove bundle sign`", .0.to_rfc3339())]
    Expired(UnixSeconds),
    /// The bundle belongs to another deployment.
    #[error("the bundle belongs to deployment {0}; restart the service if you meant to switch")]
    OtherDeployment(Deployment),
    /// The bundle is signed by another identity.
    #[error("the bundle is signed by identity {0}; restart the service if you meant to switch")]
    OtherIdentity(Identity),
    /// The bundle lists something that the chamber does not have.
    #[error("the bundle lists {what}, which this service does not have: deploy first, publish second")]
    Ahead {
        /// A key or circuit.
        what: String,
    },
}

/// A verified bundle, and the signed bytes that every client gets.
#[derive(Debug)]
pub(crate) struct ServableBundle {
    pub(crate) bundle: Bundle,
    pub(crate) bytes: Vec<u8>,
}

impl ServableBundle {
    /// Reads a signed bundle.
    ///
    /// # Errors
    /// When it is malformed, not signed by the identity that it names, or expired.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ServeBundleError> {
        let signed = SignedBundle::from_json(bytes)?;
        let bundle = signed.read_unverified()?;
        if bundle.expires_at <= UnixSeconds::now() {
            return Err(ServeBundleError::Expired(bundle.expires_at));
        }
        // The identity is the bundle's own claim. Only clients can tell whether it is the right one, since they pin it.
        let bundle = signed.verify(bundle.identity, UnixSeconds::now(), 0)?;
        Ok(ServableBundle { bundle, bytes: signed.to_json() })
    }

    fn audit_event(&self) -> Event {
        let (serial, expires_at) = (self.bundle.serial, self.bundle.expires_at);
        Event::BundleServed(BundleServed { serial, expires_at, bundle: Sha256Digest::hash(&self.bytes) })
    }

    /// Checks that it lists nothing that the chamber does not have.
    fn check_against(&self, chamber: &ChamberClient) -> Result<(), ServeBundleError> {
        check_has(chamber, &self.bundle.keys, &self.bundle.circuits)
    }
}

/// Checks that a chamber has these keys and circuits.
fn check_has<'a>(
    chamber: &ChamberClient,
    keys: impl IntoIterator<Item = &'a BundleKey>,
    circuits: &[BundleCircuit],
) -> Result<(), ServeBundleError> {
    for key in keys {
        if chamber.keys.scheme(&key.id).is_none() {
            return Err(ServeBundleError::Ahead { what: format!("the key {}", key.id) });
        }
    }
    for circuit in circuits {
        let built = chamber.circuit(&circuit.id).map(|built| built.verifying_key);
        if built != Some(circuit.verifying_key) {
            let what = format!("the circuit {} under {}", circuit.id, circuit.verifying_key);
            return Err(ServeBundleError::Ahead { what });
        }
    }
    Ok(())
}

/// The served bundle, which a newer one replaces while the service runs.
pub(crate) struct ServedBundle {
    current: RwLock<Arc<ServableBundle>>,
    /// A newer bundle, which lists something that the chamber does not have yet.
    next: Mutex<Option<Arc<ServableBundle>>>,
    audit: AuditLog,
}

impl ServedBundle {
    pub(crate) fn new(bundle: ServableBundle, audit: AuditLog) -> Self {
        audit.record(|| bundle.audit_event());
        ServedBundle { current: RwLock::new(Arc::new(bundle)), next: Mutex::default(), audit }
    }

    /// Returns the bundle that is served now.
    pub(crate) fn current(&self) -> Arc<ServableBundle> {
        self.current.read().clone()
    }

    /// Returns the served bundle and the next one: clients may seal to the keys of either.
    pub(super) fn current_and_next(&self) -> Vec<Arc<ServableBundle>> {
        [Some(self.current()), self.next.lock().clone()].into_iter().flatten().collect()
    }

    /// Takes a bundle that has changed on disk: serves it now, or once a chamber has what it lists.
    pub(super) fn offer(&self, bytes: &[u8], chamber: Option<&ChamberClient>) {
        match self.successor(bytes) {
            Ok(Some(bundle)) => {
                let serial = bundle.bundle.serial;
                *self.next.lock() = Some(Arc::new(bundle));
                match chamber.map(|chamber| self.promote(chamber)) {
                    Some(Ok(())) => {}
                    Some(Err(cause)) => warn!(serial, %cause, "the new bundle is not served yet"),
                    None => info!(serial, "the new bundle is served once a chamber is ready"),
                }
            }
            Ok(None) => {}
            Err(cause) => error!(%cause, "the changed bundle is not served; the previous one still is"),
        }
    }

    /// Reads a bundle that may follow the served one; returns `None` for the served one itself.
    fn successor(&self, bytes: &[u8]) -> Result<Option<ServableBundle>, ServeBundleError> {
        let (new, current) = (ServableBundle::read(bytes)?, self.current());
        // The launcher reports a file that was touched as well.
        if new.bytes == current.bytes {
            return Ok(None);
        }
        let (next, old) = (&new.bundle, &current.bundle);
        if next.deployment != old.deployment {
            return Err(ServeBundleError::OtherDeployment(next.deployment.clone()));
        }
        if next.identity != old.identity {
            return Err(ServeBundleError::OtherIdentity(next.identity));
        }
        // A client that has seen the served bundle refuses one with a smaller serial.
        if next.serial <= old.serial {
            return Err(BundleError::Rollback { found: next.serial, seen: old.serial }.into());
        }
        Ok(Some(new))
    }

    /// Serves the next bundle, if there is one and this chamber has what it lists.
    ///
    /// # Errors
    /// When the chamber lacks a key or circuit.
    pub(super) fn promote(&self, chamber: &ChamberClient) -> Result<(), ServeBundleError> {
        let Some(next) = self.next.lock().clone() else { return Ok(()) };
        next.check_against(chamber)?;
        info!(serial = next.bundle.serial, "the new bundle is served");
        self.audit.record(|| next.audit_event());
        *self.current.write() = next;
        *self.next.lock() = None;
        Ok(())
    }

    /// Checks whether a chamber may take over: it has what the served bundle lists, or the next one.
    ///
    /// # Errors
    /// When the chamber lacks a key or circuit.
    pub(super) fn accepts_chamber(&self, chamber: &ChamberClient) -> Result<(), ServeBundleError> {
        // The next bundle is enough: a chamber without a removed key fits the bundle that no longer lists it, and
        // that one is served as soon as the chamber takes over.
        let next = self.next.lock().clone();
        if next.is_some_and(|next| next.check_against(chamber).is_ok()) {
            return Ok(());
        }
        let Bundle { keys, circuits, .. } = &self.current().bundle;
        // A destroyed key is missing on purpose. Refusing the chamber would keep the key in the memory of the one
        // before.
        let (destroyed, kept): (Vec<&BundleKey>, Vec<_>) =
            keys.iter().partition(|key| chamber.keys.destroyed.contains(&key.id));
        for key in destroyed {
            warn!(key = %key.id, "the bundle lists a destroyed key; sign a new bundle");
        }
        check_has(chamber, kept, circuits)
    }
}

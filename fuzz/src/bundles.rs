//! The signed bundle of keys and circuits.

use base64::prelude::{BASE64_STANDARD, Engine};
use ed25519_dalek::{Signer, SigningKey};
use sealprove::protocol::{
    ANSWER_GRACE, Base64, Bundle, BundleError, IdentityKey, JOB_LIFETIME_MAX, Scheme, SignedBundle,
    UnixSeconds, key_id,
};
use serde_json::{Value, json};

/// When the bundles are read.
pub const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// The seed of the identity that signs here. It signs nothing else.
const SEED: [u8; 32] = [7; 32];

/// The identity that is pinned.
pub fn identity() -> IdentityKey {
    IdentityKey::from_bytes(&SEED)
}

/// A payload, signed by the pinned identity: an operator who makes mistakes, or is not one. Once as it is,
/// and once with ids that follow from its keys, which no fuzzer would find.
pub fn signed_by_us(data: &[u8]) {
    verify(data);
    if let Ok(mut bundle) = serde_json::from_slice::<Value>(data) {
        mend(&mut bundle);
        verify(&serde_json::to_vec(&bundle).unwrap());
    }
}

fn mend(bundle: &mut Value) {
    if let Some(name) = bundle.get_mut("identity") {
        *name = json!(identity().identity());
    }
    for key in bundle.get_mut("keys").and_then(Value::as_array_mut).into_iter().flatten() {
        let public =
            key.get("public_key").and_then(Value::as_str).and_then(|key| BASE64_STANDARD.decode(key).ok());
        if let (Some(public), Some(id)) = (public, key.get_mut("id")) {
            *id = json!(key_id(Scheme::X25519, &public));
        }
    }
}

/// A signature over any bytes at all.
fn sign(payload: &[u8]) -> Vec<u8> {
    let message = [b"sealprove/1 bundle\n", payload].concat();
    SigningKey::from_bytes(&SEED).sign(&message).to_bytes().to_vec()
}

fn verify(payload: &[u8]) {
    let signed = SignedBundle { payload: Base64(payload.to_vec()), signature: Base64(sign(payload)) };
    assert_eq!(SignedBundle::from_json(&signed.to_json()), Ok(signed.clone()));
    let ours = identity().identity();
    let verified = signed.verify(ours, NOW, 0);
    assert!(!matches!(verified, Err(BundleError::Signature(_))), "what was signed is signed");
    let Ok(bundle) = verified else { return };

    assert_good(&bundle);
    assert_eq!(signed.verify(ours, NOW, bundle.serial).as_ref(), Ok(&bundle));
    assert_eq!(signed.verify(ours, bundle.expires_at, 0), Err(BundleError::Expired(bundle.expires_at)));
    assert_eq!(bundle.sign(&identity()).verify(ours, NOW, 0).as_ref(), Ok(&bundle), "it signs as it reads");
    assert_bound(&signed, &bundle);
}

/// What a client relies on once it has verified.
fn assert_good(bundle: &Bundle) {
    assert_eq!((bundle.version.as_str(), bundle.identity), ("1", identity().identity()));
    assert!(bundle.expires_at > NOW);
    for key in &bundle.keys {
        assert_eq!(key.id, key_id(key.scheme, &key.public_key.0));
        assert_eq!(key.public_key.0.len(), 32, "a key that can be sealed to");
        assert!(key.seal_from < key.seal_until);
        assert!(key.open_until >= bundle.expires_at + JOB_LIFETIME_MAX + ANSWER_GRACE);
    }
    let expires = NOW + JOB_LIFETIME_MAX;
    if let Some(key) = bundle.key_for(&Scheme::STRONGEST_FIRST, NOW, expires) {
        assert!(key.seal_from <= NOW && NOW < key.seal_until && expires <= key.open_until);
    }
    for circuit in &bundle.circuits {
        assert!(bundle.circuit(&circuit.id).is_some());
    }
}

/// Under any change of it, and under any other identity, it does not verify.
fn assert_bound(signed: &SignedBundle, bundle: &Bundle) {
    let ours = identity().identity();
    let other = IdentityKey::from_bytes(&[8; 32]).identity();
    assert_eq!(signed.verify(other, NOW, 0), Err(BundleError::Signature(other)));
    let mut changed = signed.clone();
    let at = bundle.serial as usize % changed.payload.0.len();
    changed.payload.0[at] ^= 1;
    assert_eq!(changed.verify(ours, NOW, 0), Err(BundleError::Signature(ours)));
    let mut changed = signed.clone();
    changed.signature.0[bundle.serial as usize % 64] ^= 1;
    assert_eq!(changed.verify(ours, NOW, 0), Err(BundleError::Signature(ours)));
}

/// What a client is handed as the bundle: it verifies only if it is what the identity signed.
pub fn signed_by_anybody(data: &[u8]) {
    let Ok(signed) = SignedBundle::from_json(data) else { return };
    assert_eq!(SignedBundle::from_json(&signed.to_json()), Ok(signed.clone()));
    // The unsigned reading is for what an operator hands to a service.
    let read = signed.read_unverified();
    if let Ok(bundle) = signed.verify(identity().identity(), NOW, 0) {
        assert_eq!(signed.signature.0, sign(&signed.payload.0), "there is one signature");
        assert_eq!(read, Ok(bundle));
    }
}

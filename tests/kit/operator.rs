//! A NATS operator, its accounts and their users, as `nsc` would make them.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::unix_now;

/// A NATS operator with its system account.
pub(crate) struct Operator {
    key: KeyPair,
    system: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Self {
        Operator { key: KeyPair::new_operator(), system: KeyPair::new_account() }
    }

    /// The settings of a broker that knows the system's account and these, each with its claims and so much
    /// JetStream; -1 is all there is.
    pub(crate) fn settings(&self, accounts: &[(&KeyPair, Value, i64)]) -> String {
        format!("operator: {}\n{}", self.token(), self.resolver(accounts))
    }

    /// Returns the operator's own token.
    pub(crate) fn token(&self) -> String {
        jwt(&self.key, &self.key, "operator", &json!({}))
    }

    /// Returns the settings that give a broker its accounts.
    pub(crate) fn resolver(&self, accounts: &[(&KeyPair, Value, i64)]) -> String {
        let known = accounts.iter().map(|(account, claims, jetstream)| {
            format!(", {}: {}", account.public_key(), self.account(account, claims, *jetstream))
        });
        format!(
            "system_account: {system}\nresolver: MEMORY\nresolver_preload: {{ {system}: {}{} }}",
            self.account(&self.system, &json!({}), 0),
            known.collect::<String>(),
            system = self.system.public_key(),
        )
    }

    fn account(&self, account: &KeyPair, claims: &Value, jetstream: i64) -> String {
        let mut claims = claims.clone();
        claims["limits"] = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1,
            "mem_storage": jetstream, "disk_storage": jetstream, "streams": jetstream, "consumer": jetstream,
        });
        jwt(&self.key, account, "account", &claims)
    }
}

/// A credentials file of a user of an account, with what it may do.
pub(crate) fn credentials(account: &KeyPair, user: &KeyPair, may: &Value) -> String {
    let mut claims = may.clone();
    for unlimited in ["subs", "data", "payload"] {
        claims[unlimited] = (-1).into();
    }
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, user, "user", &claims),
        user.seed().expect("a seed"),
    )
}

/// A token as `nsc` makes them (ADR-14 of NATS): JWT with the algorithm `ed25519-nkey`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, kind: &str, nats: &Value) -> String {
    let mut nats = nats.clone();
    nats["type"] = kind.into();
    nats["version"] = 2.into();
    let claims = json!({
        "jti": "test", "iat": unix_now(), "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": kind, "nats": nats,
    });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let signed = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = issuer.sign(signed.as_bytes()).expect("a signing key");
    format!("{signed}.{}", encode(&signature))
}

//! The `[tenants.<name>]` tables: the tenants whose jobs are proved, and the share of each.
//!
//! The types are checked when they are read: a weight is never zero, and a key is that of a user and given once.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};

use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};

use crate::protocol::{BadName, CircuitId, Tenant};

/// The tenants of a deployment, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Tenant, TenantLimits>", into = "BTreeMap<Tenant, TenantLimits>")]
pub struct Tenants(BTreeMap<Tenant, TenantLimits>);

/// The limits of a tenant: its table under `[tenants]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantLimits {
    /// The circuits that it may use; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuits: Option<BTreeSet<CircuitId>>,
    /// Largest number of its queued jobs; `streams.jobs_max` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_max: Option<NonZeroU64>,
    /// Largest number of its jobs in flight: in each lane over all services, and over both lanes in each service. No
    /// limit by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<NonZeroU32>,
    /// Its share of the slots, relative to the other tenants with queued jobs.
    pub weight: Weight,
    /// The public nkeys of its users, for the accounts that `sealprove tenants accounts` writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserKey>,
}

/// A weight, from 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

/// The largest weight. It keeps every share above nothing.
const WEIGHT_MAX: u32 = 1000;

impl Weight {
    /// Returns the number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Weight(1)
    }
}

impl TryFrom<u32> for Weight {
    type Error = BadName;
    fn try_from(weight: u32) -> Result<Self, BadName> {
        if (1..=WEIGHT_MAX).contains(&weight) {
            Ok(Weight(weight))
        } else {
            Err(BadName::new("weight", "1 to 1000"))
        }
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> u32 {
        weight.0
    }
}

/// The public nkey of a user of the broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserKey(String);

impl UserKey {
    /// Returns the key as the broker's configuration has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for UserKey {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let is_user = |key: KeyPair| matches!(key.key_pair_type(), KeyPairType::User);
        if KeyPair::from_public_key(text).is_ok_and(is_user) {
            Ok(UserKey(text.to_owned()))
        } else {
            Err(BadName::new(
                "public nkey of a user",
                "U and 55 more characters, as `sealprove tenants user` prints it",
            ))
        }
    }
}

impl TryFrom<String> for UserKey {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<UserKey> for String {
    fn from(key: UserKey) -> String {
        key.0
    }
}

/// The tables of the tenants contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantsError {
    /// A list of circuits is empty.
    #[error("tenants.{0}.circuits names no circuit; leave it out to allow all")]
    NoCircuit(Tenant),
    /// A user is given twice.
    #[error("tenants: the user {0} is given twice; every user belongs to one tenant")]
    UserTwice(String),
}

impl TryFrom<BTreeMap<Tenant, TenantLimits>> for Tenants {
    type Error = TenantsError;
    fn try_from(tenants: BTreeMap<Tenant, TenantLimits>) -> Result<Self, TenantsError> {
        let mut users = BTreeSet::new();
        for (tenant, limits) in &tenants {
            if limits.circuits.as_ref().is_some_and(BTreeSet::is_empty) {
                return Err(TenantsError::NoCircuit(tenant.clone()));
            }
            if let Some(twice) = limits.users.iter().find(|user| !users.insert((*user).clone())) {
                return Err(TenantsError::UserTwice(twice.as_str().to_owned()));
            }
        }
        Ok(if tenants.is_empty() { Tenants::default() } else { Tenants(tenants) })
    }
}

impl From<Tenants> for BTreeMap<Tenant, TenantLimits> {
    fn from(tenants: Tenants) -> Self {
        tenants.0
    }
}

impl Default for Tenants {
    /// Returns the one tenant of a deployment that has no others.
    fn default() -> Self {
        Tenants(BTreeMap::from([(Tenant::default(), TenantLimits::default())]))
    }
}

impl Tenants {
    /// Returns all tenants, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Tenant, &TenantLimits)> {
        self.0.iter()
    }

    /// Returns their names.
    pub fn names(&self) -> impl Iterator<Item = &Tenant> {
        self.0.keys()
    }

    /// Returns their number.
    #[allow(clippy::len_without_is_empty)] // There is always one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is a tenant of this name.
    pub fn contains(&self, tenant: &Tenant) -> bool {
        self.0.contains_key(tenant)
    }

    /// Returns the limits of a tenant; the defaults if it has no table.
    pub fn limits(&self, tenant: &Tenant) -> TenantLimits {
        self.0.get(tenant).cloned().unwrap_or_default()
    }

    /// Returns the largest number of a tenant's jobs in flight.
    pub fn in_flight_max(&self, tenant: &Tenant) -> Option<NonZeroU32> {
        self.0.get(tenant)?.in_flight_max
    }

    /// Returns whether a tenant may use a circuit.
    pub fn may_use(&self, tenant: &Tenant, circuit: &CircuitId) -> bool {
        let circuits = self.0.get(tenant).map(|limits| limits.circuits.as_ref());
        circuits.is_some_and(|allowed| allowed.is_none_or(|allowed| allowed.contains(circuit)))
    }

    /// Finds a circuit that a table names and that is not served.
    pub fn unserved(&self, is_served: impl Fn(&CircuitId) -> bool) -> Option<(&Tenant, &CircuitId)> {
        let named = self.0.iter().flat_map(|(tenant, limits)| {
            limits.circuits.iter().flatten().map(move |circuit| (tenant, circuit))
        });
        named.into_iter().find(|(_, circuit)| !is_served(circuit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tenants, toml::de::Error> {
        text.parse::<toml::Table>().unwrap().try_into()
    }

    #[test]
    fn without_tables_there_is_one_tenant() {
        let tenants = read("").unwrap();
        assert_eq!(tenants.names().collect::<Vec<_>>(), [&Tenant::default()]);
        assert!(tenants.may_use(&Tenant::default(), &"any-v1".parse().unwrap()));
    }

    #[test]
    fn a_tenant_may_use_the_circuits_of_its_list() {
        let tenants = read("[acme]\ncircuits = [\"a-v1\"]\n[other]").unwrap();
        let may = |tenant: &str, circuit: &str| {
            tenants.may_use(&tenant.parse().unwrap(), &circuit.parse().unwrap())
        };
        assert!(may("acme", "a-v1") && !may("acme", "b-v1"));
        assert!(may("other", "b-v1"));
        assert!(!may("stranger", "a-v1"), "a name without a table is no tenant");
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let user = KeyPair::new_user().public_key();
        let refused = [
            "[acme]\nweight = 0".to_owned(),
            "[acme]\nweight = 1001".to_owned(),
            "[acme]\nqueued_max = 0".to_owned(),
            "[acme]\nin_flight_max = 0".to_owned(),
            "[acme]\ncircuits = []".to_owned(),
            "[acme]\ncircuits = [\"No Circuit\"]".to_owned(),
            "[acme]\ncolour = \"red\"".to_owned(),
            "[\"a.b\"]\nweight = 1".to_owned(),
            "[acme]\nusers = [\"UABC\"]".to_owned(),
            format!("[acme]\nusers = [{:?}]", KeyPair::new_account().public_key()),
            format!("[acme]\nusers = [{user:?}]\n[other]\nusers = [{user:?}]"),
        ];
        for text in &refused {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read(&format!("[acme]\nusers = [{user:?}]")).unwrap().len(), 1);
    }
}

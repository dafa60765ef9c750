//! The broker's accounts for a deployment with tenants: one that owns all streams, and one for each tenant, which
//! reaches its own jobs, answers, states and wake-ups through imports, and nothing else.
//!
//! The accounts are printed in two forms: for a server's configuration file, and as the claims of operator mode.
//! `docs/TENANTS.md` explains both. This module decides all permissions and connects to nothing.

use serde::Serialize;
use serde_json::{Value, json};

use super::names::{ADVISORIES_STREAM, QUEUE_GROUP, STATUS_STREAM, SWEEPER, answers_stream};
use crate::config::{ServiceConfig, UserKey};
use crate::protocol::{Lane, Tenant};

/// A deployment whose accounts are printed.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The service's configuration, which names the tenants and their users.
    pub config: &'a ServiceConfig,
    /// The account that owns the streams; in operator mode, its public key.
    pub account: &'a Tenant,
    /// The users of services.
    pub services: &'a [UserKey],
    /// The users of `sealprove streams`.
    pub admins: &'a [UserKey],
}

/// An account as the broker is to have it.
#[derive(Debug)]
struct Account {
    name: Tenant,
    /// True for the owner of the streams, false for a tenant.
    owns_streams: bool,
    exports: Vec<Export>,
    imports: Vec<Import>,
    users: Vec<User>,
}

/// The direction of an export: requests go to its owner, or messages come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Service,
    Stream,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Stream => "stream",
        }
    }
}

/// A subject that the owner of the streams offers to other accounts.
#[derive(Debug)]
struct Export {
    what: &'static str,
    kind: Kind,
    subject: String,
    /// Position of the token that must be the importing account's name, counted from 1.
    account_token: Option<usize>,
}

/// A subject that a tenant's account reaches, under the same name as in the owner's account.
#[derive(Debug)]
struct Import {
    what: &'static str,
    kind: Kind,
    subject: String,
}

/// A user, who connects with an nkey.
#[derive(Debug)]
struct User {
    what: &'static str,
    key: UserKey,
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl User {
    /// Returns the prefix of the user's inboxes.
    fn inbox_prefix(key: &UserKey) -> String {
        // With the common prefix `_INBOX`, every user of an account could read the replies to all others.
        format!("_INBOX_{}", key.as_str())
    }

    fn new(what: &'static str, key: &UserKey, publish: Vec<String>, hears: Vec<String>) -> Self {
        let mut subscribe = vec![format!("{}.>", Self::inbox_prefix(key))];
        subscribe.extend(hears);
        User { what, key: key.clone(), publish, subscribe }
    }
}

impl Deployment<'_> {
    /// Returns the tenant that has the name of the account which owns the streams, if there is one.
    pub fn clash(&self) -> Option<&Tenant> {
        self.config.tenants.names().find(|tenant| *tenant == self.account)
    }

    fn accounts(&self) -> Vec<Account> {
        let owner = Account {
            name: self.account.clone(),
            owns_streams: true,
            exports: self.exports(),
            imports: Vec::new(),
            users: self.service_users().into_iter().chain(self.admin_users()).collect(),
        };
        let tenants = self.config.tenants.names().map(|tenant| Account {
            name: tenant.clone(),
            owns_streams: false,
            exports: Vec::new(),
            imports: self.imports(tenant),
            users: self.tenant_users(tenant),
        });
        [owner].into_iter().chain(tenants).collect()
    }

    /// Returns the exports, one set for all tenants.
    fn exports(&self) -> Vec<Export> {
        // The broker compares the bound token with the name of the importing account, so no account can name another
        // tenant. Permissions inside one account would be no such boundary: a publisher chooses a reply subject, and
        // the broker publishes there without a check.
        let prefix = self.config.prefix.prefix();
        // Direct gets with the message's subject at the end of their own, where permissions apply to it. The other form
        // names it in the payload, which the broker checks against no permission.
        let answers = format!("$JS.API.DIRECT.GET.*.{prefix}.answer.");
        let states = format!("$JS.API.DIRECT.GET.{STATUS_STREAM}.{prefix}.status.");
        let bound = |what, kind, before: String, after: &str| {
            // The tenant's token follows those of `before`, which ends with a dot.
            let account_token = Some(before.matches('.').count() + 1);
            Export { what, kind, subject: format!("{before}*{after}"), account_token }
        };
        vec![
            bound("submit a job", Kind::Service, format!("{prefix}.job."), ".*.*.*"),
            bound("read an answer", Kind::Service, answers, ".*"),
            bound("read the state of a job", Kind::Service, states, ".*"),
            bound("take a job back", Kind::Service, format!("{prefix}.cancel."), ".*"),
            bound("hear of an answer", Kind::Stream, format!("{prefix}.live."), ".*"),
            Export {
                what: "the signed bundle, the same for every tenant",
                kind: Kind::Service,
                subject: self.config.prefix.bundle(),
                account_token: None,
            },
        ]
    }

    fn imports(&self, tenant: &Tenant) -> Vec<Import> {
        let requests = self.requests(tenant);
        let mut imports: Vec<Import> =
            requests.map(|(what, subject)| Import { what, kind: Kind::Service, subject }).collect();
        imports.push(Import { what: "hear of an answer", kind: Kind::Stream, subject: self.live(tenant) });
        imports
    }

    /// Returns the subjects on which a tenant may send, each with its purpose.
    fn requests(&self, tenant: &Tenant) -> impl Iterator<Item = (&'static str, String)> {
        let (subjects, prefix) = (&self.config.prefix, self.config.prefix.prefix());
        let answers = answers_stream(tenant);
        let requests = Lane::ALL.map(|lane| ("submit a job", subjects.lane(tenant, lane))).into_iter();
        requests.chain([
            ("read an answer", format!("$JS.API.DIRECT.GET.{answers}.{}", subjects.answers(tenant))),
            (
                "read the state of a job",
                format!("$JS.API.DIRECT.GET.{STATUS_STREAM}.{prefix}.status.{tenant}.*"),
            ),
            ("take a job back", format!("{prefix}.cancel.{tenant}.*")),
            ("the signed bundle", subjects.bundle()),
        ])
    }

    fn live(&self, tenant: &Tenant) -> String {
        format!("{}.live.{tenant}.*", self.config.prefix.prefix())
    }

    fn tenant_users(&self, tenant: &Tenant) -> Vec<User> {
        let limits = self.config.tenants.limits(tenant);
        let users = limits.users.iter().map(|key| {
            let publish = self.requests(tenant).map(|(_, subject)| subject).collect();
            User::new("a client", key, publish, vec![self.live(tenant)])
        });
        users.collect()
    }

    /// Returns the users of services.
    fn service_users(&self) -> Vec<User> {
        let (subjects, prefix) = (&self.config.prefix, self.config.prefix.prefix());
        // `*` stands for a stream: this account has no others than the deployment's, and with names every new tenant
        // would change this user. Only the administrator may make and delete streams.
        let mut publish: Vec<String> = [
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.MSG.GET.*",
            "$JS.API.STREAM.MSG.DELETE.*",
            "$JS.API.CONSUMER.INFO.*.*",
        ]
        .map(str::to_owned)
        .to_vec();
        publish.extend([format!("{prefix}.answer.*.*"), subjects.statuses()]);
        for lane in Lane::ALL {
            // The broker requires a consumer's filter in this subject, so only a lane's own consumer can be restored.
            publish.push(format!("$JS.API.CONSUMER.CREATE.*.{lane}.{prefix}.job.*.{lane}.*.*"));
        }
        let lanes = Lane::ALL.map(|lane| format!("*.{lane}"));
        for consumer in lanes.into_iter().chain([format!("{ADVISORIES_STREAM}.{SWEEPER}")]) {
            publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{consumer}"));
            // Both forms of an acknowledgement's subject (ADR-15).
            publish.push(format!("$JS.ACK.{consumer}.>"));
            publish.push(format!("$JS.ACK.*.*.{consumer}.>"));
        }
        // The broker rewrites the reply subject of a request from another account to one of these.
        publish.push("_R_.>".to_owned());
        let group = QUEUE_GROUP;
        let hears = vec![
            format!("{} {group}", subjects.bundle()),
            format!("{} {group}", subjects.cancels()),
            subjects.lives(),
        ];
        let services = self.services.iter();
        services.map(|key| User::new("a service", key, publish.clone(), hears.clone())).collect()
    }

    /// Returns the users of `sealprove streams`, who may also delete a tenant's streams.
    fn admin_users(&self) -> Vec<User> {
        let publish = [
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.CREATE.*",
            "$JS.API.STREAM.UPDATE.*",
            "$JS.API.STREAM.DELETE.*",
            "$JS.API.CONSUMER.INFO.*.*",
            "$JS.API.CONSUMER.CREATE.*.*.>",
        ]
        .map(str::to_owned);
        let admins = self.admins.iter();
        admins.map(|key| User::new("`sealprove streams`", key, publish.to_vec(), Vec::new())).collect()
    }
}

impl Deployment<'_> {
    /// Returns the `accounts` block of a server's configuration.
    pub fn to_conf(&self) -> String {
        let mut text = String::from(
            "# The accounts of a sealprove deployment, written by `sealprove tenants accounts`. Include this file in\n\
             # the configuration of every server; docs/TENANTS.md says how servers take a change of it.\n\
             accounts {\n",
        );
        for account in self.accounts() {
            text.push_str(&account.to_conf(self.account));
        }
        text.push_str("}\n");
        text
    }

    /// Returns the same as the claims of operator mode (JWT): `nats` of each account and of each user.
    pub fn to_claims(&self) -> Value {
        let accounts = self.accounts().into_iter();
        let claims = accounts.map(|account| (account.name.to_string(), account.to_claims(self.account)));
        Value::Object(claims.collect())
    }
}

impl Account {
    fn to_conf(&self, owner: &Tenant) -> String {
        let who = if self.owns_streams {
            "# Owns all streams. Only services and `sealprove streams` connect here."
        } else {
            "# A tenant: it reaches what it imports, and has no streams of its own."
        };
        let mut lines = vec![String::new(), format!("  {who}"), format!("  {:?}: {{", self.name.as_str())];
        if self.owns_streams {
            lines.push("    jetstream: enabled".to_owned());
            lines.extend(list("exports", self.exports.iter().flat_map(Export::to_conf)));
        } else {
            lines.extend(list("imports", self.imports.iter().flat_map(|import| import.to_conf(owner))));
        }
        if self.users.is_empty() {
            lines.push(
                "    # It has no user yet: make one with `sealprove tenants user`, and name it.".to_owned(),
            );
        }
        lines.extend(list("users", self.users.iter().flat_map(User::to_conf)));
        lines.push("  }\n".to_owned());
        lines.join("\n")
    }

    fn to_claims(&self, owner: &Tenant) -> Value {
        let exports = self.exports.iter().map(|export| {
            let mut claim = json!({ "name": export.what, "type": export.kind, "subject": export.subject });
            if let Some(token) = export.account_token {
                claim["account_token_position"] = token.into();
            }
            claim
        });
        let imports = self.imports.iter().map(|import| {
            json!({ "name": import.what, "type": import.kind, "account": owner, "subject": import.subject })
        });
        let users = self.users.iter().map(|user| {
            let permissions = json!({ "pub": { "allow": user.publish }, "sub": { "allow": user.subscribe } });
            (user.key.as_str().to_owned(), permissions)
        });
        json!({
            "account": { "exports": exports.collect::<Vec<_>>(), "imports": imports.collect::<Vec<_>>() },
            "users": Value::Object(users.collect()),
        })
    }
}

/// Returns the lines of a list in a server's configuration.
fn list(name: &str, items: impl Iterator<Item = String>) -> Vec<String> {
    let lines = items.map(|line| format!("      {line}"));
    [format!("    {name}: [")].into_iter().chain(lines).chain(["    ]".to_owned()]).collect()
}

impl Export {
    fn to_conf(&self) -> [String; 2] {
        let token = self.account_token.map(|token| format!(", account_token_position: {token}"));
        let (kind, token) = (self.kind.as_str(), token.unwrap_or_default());
        [format!("# {}", self.what), format!("{{ {kind}: {:?}{token} }}", self.subject)]
    }
}

impl Import {
    fn to_conf(&self, owner: &Tenant) -> [String; 2] {
        let (kind, owner) = (self.kind.as_str(), owner.as_str());
        let import = format!("{{ {kind}: {{ account: {owner:?}, subject: {:?} }} }}", self.subject);
        [format!("# {}", self.what), import]
    }
}

impl User {
    fn to_conf(&self) -> [String; 6] {
        let prefix = User::inbox_prefix(&self.key);
        [
            format!("# {}; in its [nats] table: inbox_prefix = {prefix:?}", self.what),
            format!("{{ nkey: {:?}", self.key.as_str()),
            "  permissions: {".to_owned(),
            format!("    publish: {{ allow: {:?} }}", self.publish),
            format!("    subscribe: {{ allow: {:?} }}", self.subscribe),
            "} }".to_owned(),
        ]
    }
}

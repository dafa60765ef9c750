//! The output of `sealprove tenants`, accepted by a real server in a configuration file and in operator mode.

use std::process::Command;

use nkeys::KeyPair;
use sealprove::client::Collected;
use sealprove::protocol::Code;

use super::deployment::{Deployment, Users};
use crate::kit::operator::{Operator, credentials};
use crate::kit::{Nats, Ran, Setup, nats_server};

/// Names that are numbers, words and signs to a server's configuration.
const NAMES: [&str; 8] = ["acme", "1", "true", "-", "_", "a-b_C", "1k", "default"];

fn tested(settings: &str) -> Ran {
    let file = tempfile::NamedTempFile::new().unwrap();
    let store = "jetstream { store_dir: \"/nonexistent/never-made\" }";
    std::fs::write(file.path(), format!("{store}\n{settings}")).unwrap();
    Ran::run(Command::new(nats_server()).args(["-t", "-c"]).arg(file.path()), b"")
}

#[test]
fn a_server_accepts_the_accounts_for_every_tenant_name() {
    let users = Users::new(&NAMES);
    let tables = users.tables(|_| String::new());
    let accounts = users.accounts(&tables, &[]).exits(0);
    tested(&accounts.stdout).exits(0);
    assert_eq!(
        accounts.stdout,
        users.accounts(&tables, &[]).exits(0).stdout,
        "written twice, it is the same"
    );

    // With a prefix of another length the tenant's token stands elsewhere.
    let other = users.accounts(&format!("prefix = \"a.b.c.d\"\n{tables}"), &[]).exits(0).stdout;
    assert!(other.contains("{ service: \"a.b.c.d.job.*.*.*.*\", account_token_position: 6 }"), "{other}");
    tested(&other).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_lets_no_account_import_from_another() {
    let users = Users::new(&["acme", "other"]);
    let tables = users.tables(|_| String::new());
    let accounts = users.accounts(&tables, &[]).exits(0).stdout;
    for (own, others) in [
        ("prove.v1.job.other.express.*.*", "prove.v1.job.acme.express.*.*"),
        ("PROVE_ANSWERS_other.prove.v1.answer.other.*", "PROVE_ANSWERS_acme.prove.v1.answer.acme.*"),
        ("prove.v1.live.other.*", "prove.v1.live.*.*"),
    ] {
        let import = format!(
            "subject: {:?} }}",
            if own.starts_with("PROVE") { format!("$JS.API.DIRECT.GET.{own}") } else { own.to_owned() }
        );
        assert_eq!(accounts.matches(&import).count(), 1, "{import}");
        let stolen = accounts.replace(&import, &import.replace(own, others));
        let refused = tested(&stolen);
        assert_ne!(refused.code, 0, "{others} was imported by other");
    }
}

#[test]
fn tenants_that_would_share_an_account_or_a_user_are_refused() {
    let users = Users::new(&["acme", "other"]);
    let tables = users.tables(|_| String::new());
    users
        .accounts(&tables, &["--account", "acme"])
        .exits(2)
        .says("would both own the streams and be a tenant");
    let user = &users.tenant("acme").key;
    users.accounts(&tables, &["--service", user]).exits(2).says("is given twice");
    users.accounts(&tables, &["--admin", "UABC"]).exits(2).says("U and 55 more characters");
    let lonely = users.accounts("[tenants.lonely]\n", &[]).exits(0);
    lonely.says("no user may connect for lonely: run `sealprove tenants user --out lonely.nkey`");
}

#[test]
fn a_seed_is_readable_by_its_owner_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user.nkey");
    let make =
        || Ran::run(Command::new(crate::kit::sealprove()).args(["tenants", "user", "--out"]).arg(&path), b"");
    let made = make().exits(0);
    let seed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(KeyPair::from_seed(seed.trim()).unwrap().public_key(), made.line());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!made.stderr.contains(seed.trim()) && !made.stdout.contains(seed.trim()));
    make().exits(1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claims_have_the_same_effect_in_operator_mode() {
    // A tenant's name is its account's public key here.
    let (owner, acme, other) = (KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_account());
    let names = [acme.public_key(), other.public_key()];
    let users = Users::new(&[&names[0], &names[1]]);
    let tables = users.tables(|_| String::new());
    let owners_key = owner.public_key();
    let claims = users.accounts(&tables, &["--format", "claims", "--account", &owners_key]).exits(0).json();
    let accounts = [(&owner, -1), (&acme, 0), (&other, 0)]
        .map(|(key, jetstream)| (key, claims[key.public_key()]["account"].clone(), jetstream));
    let nats = Nats::start_with(&Operator::new().settings(&accounts)).await;

    // The user has a credentials file in place of the seed alone.
    for (account, user) in [
        (&owner, &users.service),
        (&owner, &users.admin),
        (&acme, users.tenant(&names[0])),
        (&other, users.tenant(&names[1])),
    ] {
        let seed = std::fs::read_to_string(&user.seed).unwrap();
        let may = &claims[account.public_key()]["users"][&user.key];
        let text = credentials(account, &KeyPair::from_seed(seed.trim()).unwrap(), may);
        std::fs::write(&user.seed, text).unwrap();
    }
    let deployment = Deployment::at_with_credentials(Setup::new().tenants(&tables), nats, users);
    let _service = deployment.lab.service().await;
    let witness = crate::kit::good_witness();
    for name in &names {
        let ticket = deployment.submit(name, crate::kit::THRESHOLD, &witness).await;
        let outcome = deployment.outcome(name, &ticket).await;
        assert!(matches!(&outcome, Collected::Answer(answer) if answer.code() == Code::Ok), "{outcome:?}");
        // Through the imports the bundle comes, and jobs can be taken back.
        assert_eq!(deployment.client(name).await.bundle().await.unwrap(), deployment.lab.bundle());
        let late = deployment.client(name).await.cancel(ticket.job()).await.unwrap();
        assert_eq!(late, sealprove::client::Cancellation::Answered(Some(Code::Ok)));
    }
    // A subject in the other's name belongs to neither.
    let stranger = deployment.client_in_name_of(&names[0], &names[1]).await;
    assert!(stranger.cancel(&sealprove::protocol::JobId::random()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_added_and_removed_by_reload_without_disconnecting_others() {
    let users = Users::new(&["first", "second"]);
    let store = "jetstream { store_dir: \"FOLDER/jetstream\", sync_interval: always }\n";
    let of_both = users.tables(|_| String::new());
    let of_first = of_both.split("[tenants.second]").next().unwrap().to_owned();
    let one = format!("{store}{}", users.accounts(&of_first, &[]).exits(0).stdout);
    let both = format!("{store}{}", users.accounts(&of_both, &[]).exits(0).stdout);
    let nats = Nats::start_exactly(&one).await;
    let mut deployment = Deployment::at(Setup::new().tenants(&of_first), nats, users);
    let service = deployment.lab.service().await;
    let disconnected = || service.metric("sealprove_broker_events_total", &[("event", "disconnected")]);
    let refused = deployment.nats_of("second").connect("early").await;
    assert!(refused.is_err(), "its account is not known yet");

    // Twice: nats-server 2.15.1 connects the imports of a new account with the second reload.
    deployment.lab.nats.reload_with(&both).await;
    deployment.lab.nats.reload_with(&both).await;
    let config = String::from_utf8(deployment.lab.read("sealprove.toml")).unwrap();
    deployment.lab.write("sealprove.toml", config.replace(&of_first, &of_both).as_bytes());
    deployment.streams("apply").exits(0);
    // A service that is started with the new configuration serves both; the old one goes on meanwhile.
    let newer = deployment.lab.service().await;
    let witness = crate::kit::good_witness();
    for name in ["first", "second"] {
        let ticket = deployment.submit(name, crate::kit::THRESHOLD, &witness).await;
        assert!(matches!(deployment.outcome(name, &ticket).await, Collected::Answer(_)));
    }
    assert_eq!(disconnected(), 0.0, "the first service was disconnected by the reload");

    let of_second = deployment.nats_of("second").connect("late").await.unwrap();
    deployment.lab.nats.reload_with(&one).await;
    assert!(deployment.nats_of("second").connect("gone").await.is_err());
    crate::kit::eventually("its connections are closed", async || {
        (of_second.connection_state() != async_nats::connection::State::Connected).then_some(())
    })
    .await;
    assert_eq!(disconnected(), 0.0);
    drop((service, newer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_every_permission_that_it_uses() {
    let unchanged = |accounts: &str, _: &Users| accounts.to_owned();
    let deployment = Deployment::start(Setup::new(), &["acme"], |_| String::new(), unchanged).await;
    let service = deployment.lab.service().await;
    // It creates a deleted consumer again, without help.
    let jobs = deployment.observer().await.get_stream("PROVE_JOBS_acme").await.unwrap();
    jobs.delete_consumer("standard").await.unwrap();
    let witness = crate::kit::good_witness();
    let ticket = deployment.submit("acme", crate::kit::THRESHOLD, &witness).await;
    assert!(matches!(deployment.outcome("acme", &ticket).await, Collected::Answer(_)));
    service.metric_becomes("sealprove_broker_events_total", &[("event", "consumer_restored")], 1.0).await;
    // It cancels in the queue, for which it reads from the leader and erases.
    service.terminate();
    assert_eq!(service.exit_code().await, 0);
    let waiting = deployment.submit("acme", crate::kit::THRESHOLD, &witness).await;
    let next = deployment.lab.service().await;
    let client = deployment.client("acme").await;
    client.cancel(waiting.job()).await.unwrap();
    assert!(client.code(waiting.job()).await.unwrap().is_some());
    for log in [service.log(), next.log()] {
        assert!(!log.to_lowercase().contains("permissions violation"), "{log}");
    }
}

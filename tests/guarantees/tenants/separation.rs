//! A tenant against another: with an account for each nothing comes of anything; within one account much does,
//! with the same users and the same permissions, which shows that the attacks are real.

use std::time::Duration;

use sealprove::client::{Cancellation, ClientError, Collected, SubmitOptions, Ticket};
use sealprove::config::NatsConfig;
use sealprove::protocol::{Code, JobId};
use serde_json::json;

use super::attacks::{self, Known};
use super::deployment::{Deployment, OBSERVER, Users, inbox_prefix};
use super::outcome::{Attacker, print};
use crate::kit::{Nats, Setup};

const CIRCUIT: &str = "sleeps-v1";
const VICTIM: &str = "victim";
const MALLORY: &str = "mallory";
const QUEUED_MAX: u64 = 60;

fn setup() -> Setup {
    Setup::rogue().limited(CIRCUIT, "1m").slots(2)
}

fn limits(_tenant: &str) -> String {
    format!("queued_max = {QUEUED_MAX}")
}

fn witness(ms: u64) -> Vec<u8> {
    json!({ "ms": ms }).to_string().into_bytes()
}

/// The victim has a job that is answered and one that waits, the attacker a job that is answered.
struct Scene {
    answered: Ticket,
    waiting: Ticket,
    known: Known,
}

impl Scene {
    async fn set(deployment: &Deployment) -> Self {
        let service = deployment.lab.service().await;
        let victim = deployment.client(VICTIM).await;
        let (bundle, circuit, options) =
            (deployment.lab.bundle(), CIRCUIT.parse().unwrap(), SubmitOptions::default());
        let sealed = victim.seal(&bundle, &circuit, &witness(1), &options).unwrap();
        victim.publish(&sealed, options.patience, |_, _| {}).await.unwrap();
        let mut headers = async_nats::HeaderMap::new();
        for (name, value) in sealed.ticket.header().to_headers() {
            headers.insert(name, value);
        }
        let captured = (headers, sealed.payload().to_vec());
        let own = deployment.submit(MALLORY, CIRCUIT, &witness(1)).await;
        assert!(matches!(deployment.outcome(MALLORY, &own).await, Collected::Answer(_)));
        let answered = sealed.ticket;
        assert!(matches!(deployment.outcome(VICTIM, &answered).await, Collected::Answer(_)));
        service.terminate();
        assert_eq!(service.exit_code().await, 0);
        let waiting = deployment.submit(VICTIM, CIRCUIT, &witness(1)).await;
        let known = Known {
            victim: VICTIM,
            attacker: MALLORY,
            circuit: CIRCUIT,
            answered: answered.job().clone(),
            captured,
            waiting: waiting.job().clone(),
            inbox: inbox_prefix(deployment.users.tenant(VICTIM)),
            own: own.job().clone(),
        };
        Scene { answered, waiting, known }
    }
}

async fn attack(deployment: &Deployment, own: &NatsConfig, known: &Known) -> Attacker {
    let victims = deployment.nats_of(VICTIM);
    let mut attacker = Attacker::connect(own, &victims, [MALLORY, VICTIM], deployment.observer().await).await;
    attacks::all(&mut attacker, known).await;
    attacker
}

fn unbound(users: &Users) -> String {
    format!("{{ nkey: {:?} }}", users.unbound.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_can_neither_read_nor_harm_another() {
    let deployment = Deployment::start(setup(), &[VICTIM, MALLORY], limits, |accounts, users| {
        let of_mallory = accounts.find("\"mallory\": {").expect("its account");
        let (before, after) = accounts.split_at(of_mallory);
        format!("{before}{}", after.replacen("users: [", &format!("users: [\n{}", unbound(users)), 1))
    });
    let deployment = deployment.await;
    let scene = Scene::set(&deployment).await;
    let mut attackers = Vec::new();
    for (own, title) in [
        (deployment.nats_of(MALLORY), "an account for each tenant, the users as they are written"),
        (deployment.nats_of_unbound(), "an account for each tenant, a user who may do anything in his own"),
    ] {
        attackers.push((title, attack(&deployment, &own, &scene.known).await));
    }

    let _service = deployment.lab.service().await;
    cancels(&deployment, &scene).await;
    floods(&deployment).await;
    // What the victim has asked for is there: the old answer as it was, and the job that waited proved.
    for ticket in [&scene.answered, &scene.waiting] {
        let outcome = deployment.outcome(VICTIM, ticket).await;
        assert!(matches!(&outcome, Collected::Answer(answer) if answer.code() == Code::Ok), "{outcome:?}");
    }
    for (title, mut attacker) in attackers {
        attacker.has_heard(&scene.known.captured.1);
        print(title, &attacker.attempts);
        let breaches: Vec<_> = attacker.attempts.iter().filter(|attempt| attempt.breached).collect();
        assert!(breaches.is_empty(), "{breaches:#?}");
        assert!(
            attacker.attempts.len() > 80,
            "{} attempts are fewer than there were",
            attacker.attempts.len()
        );
    }
}

/// Ids of another tenant's jobs, known or guessed, cancel nothing.
async fn cancels(deployment: &Deployment, scene: &Scene) {
    let busy = deployment.submit(VICTIM, CIRCUIT, &witness(3000)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let attacker = deployment.client(MALLORY).await;
    for job in [busy.job(), scene.answered.job(), &JobId::random()] {
        let found = attacker.cancel(job).await.unwrap();
        println!("  held   cancel {job} in its own name: {found:?}");
        // The id was submitted by the attacker too, as a job of its own, and is answered for what it was.
        assert!(!matches!(found, Cancellation::Cancelled), "{found:?}");
    }
    let refused = deployment.client_in_name_of(MALLORY, VICTIM).await.cancel(busy.job()).await;
    println!("  held   cancel it in the victim's name: {refused:?}");
    assert!(matches!(refused, Err(ClientError::NoService)), "{refused:?}");
    let outcome = deployment.outcome(VICTIM, &busy).await;
    assert!(matches!(outcome, Collected::Answer(_)), "{outcome:?}");
}

/// A flood fills its own queue, and the victim's jobs are taken and proved beside it.
async fn floods(deployment: &Deployment) {
    let (attacker, bundle) = (deployment.client(MALLORY).await, deployment.lab.bundle());
    let mut refused = 0;
    for _ in 0..QUEUED_MAX * 2 {
        let options = SubmitOptions { patience: Duration::ZERO, ..SubmitOptions::default() };
        let sealed = attacker.seal(&bundle, &CIRCUIT.parse().unwrap(), &witness(400), &options).unwrap();
        match attacker.publish(&sealed, Duration::ZERO, |_, _| {}).await {
            Ok(()) => {}
            Err(ClientError::QueueFull { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0, "the flood was not bounded");
    let started = std::time::Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let submitted = std::time::Instant::now();
        let ticket = deployment.submit(VICTIM, CIRCUIT, &witness(1)).await;
        assert!(matches!(deployment.outcome(VICTIM, &ticket).await, Collected::Answer(_)));
        slowest = slowest.max(submitted.elapsed());
    }
    println!(
        "  held   flood: {refused} of {} jobs refused, its own queue is full; 5 jobs of the victim took {:?} \
         beside it, the slowest {slowest:?}",
        QUEUED_MAX * 2,
        started.elapsed()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// The same users with the same permissions, all in one account; and one who may do anything.
fn one_account(users: &Users, tables: &str) -> String {
    let claims = users.accounts(tables, &["--format", "claims"]).exits(0).json();
    let accounts = claims.as_object().expect("accounts").values();
    let entries: Vec<String> = accounts
        .flat_map(|account| account["users"].as_object().expect("users"))
        .map(|(key, may)| {
            let (publish, subscribe) = (&may["pub"]["allow"], &may["sub"]["allow"]);
            format!(
                "{{ nkey: {key}, permissions: {{ publish: {{ allow: {publish} }}, subscribe: {{ allow: {subscribe} }} }} }}"
            )
        })
        .collect();
    let granted = entries.join("\n");
    format!(
        "accounts {{ ONE {{ jetstream: enabled, users: [\n{granted}\n{OBSERVER}\n{} ] }} }}",
        unbound(users)
    )
}

/// Attacks that must succeed within one account, for the suite to show anything: with the permissions of users alone, and
/// without.
const BREACHED: [&[&str]; 2] = [
    &[
        "redirect: acknowledgement becomes an answer to the job that waits",
        "redirect: acknowledgement becomes a job of the victim",
        "redirect: acknowledgement becomes the victim's inbox",
        "redirect: an empty answer becomes deleting the victim's job stream",
    ],
    &[
        "read: the victim's first answer from the leader",
        "read: the victim's answer",
        "write: a new job in the victim's name",
        "write: an answer to the job that waits",
        "write: a message into the victim's inbox",
        "destroy: have answers pushed to itself",
        "destroy: delete the victim's answers",
        "what all of that heard of the victim",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn within_one_account_the_same_attacks_succeed() {
    for (breached, titled) in BREACHED.into_iter().zip(["the users as they are written", "no permissions"]) {
        let users = Users::new(&[VICTIM, MALLORY]);
        let tables = users.tables(limits);
        let nats = Nats::start_with(&one_account(&users, &tables)).await;
        let deployment = Deployment::at(setup().tenants(&tables), nats, users);
        let scene = Scene::set(&deployment).await;
        let is_bound = titled != "no permissions";
        let own = if is_bound { deployment.nats_of(MALLORY) } else { deployment.nats_of_unbound() };
        let mut attacker = attack(&deployment, &own, &scene.known).await;
        attacker.has_heard(&scene.known.captured.1);
        print(&format!("one account for all, {titled}"), &attacker.attempts);
        for what in breached {
            let found = attacker.attempts.iter().find(|attempt| attempt.what == *what).expect(what);
            assert!(found.breached, "{what}: the control holds, so the suite shows nothing");
        }
    }
}

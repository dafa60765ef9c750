//! A deployment in a folder of its own: identity, keys, bundle and configurations, all made by the real
//! program, and a broker with its streams.

use std::path::{Path, PathBuf};
use std::process::Command;

use async_nats::jetstream;
use sealprove::circuit::Circuits;
use sealprove::client::{Client, Collected, SubmitOptions, Ticket};
use sealprove::config::ClientConfig;
use sealprove::protocol::{Answer, Bundle, CircuitId, JobId, SignedBundle};
use tempfile::TempDir;

use super::raw::Stored;
use super::{Nats, Ran, RawJob, Service, THRESHOLD, good_witness, rogue, sealprove};

/// The deployment's name, which every seal is bound to.
const DEPLOYMENT: &str = "lab";

/// The settings of a deployment; each method changes one.
pub(crate) struct Setup {
    program: PathBuf,
    circuits: Vec<(String, Option<String>)>,
    slots: usize,
    grace: String,
    ack_wait: String,
    streams_table: String,
    nats_table: String,
    tenants: String,
    apply: bool,
}

impl Setup {
    /// One slot, the threshold circuit alone.
    pub(crate) fn new() -> Self {
        Setup {
            program: sealprove(),
            circuits: vec![(THRESHOLD.to_owned(), None)],
            slots: 1,
            grace: "30s".to_owned(),
            ack_wait: "60s".to_owned(),
            streams_table: String::new(),
            nats_table: String::new(),
            tenants: String::new(),
            apply: true,
        }
    }

    /// One slot, and the program whose circuits misbehave. None of them is served yet.
    pub(crate) fn rogue() -> Self {
        Setup { program: rogue(), circuits: Vec::new(), ..Setup::new() }
    }

    /// Serves this circuit too.
    pub(crate) fn circuit(mut self, circuit: &str) -> Self {
        self.circuits.push((circuit.to_owned(), None));
        self
    }

    /// Serves this circuit too, and kills a proof of it after `limit`.
    pub(crate) fn limited(mut self, circuit: &str, limit: &str) -> Self {
        self.circuits.push((circuit.to_owned(), Some(limit.to_owned())));
        self
    }

    pub(crate) fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    pub(crate) fn grace(mut self, grace: &str) -> Self {
        self.grace = grace.to_owned();
        self
    }

    /// Another service gets a job this long after the one that had it gave its last sign of life.
    pub(crate) fn ack_wait(mut self, ack_wait: &str) -> Self {
        self.ack_wait = ack_wait.to_owned();
        self
    }

    /// Sets keys of the `[streams]` table.
    pub(crate) fn streams(mut self, streams_table: &str) -> Self {
        self.streams_table = streams_table.to_owned();
        self
    }

    /// Sets the keys of the `[nats]` table, in service and client alike.
    pub(crate) fn reached_by(mut self, nats_table: String) -> Self {
        self.nats_table = nats_table;
        self
    }

    /// Sets the tables under `[tenants]`.
    pub(crate) fn tenants(mut self, tenants: &str) -> Self {
        self.tenants = tenants.to_owned();
        self
    }

    /// Makes no streams.
    pub(crate) fn without_streams(mut self) -> Self {
        self.apply = false;
        self
    }

    /// Starts the deployment, at a broker of its own.
    pub(crate) async fn start(self) -> Lab {
        let nats = Nats::start().await;
        self.at(nats)
    }

    /// Creates the deployment, at this broker.
    pub(crate) fn at(mut self, nats: Nats) -> Lab {
        if self.nats_table.is_empty() {
            self.nats_table = format!("url = {:?}", nats.url());
        }
        let folder = tempfile::Builder::new().prefix("sealprove-lab-").tempdir().expect("a folder");
        let lab = Lab { nats, folder, setup: self };
        lab.make();
        if lab.setup.apply {
            lab.streams("apply").exits(0);
        }
        lab
    }
}

/// A deployment with its broker.
pub(crate) struct Lab {
    pub(crate) nats: Nats,
    folder: TempDir,
    setup: Setup,
}

impl Lab {
    /// One slot, the threshold circuit alone, and a service that is ready.
    pub(crate) async fn with_service() -> (Lab, Service) {
        let lab = Setup::new().start().await;
        let service = lab.service().await;
        (lab, service)
    }

    fn make(&self) {
        let identity = self.run(&["bundle", "identity", "--out", "identity.key"]).exits(0);
        self.run(&["keys", "new", "--out", "keys"]).exits(0);
        self.sign(&[]).exits(0);
        let Setup { slots, grace, ack_wait, streams_table, nats_table, circuits, tenants, .. } = &self.setup;
        let circuits: String = circuits
            .iter()
            .map(|(id, limit)| {
                let limit = limit.as_ref().map(|limit| format!("time_limit = {limit:?}\n"));
                format!("[circuits.{id}]\n{}", limit.unwrap_or_default())
            })
            .collect();
        let service = format!(
            "bundle = {:?}\nkeys = {:?}\n\
             [service]\nslots = {slots}\nthreads = 1\ngrace = {grace:?}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [streams]\nack_wait = {ack_wait:?}\n{streams_table}\n\
             {circuits}\
             [nats]\n{nats_table}\n{tenants}",
            self.path("bundle.json"),
            self.path("keys"),
        );
        std::fs::write(self.path("sealprove.toml"), service).expect("write the configuration");
        let client = format!(
            "identity = {:?}\nstate = {:?}\n[nats]\n{nats_table}\n",
            identity.line(),
            self.path("state")
        );
        std::fs::write(self.path("client.toml"), client).expect("write the client's configuration");
    }

    /// Signs the bundle again, with more arguments.
    pub(crate) fn sign(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["bundle", "sign", "--identity-key", "identity.key", "--keys", "keys"];
        all.extend(["--deployment", DEPLOYMENT, "--out", "bundle.json"]);
        for (circuit, _) in &self.setup.circuits {
            all.extend(["--circuit", circuit]);
        }
        all.extend(arguments);
        self.run(&all)
    }

    /// A file of the deployment.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the deployment, and says its path.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("write a file");
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("read {name}: {error}"))
    }

    /// Runs the program in the deployment's folder, as a user who has its client configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs the program with `input` on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        Ran::run(self.command().args(arguments), input)
    }

    /// The program, in the deployment's folder, with nothing in its environment but the client
    /// configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.setup.program);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        if self.path("client.toml").is_file() {
            command.env("SEALPROVE_CLIENT", self.path("client.toml"));
        }
        command
    }

    /// `sealprove streams apply` or `check`.
    pub(crate) fn streams(&self, action: &str) -> Ran {
        self.run(&["streams", action, "--config", "sealprove.toml"])
    }

    /// A service that is ready.
    pub(crate) async fn service(&self) -> Service {
        let service = self.service_starting();
        service.becomes_ready().await;
        service
    }

    /// A service that was started a moment ago.
    pub(crate) fn service_starting(&self) -> Service {
        self.service_starting_with(|_| {})
    }

    /// The same, after `change` had its way with the command.
    pub(crate) fn service_starting_with(&self, change: impl FnOnce(&mut Command)) -> Service {
        let log = tempfile::Builder::new().suffix(".log").tempfile_in(self.folder.path());
        let log = log.and_then(|log| Ok(log.keep()?.1)).expect("a log");
        let mut command = self.command();
        change(command.args(["serve", "--config", "sealprove.toml"]));
        Service::start(&mut command, log)
    }

    /// The library's client, with the built-in circuits: it refuses witnesses that are not valid.
    pub(crate) async fn client(&self) -> Client {
        self.client_with(Circuits::built_in()).await
    }

    /// The library's client, without any circuit: it submits whatever it is given.
    pub(crate) async fn blind_client(&self) -> Client {
        self.client_with(Circuits::new()).await
    }

    async fn client_with(&self, circuits: Circuits) -> Client {
        let config = ClientConfig::read(&self.path("client.toml")).expect("the client's configuration");
        Client::connect(config, circuits).await.expect("connect the client")
    }

    /// The library's client of another tenant, or as another user of the broker: `change` says who.
    pub(crate) async fn client_as(&self, change: impl FnOnce(&mut ClientConfig)) -> Client {
        let mut config = ClientConfig::read(&self.path("client.toml")).expect("the client's configuration");
        change(&mut config);
        Client::connect(config, Circuits::new()).await.expect("connect the client")
    }

    /// The deployment's bundle.
    pub(crate) fn bundle(&self) -> Bundle {
        let signed = SignedBundle::from_json(&self.read("bundle.json")).expect("a signed bundle");
        signed.read_unverified().expect("a bundle")
    }

    /// Submits a witness without checking it.
    pub(crate) async fn submit(&self, circuit: &str, witness: &[u8]) -> Ticket {
        self.submit_as(circuit, witness, &SubmitOptions::default()).await
    }

    /// The same, with another lane, lifetime or answer.
    pub(crate) async fn submit_as(&self, circuit: &str, witness: &[u8], options: &SubmitOptions) -> Ticket {
        let circuit: CircuitId = circuit.parse().expect("a circuit's name");
        let client = self.blind_client().await;
        // The bundle from its file, so that this works while no service runs.
        let sealed = client.seal(&self.bundle(), &circuit, witness, options).expect("seal");
        client.publish(&sealed, options.patience, |_, _| {}).await.expect("publish");
        sealed.ticket
    }

    /// Submits a good witness of the threshold circuit.
    pub(crate) async fn submit_good(&self) -> Ticket {
        self.submit(THRESHOLD, &good_witness()).await
    }

    /// A job message like that of an honest client, to be spoilt.
    pub(crate) fn raw_job(&self) -> RawJob {
        RawJob::seal(&self.bundle(), THRESHOLD, &good_witness())
    }

    /// Waits for what a job comes to.
    pub(crate) async fn outcome_of(&self, ticket: &Ticket) -> Collected {
        let client = self.blind_client().await;
        let waiting = client.wait(ticket, |_| {});
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("an answer in time").expect("to ask")
    }

    /// Waits for the authenticated answer of a job.
    pub(crate) async fn answer_to(&self, ticket: &Ticket) -> Answer {
        match self.outcome_of(ticket).await {
            Collected::Answer(answer) => {
                super::assert_valid("answer", &serde_json::json!(answer));
                *answer
            }
            other => panic!("job {} came to {other:?}", ticket.job()),
        }
    }

    /// Waits until there is a message on a job's answer subject, whatever it is.
    pub(crate) async fn stored_answer(&self, job: &JobId) -> Stored {
        let context = self.nats.jetstream().await;
        super::eventually("the job has its answer", async || Stored::read(&context, job).await).await
    }

    /// Returns the number of answers ever stored: answers are never replaced, so each has a number of its own.
    pub(crate) async fn answers_stored(&self) -> u64 {
        let mut stream = self.stream("PROVE_ANSWERS_default").await;
        let state = &stream.info().await.expect("the answer stream's state").state;
        assert_eq!(state.messages, state.last_sequence, "an answer was replaced or removed");
        state.messages
    }

    /// Returns the number of jobs that are queued or in work.
    pub(crate) async fn jobs_left(&self) -> u64 {
        let mut stream = self.stream("PROVE_JOBS_default").await;
        stream.info().await.expect("the job stream's state").state.messages
    }

    /// Waits until every job is acknowledged, and looks at what was stored.
    pub(crate) async fn all_acknowledged(&self) {
        super::eventually("every job is acknowledged", async || (self.jobs_left().await == 0).then_some(()))
            .await;
        self.messages_are_of_the_schemas().await;
    }

    pub(crate) async fn stream(&self, name: &str) -> jetstream::stream::Stream {
        self.nats.jetstream().await.get_stream(name).await.expect("a stream")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

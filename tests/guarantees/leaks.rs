//! The proof of the promise, *a witness is in one process, and the key in none that sees one*: a real broker
//! and a real service, jobs with a witness that cannot be mistaken, and a look from outside at all memory, all
//! files and all output, for everything that must not be there, in every form.
//!
//! It needs root, since neither chamber nor job process lets anybody else look. `cargo test` runs it for root, and
//! says aloud that it was left out for other users; `make leaks` fails for them.
//!
//! A scan of memory does not see registers, caches, and the kernel's own copies.

mod control;
mod cores;
mod needles;
mod report;
mod scan;
mod seal;
mod stopped;

use std::fs;
use std::io::Write;

use rustix::process::geteuid;
use sealprove::protocol::{Code, Scheme};
use tempfile::TempDir;

use needles::{Encoding, Kind, Needles, Recognisable, What};
use report::{May, Place, Report};
use scan::Scanner;
use seal::{SealSecrets, XWingKey};
use stopped::Job;

use crate::kit::{self, Lab, Ran, RawJob, Service, Setup, THRESHOLD};

const DOCUMENT: Kind = (What::Document, Encoding::Text);
const BLINDING_HEX: Kind = (What::Blinding, Encoding::Hex);
const BLINDING_RAW: Kind = (What::Blinding, Encoding::Raw);
const BLINDING_MONTGOMERY: Kind = (What::Blinding, Encoding::Montgomery);
const VALUE_TEXT: Kind = (What::Value, Encoding::Text);
const VALUE_MONTGOMERY: Kind = (What::Value, Encoding::Montgomery);
const ANSWER_SECRET: Kind = (What::AnswerSecret, Encoding::Raw);

/// Every form that a witness takes on in an honest job, some of them for a moment.
const FORMS: [Kind; 7] =
    [DOCUMENT, BLINDING_HEX, BLINDING_RAW, BLINDING_MONTGOMERY, VALUE_TEXT, VALUE_MONTGOMERY, ANSWER_SECRET];
const PROVES: &str = "while a job proves";
const PROVING: &str = "job process, stopped while it proves";
/// Number of jobs to look at: at the least; and at the most, until every form has been seen.
const WATCHED: std::ops::RangeInclusive<usize> = 3..=24;

/// The scan is a process of its own: it raises its limit for core files, and looks for everything in its own memory.
#[test]
fn a_witness_is_in_one_process_and_a_key_in_none_that_sees_one() {
    if !geteuid().is_root() {
        say(
            "leaks: NOTHING WAS LOOKED AT: chamber and jobs let root alone read their memory; run it as root",
        );
        return;
    }
    let scan = Ran::run(&mut kit::own_test(module_path!(), "scan"), b"");
    assert_eq!(scan.code, 0, "{}\n{}", scan.stdout, scan.stderr);
    scan.stdout.lines().filter(|line| line.starts_with("leaks: ")).for_each(say);
}

/// Prints a line although the test passes: the runner keeps what `println!` prints to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "as root, in a process of its own: make leaks"]
async fn scan() {
    assert!(geteuid().is_root(), "chamber and jobs let root alone read their memory; run it as root");
    assert!(run().await, "not everything is as expected");
}

async fn run() -> bool {
    cores::allow().expect("root may raise a limit");
    let scene = Scene::set().await;
    let scanner = Scanner::new(&scene.needles);
    let mut report = Report::default();
    report.add(scene.own_memory(&scanner));
    for job in &scene.jobs.plain {
        scene.prove(job, Code::Ok).await;
    }
    scene.watch(&mut report, &scanner).await;
    scene.prove(&scene.jobs.refused, Code::InvalidWitness).await;
    scene.send(&scene.jobs.damaged).await;
    assert_eq!(scene.lab.stored_answer(&scene.jobs.damaged.id).await.code(), Code::UnsealFailed);
    scene.crash_a_job(&mut report, &scanner).await;

    scene.look_around(&mut report, &scanner, "after all jobs");
    scene.look_at_files(&mut report, &scanner);
    scene.crash_the_chamber(&mut report, &scanner).await;
    for ((scheme, key), job) in scene.keys.iter().zip(&scene.jobs.plain) {
        control::run(&mut report, &scanner, *scheme, key, job).await;
    }
    if let Some(pattern) = cores::elsewhere() {
        println!("leaks: CORE DUMPS WERE NOT TRIED: this machine hands them to {pattern}");
    }
    assert!(scene.service.log().contains("\"TRACE\""), "the log is not at its most verbose");
    report.print(&scene.needles)
}

/// A deployment, its jobs, and all that is looked for.
struct Scene {
    lab: Lab,
    service: Service,
    temporary: TempDir,
    keys: Keys,
    jobs: Jobs,
    needles: Needles,
}

/// All seal the same secrets, each in its own way.
struct Jobs {
    plain: Vec<RawJob>,
    watched: Vec<RawJob>,
    refused: RawJob,
    damaged: RawJob,
    crashed: RawJob,
}

impl Jobs {
    fn seal(lab: &Lab, witness: &Recognisable) -> Self {
        let seal = |scheme, document: &[u8]| RawJob::seal_under(scheme, &lab.bundle(), THRESHOLD, document);
        let good = |index: usize| seal(Scheme::STRONGEST_FIRST[index % 2], &witness.document);
        Jobs {
            plain: (0..4).map(good).collect(),
            watched: (0..*WATCHED.end()).map(good).collect(),
            refused: seal(Scheme::XWing, &witness.refused()),
            // In the ciphertext, behind the encapsulated key.
            damaged: good(0).flipped(1200),
            crashed: good(1),
        }
    }

    fn all(&self) -> impl Iterator<Item = &RawJob> {
        self.plain.iter().chain(&self.watched).chain([&self.refused, &self.damaged, &self.crashed])
    }
}

impl Scene {
    async fn set() -> Self {
        let lab = Setup::new().start().await;
        let temporary = tempfile::Builder::new().prefix("sealprove-leaks-").tempdir().expect("a folder");
        let service = lab.service_starting_with(|command| {
            command.env("SEALPROVE_LOG", "trace").env("TMPDIR", temporary.path());
        });
        service.becomes_ready().await;
        let keys = Scheme::STRONGEST_FIRST.map(|scheme| (scheme, read_key(&lab, scheme)));
        let witness = Recognisable::draw();
        let jobs = Jobs::seal(&lab, &witness);
        let needles = needles(&keys, &witness, &jobs);
        Scene { lab, service, temporary, keys, jobs, needles }
    }

    async fn send(&self, job: &RawJob) {
        job.publish(&self.lab.nats.connect().await).await.expect("publish");
    }

    async fn prove(&self, job: &RawJob, code: Code) {
        self.send(job).await;
        self.answered(job, code).await;
    }

    async fn answered(&self, job: &RawJob, code: Code) {
        let stored = self.lab.stored_answer(&job.id).await;
        assert_eq!(job.open(&stored).map(|answer| answer.code()), Some(code));
    }

    /// Here is everything: what is not found in this memory is not looked for.
    fn own_memory(&self, scanner: &Scanner) -> Place {
        let own = std::process::id().cast_signed();
        let scan = scanner.process(own).expect("this process");
        Place::new("control: this program", May::HoldAll(self.needles.kinds()), scan)
    }

    /// Looks at jobs while they prove, until one has been seen in every form, and at everything else at the
    /// same moment.
    async fn watch(&self, report: &mut Report, scanner: &Scanner) {
        for (index, job) in self.jobs.watched.iter().enumerate() {
            if index >= *WATCHED.start() && report.has_seen(PROVING, &FORMS) {
                return;
            }
            let mut process = self.catch(job).await;
            let mut look_around = true;
            while let Some(scan) = process.next_look(scanner) {
                report.add(Place::new(PROVING, May::HoldTheWitness(FORMS.to_vec()), scan));
                if std::mem::take(&mut look_around) {
                    self.look_around(report, scanner, PROVES);
                }
            }
            drop(process);
            self.answered(job, Code::Ok).await;
        }
    }

    /// Sends a job, and stops its process.
    async fn catch(&self, job: &RawJob) -> Job {
        let chamber = self.service.chamber();
        kit::eventually("the job before has ended", async || {
            kit::children_of(chamber).is_empty().then_some(())
        })
        .await;
        self.send(job).await;
        let process = Job::catch(chamber);
        let started = self.service.process_of(&job.id, 1).await;
        assert_eq!(started, process.pid, "the process of another job was stopped");
        process
    }

    /// Every process but those of jobs.
    fn look_around(&self, report: &mut Report, scanner: &Scanner, when: &str) {
        let broker = self.lab.nats.pid().expect("the broker runs");
        // Which jobs that are over it still knows of is the service's own affair.
        let of_service = if when == PROVES { May::HoldJobIds } else { May::HoldNothing };
        for (name, pid, may) in [
            ("service", self.service.pid(), of_service),
            ("launcher", self.service.launcher(), May::HoldNothing),
            ("chamber", self.service.chamber(), May::HoldTheKeys),
            ("broker", broker, May::HoldJobIds),
        ] {
            let scan = scanner.process(pid).expect("a process");
            report.add(Place::new(&format!("{name}, {when}"), may, scan));
        }
    }

    fn look_at_files(&self, report: &mut Report, scanner: &Scanner) {
        let mut add = |name: &str, may: May, scan| report.add(Place::new(name, may, scan));
        let mut streams = scan::Scan::default();
        for file in self.service.streams() {
            scanner.file(&mut streams, &file);
        }
        add("log and standard streams, at level trace", May::HoldJobIds, streams);
        let keys = self.lab.path("keys");
        let folder = scanner.folder(self.lab.folder(), std::slice::from_ref(&keys));
        add("folder of the deployment, but for keys", May::HoldJobIds, folder);
        add("folder of keys", May::BeTheKeys, scanner.folder(&keys, &[]));
        add("temporary folder", May::HoldNothing, scanner.folder(self.temporary.path(), &[]));
        add("broker's store and log", May::HoldJobIds, scanner.folder(self.lab.nats.folder(), &[]));
        for page in ["/metrics", "/readyz", "/livez"] {
            add("admin pages", May::HoldNothing, scanner.text(&self.service.get(page).1));
        }
    }

    /// A job that crashes while it proves is proved once more.
    async fn crash_a_job(&self, report: &mut Report, scanner: &Scanner) {
        let mut process = self.catch(&self.jobs.crashed).await;
        assert!(process.next_look(scanner).is_some(), "the job ended before it was crashed");
        let pid = process.pid;
        if cores::elsewhere().is_none() {
            let scan = cores::attempt(pid, self.lab.folder(), scanner).await;
            report.add(Place::new("core dump of a proving job process", May::HoldNothing, scan));
        }
        drop(process);
        self.answered(&self.jobs.crashed, Code::Ok).await;
    }

    async fn crash_the_chamber(&self, report: &mut Report, scanner: &Scanner) {
        if cores::elsewhere().is_none() {
            let scan = cores::attempt(self.service.chamber(), self.lab.folder(), scanner).await;
            report.add(Place::new("core dump of the chamber", May::HoldNothing, scan));
        }
    }
}

/// The private key of each scheme.
type Keys = [(Scheme, [u8; 32]); 2];

fn read_key(lab: &Lab, scheme: Scheme) -> [u8; 32] {
    let bundle = lab.bundle();
    let key = bundle.keys.iter().find(|key| key.scheme == scheme).expect("a key of each scheme");
    let file = lab.path("keys").join(format!("{}.{}", key.id, scheme.as_str()));
    fs::read(file).expect("read the key").try_into().expect("32 bytes")
}

fn needles(keys: &Keys, witness: &Recognisable, jobs: &Jobs) -> Needles {
    let mut needles = Needles::default();
    for (scheme, key) in keys {
        needles.add_private_key(*key);
        if *scheme == Scheme::XWing {
            needles.add_expanded(&XWingKey::expand(key));
        }
    }
    needles.add_witness(witness);
    for job in jobs.all() {
        let has_key = |(scheme, _): &&(Scheme, _)| job.sealed.enc.len() == scheme.enc_bytes();
        let (scheme, key) = keys.iter().find(has_key).expect("a key of its scheme");
        let secrets = SealSecrets::derive(*scheme, key, &job.info, &job.payload);
        let opens = secrets.open(&job.payload).is_some();
        assert_eq!(opens, job.id != jobs.damaged.id, "the secrets are those of the seal");
        assert_eq!(&secrets.answer_secret, job.sealed.answer_secret.expose());
        needles.add_seal(&secrets);
        needles.add_job(job.id.as_str());
    }
    needles
}

//! The command line as a script sees it: exit codes, standard output, files and their modes, and errors
//! that name the step and the remedy.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{self, Lab, Ran, Setup, THRESHOLD, good_witness, sealprove};

pub(super) fn mode(lab: &Lab, file: &str) -> u32 {
    std::fs::metadata(lab.path(file)).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_is_checked_without_a_broker() {
    let lab = Setup::new().start().await;
    let good = lab.write("good.json", &good_witness());
    let public_inputs = lab.run(&["check", THRESHOLD, &good]).exits(0);
    assert_eq!(public_inputs.line().len(), 2 * 64, "two field elements in hexadecimal digits");
    let piped = lab.run_with(&["check", THRESHOLD, "-"], &good_witness()).exits(0);
    assert_eq!(piped.line(), public_inputs.line());

    let refused = lab.run_with(&["check", THRESHOLD, "-"], br#"{"value": "SECRET"}"#).exits(3);
    assert!(!refused.stderr.contains("SECRET"), "{}", refused.stderr);
    refused.says("threshold-v1 refuses the witness: ");
    assert_eq!(lab.run(&["sample", THRESHOLD]).exits(0).stdout.into_bytes(), good_witness());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_from_standard_input_to_json_and_verifies_again() {
    let (lab, _service) = Lab::with_service().await;
    let run = lab.run_with(&["submit", THRESHOLD, "-", "--wait", "--json"], &good_witness()).exits(0);
    let answer = run.json();
    assert_eq!(answer["circuit"], THRESHOLD);
    assert_eq!(tickets(&lab).len(), 0, "the ticket of a finished job is kept");

    let file = lab.write("answer.json", run.stdout.as_bytes());
    assert!(lab.run(&["verify", &file]).exits(0).stdout.contains("threshold-v1 verifies under sha256:"));
    lab.run_with(&["verify", "-"], run.stdout.as_bytes()).exits(0);

    for (field, says) in [("proof", "does not verify"), ("public_inputs", "does not verify")] {
        let mut spoilt = answer.clone();
        spoilt[field] = flipped(spoilt[field].as_str().unwrap()).into();
        lab.run_with(&["verify", "-"], spoilt.to_string().as_bytes()).exits(1).says(says);
    }
    let mut other = answer.clone();
    other["verifying_key"] = format!("sha256:{}", "0".repeat(64)).into();
    lab.run_with(&["verify", "-"], other.to_string().as_bytes()).exits(1);
    lab.run_with(&["verify", "-"], b"{}").exits(2).says("is not an answer");
}

/// The example of a program with a circuit of its own: `bench` proves over the whole path and verifies the answer.
#[test]
fn the_example_of_an_own_circuit_checks_and_proves() {
    let sample = own_circuit(&["sample", "factors-v1"], b"").exits(0).stdout;
    let product = own_circuit(&["check", "factors-v1", "-"], sample.as_bytes()).exits(0);
    assert_eq!(product.line(), format!("0100000001{}", "0".repeat(54)), "2^32 + 1, little-endian");
    let check = ["check", "factors-v1", "-"];
    own_circuit(&check, br#"{"a":1,"b":7}"#).exits(3).says("a: is 1, which is a factor");
    own_circuit(&check, br#"{"a":2,"c":7}"#).exits(3).says("does not fit the schema");

    let broker = kit::nats_server();
    let broker = broker.to_str().unwrap();
    let bench = ["bench", "factors-v1", "--jobs", "1", "--json", "--nats-server", broker];
    assert_eq!(own_circuit(&bench, b"").exits(0).json()["circuit"], "factors-v1");
}

fn own_circuit(arguments: &[&str], input: &[u8]) -> Ran {
    Ran::run(Command::new(kit::example("own_circuit")).args(arguments), input)
}

fn tickets(lab: &Lab) -> Vec<String> {
    let files = std::fs::read_dir(lab.folder()).unwrap().flatten();
    let names = files.map(|file| file.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".ticket")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_was_not_saved_can_still_be_collected() {
    let (lab, _service) = Lab::with_service().await;
    let run = lab.run_with(&["submit", THRESHOLD, "-", "--wait"], &good_witness()).exits(0);
    let ticket = run.line().to_owned();
    run.says("proved and verified").says(&format!("`sealprove answer {ticket} --out FILE`"));
    lab.run(&["answer", &ticket, "--out", "answer.json"]).exits(0);
    lab.run(&["verify", "answer.json"]).exits(0);
    std::fs::remove_file(lab.path(&ticket)).unwrap();

    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    lab.write("witness.json", &good_witness());
    let mut command = lab.command();
    command.args(["submit", THRESHOLD, "witness.json", "--wait", "--json"]).stdout(full);
    assert_eq!(command.status().unwrap().code(), Some(1));
    let [ticket] = &tickets(&lab)[..] else { panic!("the ticket is gone") };
    lab.run(&["answer", ticket, "--json"]).exits(0).json();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_output_is_found_before_anything_is_submitted() {
    let (lab, _service) = Lab::with_service().await;
    for (out, says) in
        [("absent/out", "write the output absent/out: No such file"), ("keys", "Is a directory")]
    {
        lab.run_with(&["submit", THRESHOLD, "-", "--out", out], &good_witness()).exits(1).says(says);
    }
    assert_eq!((lab.answers_stored().await, tickets(&lab).len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_wait_keeps_the_ticket_and_says_so() {
    let (lab, service) = Lab::with_service().await;
    lab.run(&["circuits"]).exits(0);
    service.crash();
    lab.write("witness.json", &good_witness());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let queued = lab.jobs_left().await;
        let mut command = lab.command();
        command.args(["submit", THRESHOLD, "witness.json", "--wait", "--ticket", "job.ticket"]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        kit::eventually("the job is queued", async || (lab.jobs_left().await > queued).then_some(())).await;
        // The wait begins a moment after the broker has the job.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        self::signal(&child, signal);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(6), "{signal:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("`sealprove answer job.ticket` collects the answer later"), "{said}");
        assert!(said.starts_with("queued\n"), "{said}");
        std::fs::remove_file(lab.path("job.ticket")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collecting_without_the_witness_warns_that_the_document_is_the_services_own() {
    let lab = Setup::new().circuit("zcash-pczt-v1").start().await;
    let _service = lab.service().await;
    lab.write("witness.pczt", &kit::sample("zcash-pczt-v1"));
    let ticket = lab.run(&["submit", "zcash-pczt-v1", "witness.pczt"]).exits(0).line().to_owned();

    let whole = lab.run(&["answer", &ticket, "--wait", "--out", "whole.pczt"]).exits(0);
    whole.says("warning: without --witness FILE, this is the service's whole document");
    let combined = ["answer", &ticket, "--witness", "witness.pczt", "--out", "combined.pczt"];
    let combined = lab.run(&combined).exits(0).stderr;
    assert!(!combined.contains("warning"), "{combined}");
    assert!(lab.read("combined.pczt").starts_with(b"PCZT"));
}

/// `sealprove dev` of that circuit, in a home of its own.
fn dev(circuit: &str, home: &Path) -> Child {
    let mut command = std::process::Command::new(sealprove());
    command.args(["dev", "--circuit", circuit, "--nats-server"]).arg(kit::nats_server());
    command.env_clear().env("HOME", home).stdout(Stdio::piped()).spawn().unwrap()
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_raw(process.id().cast_signed()).unwrap(), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_development_environment_is_found_and_ends_with_its_terminal() {
    let home = tempfile::tempdir().unwrap();
    let mut dev = dev(THRESHOLD, home.path());
    let greeting = BufReader::new(dev.stdout.take().unwrap()).lines().map(Result::unwrap);
    let greeting: Vec<String> = greeting.take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let folder = greeting.iter().find_map(|line| line.strip_prefix("folder    ")).unwrap();
    let folder = Path::new(folder.split(' ').next().unwrap());
    assert!(folder.join("service.log").exists());

    let file = home.path().join(".local/state/sealprove/dev-client.toml");
    let first = format!("# sealprove dev, process {}\n", dev.id());
    assert!(std::fs::read_to_string(&file).unwrap().starts_with(&first));
    let mut circuits = std::process::Command::new(sealprove());
    Ran::run(circuits.arg("circuits").env_clear().env("HOME", home.path()), b"").exits(0);

    let children = kit::children_of(dev.id().cast_signed());
    signal(&dev, Signal::HUP);
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    assert_eq!((file.exists(), folder.exists()), (false, false));
    assert_eq!((children.len(), children.iter().any(|pid| kit::is_alive(*pid))), (2, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_environment_interrupted_while_starting_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let mut dev = dev("zcash-pczt-v1", home.path());
    let children = kit::eventually("broker, service, launcher and chamber run", async || {
        let mut children = kit::children_of(dev.id().cast_signed());
        let launchers: Vec<i32> = children.iter().flat_map(|pid| kit::children_of(*pid)).collect();
        let chambers: Vec<i32> = launchers.iter().flat_map(|pid| kit::children_of(*pid)).collect();
        children.extend(launchers.into_iter().chain(chambers));
        (children.len() == 4).then_some(children)
    })
    .await;
    let interrupted = std::time::Instant::now();
    signal(&dev, Signal::INT);
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    assert!(interrupted.elapsed() < std::time::Duration::from_secs(5), "{:?}", interrupted.elapsed());
    assert!(!children.iter().any(|pid| kit::is_alive(*pid)));
}

/// Base64 with one bit of a byte in the middle changed.
fn flipped(base64: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let mut bytes = BASE64_STANDARD.decode(base64).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    BASE64_STANDARD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_witness_exits_with_3_before_and_after_submission() {
    let (lab, _service) = Lab::with_service().await;
    let bad = br#"{"value": "1", "blinding": "0x00", "threshold": "2"}"#;
    let refused =
        lab.run_with(&["submit", THRESHOLD, "-", "--wait"], bad).exits(3).says("check the witness: ");
    assert_eq!(refused.stderr.matches("below the threshold").count(), 1, "{}", refused.stderr);
    assert_eq!(lab.answers_stored().await, 0, "it was sent all the same");
    lab.run_with(&["submit", "other-v1", "-"], bad).exits(3).says("`sealprove circuits` lists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_worth_resubmitting_exits_with_4() {
    let lab = Setup::rogue().limited("spins-v1", "1s").start().await;
    let _service = lab.service().await;
    let spins = lab.run_with(&["submit", "spins-v1", "-", "--wait"], br#"{"ms": 600000}"#).exits(4);
    spins.says("TIMEOUT: the proof reached its time limit and was killed").says("unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_belongs_to_its_owner() {
    let (lab, service) = Lab::with_service().await;
    let submit = ["submit", THRESHOLD, "-", "--ticket", "job.ticket"];
    lab.run_with(&submit, &good_witness()).exits(0);
    assert_eq!(mode(&lab, "job.ticket"), 0o600);
    lab.run_with(&submit, &good_witness()).exits(1).says("write the ticket job.ticket: File exists");

    std::fs::set_permissions(lab.path("job.ticket"), PermissionsExt::from_mode(0o640)).unwrap();
    lab.run(&["answer", "job.ticket"]).exits(1).says("run chmod 600 on it");
    std::fs::set_permissions(lab.path("job.ticket"), PermissionsExt::from_mode(0o600)).unwrap();
    lab.run(&["answer", "job.ticket", "--wait", "--out", "answer.json"]).exits(0).says("proved and verified");
    lab.run(&["verify", "answer.json"]).exits(0);

    lab.write("garbage.ticket", b"{}");
    std::fs::set_permissions(lab.path("garbage.ticket"), PermissionsExt::from_mode(0o600)).unwrap();
    lab.run(&["answer", "garbage.ticket"]).exits(1).says("garbage.ticket is not a ticket of this version");
    lab.run(&["answer", "keys"]).exits(1).says("keys is a folder, not the file of a ticket");

    service.crash();
    lab.run_with(&["submit", THRESHOLD, "-", "--ticket", "late.ticket"], &good_witness()).exits(0);
    lab.run(&["answer", "late.ticket", "--wait", "--timeout", "1s"]).exits(6).says("has no answer yet");
    let status = lab.run(&["status", "late.ticket", "--json"]).exits(6).json();
    assert_eq!(status["state"], "queued");
    let id = status["job"].as_str().unwrap();
    assert_eq!(lab.run(&["status", id, "--json"]).exits(6).json()["state"], "queued or unknown");
    lab.run(&["answer", "late.ticket", "--nats", "nats://127.0.0.1:1"]).exits(5);
}

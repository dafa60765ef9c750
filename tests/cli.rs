//! The command line as a script sees it: exit codes, standard output, files and their modes, and errors
//! that name the step and the remedy.

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sealprove::circuit::Circuits;
use support::{Lab, Ran, Setup, THRESHOLD, good_witness, sealprove};

/// The program, with no configuration and no home.
fn run(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(sealprove());
    Ran::of(command.args(arguments).env_clear().env("HOME", folder.path()).current_dir(&folder), b"")
}

fn mode(lab: &Lab, file: &str) -> u32 {
    std::fs::metadata(lab.path(file)).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_command_explains_itself() {
    let mut commands: Vec<Vec<String>> = vec![vec![]];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = run(&arguments).exits(0).stdout;
        assert!(help.contains("Usage: sealprove"), "{command:?}:\n{help}");
        let about = help.lines().next().unwrap_or_default();
        assert!(about.len() > 10 && !about.starts_with("Usage"), "{command:?} says nothing of itself");
        seen += 1;
        let listed = help.split("Commands:\n").nth(1).unwrap_or_default();
        for line in listed.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap_or_default();
            // What follows on a further line is the end of an explanation.
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                commands.push([command.clone(), vec![name.to_owned()]].concat());
            }
        }
    }
    assert!(seen >= 20, "only {seen} commands were found");
}

#[test]
fn the_main_help_says_how_to_begin_and_what_the_exit_codes_mean() {
    let help = run(&["--help"]).exits(0).stdout;
    for text in ["sealprove dev", "Exit codes: 0 done", "6 no answer yet"] {
        assert!(help.contains(text), "{text}");
    }
    assert!(!help.contains("chamber"), "the chamber is no command of a user's");
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).exits(0).stdout.contains("sealprove"), "{shell}");
    }
}

/// The program, with its standard output going to `output`.
fn run_into(arguments: &[&str], output: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(sealprove());
    command.args(arguments).stdout(output).stderr(Stdio::piped());
    let ended = command.output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_reader_that_has_left_is_no_error_and_a_full_disk_is_one() {
    let commands: [&[&str]; 4] = [
        &["circuits", "--local"],
        &["circuits", "--local", "--json"],
        &["sample", THRESHOLD],
        &["completions", "zsh"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run_into(arguments, writer), (Some(0), String::new()), "{arguments:?}");

        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = run_into(arguments, full);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(said.starts_with("error: write to standard output: No space left"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_connection_that_fails_says_where_the_address_is_from() {
    let nowhere = ["circuits", "--nats", "nats://127.0.0.1:1"];
    let said = run(&nowhere).exits(5).says("the address is from --nats").stderr;
    assert_eq!(said.matches("refused").count(), 1, "a cause is said twice: {said}");

    let home = tempfile::tempdir().unwrap();
    let config = |folder: &str, name: &str, first: &str, port: u16| {
        let folder = home.path().join(folder).join("sealprove");
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("{first}\n[nats]\nurl = \"nats://127.0.0.1:{port}\"\n");
        std::fs::write(folder.join(name), text).unwrap();
    };
    let circuits = || {
        let mut command = std::process::Command::new(sealprove());
        Ran::of(command.arg("circuits").env_clear().env("HOME", home.path()), b"").exits(5)
    };
    config(".config", "client.toml", "", 1);
    circuits().says("127.0.0.1:1:").says("the client configuration is").says(".config/sealprove/client.toml");
    // Process ids end at four million.
    config(".local/state", "dev-client.toml", "# sealprove dev, process 999999999", 2);
    circuits().says("127.0.0.1:1:");
    let running = format!("# sealprove dev, process {}", std::process::id());
    config(".local/state", "dev-client.toml", &running, 2);
    circuits().says("127.0.0.1:2:").says("dev-client.toml");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let table: [(&[&str], &str); 12] = [
        (&["prove"], "unrecognized subcommand"),
        (&["submit"], "required arguments were not provided"),
        (&["submit", "Not.A.Circuit", "-"], "not a circuit: expected 1 to 64 of a-z 0-9 -"),
        (&["check", "other-v1", "-"], "this build has no circuit other-v1; it has membership-v1"),
        (&["sample", "other-v1"], "this build has no circuit other-v1"),
        (&["dev", "--circuit", "other-v1"], "this build has no circuit other-v1"),
        (&["bench", "other-v1"], "this build has no circuit other-v1"),
        (&["bench", THRESHOLD, "--jobs", "0"], "0 is not in 1.."),
        (&["circuits", "--tenant", "a.b"], "not a tenant"),
        (&["circuits", "--identity", "abc"], "an identity is ed25519: and base64 of 32 bytes"),
        (&["serve"], "--config"),
        (&["serve", "--config", "f", "--nats", "nats://127.0.0.1:1"], "unexpected argument '--nats'"),
    ];
    for (arguments, says) in table {
        run(arguments).exits(2).says(says);
    }
}

#[test]
fn an_error_names_the_step_the_thing_and_the_remedy() {
    run(&["check", THRESHOLD, "absent.json"]).exits(1).says("read the witness absent.json: No such file");
    run(&["answer", "absent.ticket"]).exits(1).says("read the ticket absent.ticket: No such file");
    run(&["serve", "--config", "absent.toml"])
        .exits(1)
        .says("read the configuration absent.toml: no such file");
    run(&["verify", "absent.json"]).exits(1).says("read the answer absent.json");
    run(&["keys", "list", "absent"]).exits(1).says("read the keys in absent");
    let nobody = run(&["circuits", "--nats", "nats://127.0.0.1:1"]).exits(5);
    nobody.says("connect to the broker at nats://127.0.0.1:1: is it running");
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

#[test]
fn the_circuits_of_the_build_are_listed_without_a_deployment() {
    let listed = run(&["circuits", "--local"]).exits(0).stdout;
    let json = run(&["circuits", "--local", "--json"]).exits(0).json();
    for (id, circuit) in Circuits::built_in().iter() {
        assert!(listed.contains(id.as_str()) && listed.contains(circuit.descriptor().summary), "{listed}");
        let found = json.as_array().unwrap().iter().find(|listed| listed["id"] == id.as_str()).unwrap();
        assert_eq!(found["verifying_key"], circuit.descriptor().verifying_key().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_from_standard_input_to_json_and_verified_again() {
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
    let own = |arguments: &[&str], input: &[u8]| {
        Ran::of(std::process::Command::new(support::example("own_circuit")).args(arguments), input)
    };
    let sample = own(&["sample", "factors-v1"], b"").exits(0).stdout;
    let product = own(&["check", "factors-v1", "-"], sample.as_bytes()).exits(0);
    assert_eq!(product.line(), format!("0100000001{}", "0".repeat(54)), "2^32 + 1, little-endian");
    own(&["check", "factors-v1", "-"], br#"{"a":1,"b":7}"#).exits(3).says("a: is 1, which is a factor");
    own(&["check", "factors-v1", "-"], br#"{"a":2,"c":7}"#).exits(3).says("does not fit the schema");

    let broker = support::nats_server();
    let broker = broker.to_str().unwrap();
    let measured = own(&["bench", "factors-v1", "--jobs", "1", "--json", "--nats-server", broker], b"");
    assert_eq!(measured.exits(0).json()["circuit"], "factors-v1");
}

fn tickets(lab: &Lab) -> Vec<String> {
    let files = std::fs::read_dir(lab.folder()).unwrap().flatten();
    let names = files.map(|file| file.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".ticket")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_nobody_keeps_can_still_be_collected() {
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
async fn an_output_that_cannot_be_written_is_found_before_anything_is_submitted() {
    let (lab, _service) = Lab::with_service().await;
    for (out, says) in
        [("absent/out", "write the output absent/out: No such file"), ("keys", "Is a directory")]
    {
        lab.run_with(&["submit", THRESHOLD, "-", "--out", out], &good_witness()).exits(1).says(says);
    }
    assert_eq!((lab.answers_stored().await, tickets(&lab).len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_interrupted_keeps_the_ticket_and_says_so() {
    let (lab, service) = Lab::with_service().await;
    lab.run(&["circuits"]).exits(0);
    service.crash();
    lab.write("witness.json", &good_witness());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let queued = lab.jobs_left().await;
        let mut command = lab.command();
        command.args(["submit", THRESHOLD, "witness.json", "--wait", "--ticket", "job.ticket"]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        support::eventually("the job is queued", async || (lab.jobs_left().await > queued).then_some(()))
            .await;
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
async fn who_collects_without_the_witness_is_told_that_the_document_is_the_services_own() {
    let lab = Setup::new().circuit("zcash-pczt-v1").start().await;
    let _service = lab.service().await;
    lab.write("witness.pczt", &support::sample("zcash-pczt-v1"));
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
    command.args(["dev", "--circuit", circuit, "--nats-server"]).arg(support::nats_server());
    command.env_clear().env("HOME", home).stdout(Stdio::piped()).spawn().unwrap()
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_raw(process.id().cast_signed()).unwrap(), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_environment_is_found_while_it_runs_and_ends_with_its_terminal() {
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
    Ran::of(circuits.arg("circuits").env_clear().env("HOME", home.path()), b"").exits(0);

    let children = support::children_of(dev.id().cast_signed());
    signal(&dev, Signal::HUP);
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    assert_eq!((file.exists(), folder.exists()), (false, false));
    assert_eq!((children.len(), children.iter().any(|pid| support::is_alive(*pid))), (2, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_environment_that_is_interrupted_at_its_start_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let mut dev = dev("zcash-pczt-v1", home.path());
    let children = support::eventually("broker, service, launcher and chamber run", async || {
        let mut children = support::children_of(dev.id().cast_signed());
        let launchers: Vec<i32> = children.iter().flat_map(|pid| support::children_of(*pid)).collect();
        let chambers: Vec<i32> = launchers.iter().flat_map(|pid| support::children_of(*pid)).collect();
        children.extend(launchers.into_iter().chain(chambers));
        (children.len() == 4).then_some(children)
    })
    .await;
    let interrupted = std::time::Instant::now();
    signal(&dev, Signal::INT);
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    assert!(interrupted.elapsed() < std::time::Duration::from_secs(5), "{:?}", interrupted.elapsed());
    assert!(!children.iter().any(|pid| support::is_alive(*pid)));
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
async fn a_refused_witness_ends_with_3_here_and_there() {
    let (lab, _service) = Lab::with_service().await;
    let bad = br#"{"value": "1", "blinding": "0x00", "threshold": "2"}"#;
    let refused =
        lab.run_with(&["submit", THRESHOLD, "-", "--wait"], bad).exits(3).says("check the witness: ");
    assert_eq!(refused.stderr.matches("below the threshold").count(), 1, "{}", refused.stderr);
    assert_eq!(lab.answers_stored().await, 0, "it was sent all the same");
    lab.run_with(&["submit", "other-v1", "-"], bad).exits(3).says("`sealprove circuits` lists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_may_succeed_as_a_new_one_ends_with_4() {
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

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_for_their_owner_and_listed() {
    let lab = Setup::new().start().await;
    let made = lab.run(&["keys", "new", "--out", "more"]).exits(0).stdout;
    let ids: Vec<&str> = made.lines().collect();
    for (id, scheme) in ids.iter().zip(["xwing", "x25519"]) {
        assert_eq!(mode(&lab, &format!("more/{id}.{scheme}")), 0o600);
        assert_eq!(lab.read(&format!("more/{id}.{scheme}")).len(), 32);
    }
    let shown = lab.run(&["keys", "list", "more"]).exits(0).stdout;
    assert!(ids.iter().all(|id| shown.contains(id)) && shown.matches("active").count() == 2, "{shown}");
    let listed = lab.run(&["keys", "list", "more", "--json"]).exits(0).json();
    let of_scheme = |scheme| listed.as_array().unwrap().iter().find(|key| key["scheme"] == scheme).unwrap();
    assert_eq!((&of_scheme("xwing")["id"], &of_scheme("xwing")["state"]), (&ids[0].into(), &"active".into()));
    assert_eq!(listed.as_array().unwrap().len(), 2);

    assert_eq!(mode(&lab, "identity.key"), 0o600);
    std::fs::set_permissions(lab.path("identity.key"), PermissionsExt::from_mode(0o644)).unwrap();
    lab.sign(&[]).exits(1).says("others can read it; run chmod o-rwx on it");
    std::fs::set_permissions(lab.path("identity.key"), PermissionsExt::from_mode(0o600)).unwrap();
    lab.run(&["bundle", "identity", "--out", "identity.key"]).exits(1).says("File exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_signed_only_as_clients_would_take_it() {
    let lab = Setup::new().start().await;
    let shown = lab.run(&["bundle", "show", "bundle.json"]).exits(0).json();
    assert_eq!((&shown["deployment"], &shown["circuits"][0]["id"]), (&"lab".into(), &THRESHOLD.into()));
    assert_eq!(lab.sign(&["--serial", "7"]).exits(0).stdout, "");
    assert_eq!(lab.run(&["bundle", "show", "bundle.json"]).exits(0).json()["serial"], 7);

    lab.sign(&["--valid-for", "10y"]).exits(1).says("a key's life ends before jobs sealed to it can");
    lab.sign(&["--valid-for", "0s"]).exits(1).says("the bundle expired at");
    lab.sign(&["--circuit", "other-v1"]).exits(2).says("this build has no circuit other-v1");
    std::fs::create_dir(lab.path("empty")).unwrap();
    lab.run(&[
        "bundle",
        "sign",
        "--identity-key",
        "identity.key",
        "--keys",
        "empty",
        "--deployment",
        "lab",
        "--out",
        "-",
    ])
    .exits(2)
    .says("make one with `sealprove keys new`");
    lab.write("bundle.json", b"{\"payload\": \"AAAA\", \"signature\": \"AAAA\"}");
    lab.run(&["bundle", "show", "bundle.json"]).exits(1).says("the bundle is malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_no_older_no_expired_and_no_foreign_bundle() {
    let lab = Setup::new().start().await;
    let show = ["bundle", "show"];
    let serve = async |arguments: &[&str]| {
        lab.sign(arguments).exits(0);
        lab.service().await
    };

    let service = serve(&["--serial", "20"]).await;
    assert_eq!(lab.run(&show).exits(0).json()["serial"], 20);
    drop(service);
    let service = serve(&["--serial", "10"]).await;
    lab.run(&show).exits(1).says("the bundle has serial 10, but serial 20 was seen before");
    drop(service);

    let other = lab.run(&["bundle", "identity", "--out", "other.key"]).exits(0).line().to_owned();
    let service = serve(&["--serial", "30"]).await;
    lab.run(&["bundle", "show", "--identity", &other]).exits(1).says("not signed by the pinned identity");
    assert_eq!(lab.run(&show).exits(0).json()["serial"], 30);
    drop(service);

    let service = serve(&["--serial", "40", "--valid-for", "8s"]).await;
    lab.run(&show).exits(0);
    tokio::time::sleep(std::time::Duration::from_secs(9)).await;
    lab.run(&show).exits(1).says("the bundle expired at");
    lab.run(&["bundle", "show", "bundle.json"]).exits(0).says("clients refuse it: the bundle expired at");
    service.logs(&["the bundle has expired, and clients refuse it"]).await;
    lab.run_with(&["submit", THRESHOLD, "-"], &good_witness()).exits(1).says("the bundle expired at");
    drop(service);
    lab.run(&show).exits(1).says("the bundle expired at");
    assert_eq!(lab.service_starting().exit_code().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_trusted_on_first_use_and_then_pinned() {
    let (lab, _service) = Lab::with_service().await;
    let identity = lab.bundle().identity.to_string();
    let url = lab.nats.url();
    let stranger = |arguments: &[&str]| {
        let mut command = lab.command();
        Ran::of(command.env_remove("SEALPROVE_CLIENT").args(arguments), b"")
    };
    stranger(&["circuits", "--nats", &url]).exits(1).says("sealprove bundle trust");

    let trusted = stranger(&["bundle", "trust", "--nats", &url, "--out", "own/client.toml"]).exits(0);
    assert_eq!(trusted.line(), identity);
    let circuits = stranger(&["circuits", "--client", "own/client.toml"]).exits(0);
    assert!(circuits.stdout.contains(THRESHOLD));

    let other = lab.run(&["bundle", "identity", "--out", "other.key"]).exits(0).line().to_owned();
    let pinned = stranger(&["bundle", "trust", "--nats", &url, "--identity", &other]).exits(1);
    pinned.says("is pinned already, and the deployment signs as");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_worth_another_try() {
    let lab = Setup::new().start().await;
    let service = lab.service().await;
    lab.run(&["circuits"]).exits(0);
    service.crash();
    let stream = lab.stream("PROVE_JOBS_default").await;
    let config = stream.cached_info().config.clone();
    let full = async_nats::jetstream::stream::Config { max_messages: 1, ..config };
    lab.nats.jetstream().await.update_stream(full).await.unwrap();

    lab.run_with(&["submit", THRESHOLD, "-"], &good_witness()).exits(0);
    let refused = lab.run_with(&["submit", THRESHOLD, "-", "--timeout", "1s"], &good_witness()).exits(4);
    refused.says("the queue is full and nothing was accepted");
    assert_eq!(lab.jobs_left().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_a_mistake_is_refused_with_its_place() {
    let lab = Setup::new().start().await;
    let good = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    let table = [
        (good.replace("slots = 1", "slots = 0"), 1, "service.slots and service.threads are at least 1"),
        (good.replace("slots = 1", "slotz = 1"), 1, "slotz"),
        (good.replace("ack_wait = \"60s\"", "ack_wait = \"10ms\""), 1, "streams.ack_wait is at least 1s"),
        (good.replace("[streams]", "[streams]\nreplicas = 2"), 1, "streams.replicas is 1, 3 or 5"),
        (good.replace("[circuits.threshold-v1]", "[circuits.other-v1]"), 2, "names the circuit other-v1"),
    ];
    for (text, code, says) in table {
        assert_ne!(text, good, "{says}");
        let file = lab.write("mistake.toml", text.as_bytes());
        lab.run(&["serve", "--config", &file]).exits(code).says(says);
    }
    let mut typo = lab.command();
    typo.args(["serve", "--config", "sealprove.toml"]).env("SEALPROVE_SERVICE__SLOT", "2");
    Ran::of(&mut typo, b"").exits(1).says("SEALPROVE_SERVICE__SLOT, which sets no key; those that do are");
}

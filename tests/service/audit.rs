//! The audit log of a running service: a line for every job, that is found out when it is touched, and that holds
//! nothing of a witness.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sealprove::protocol::{Code, Subjects};
use serde_json::Value;

use crate::kit::{self, Lab, Process, Service, Setup, THRESHOLD, assert_valid, eventually, good_witness};

/// A deployment whose services keep an audit log there.
async fn lab(slots: usize, audit: &str) -> Lab {
    let lab = Setup::new().slots(slots).start().await;
    let folder = lab.path("audit");
    let table = format!("[audit]\n{}\n", audit.replace("FOLDER", folder.to_str().unwrap()));
    let config = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    lab.write("sealprove.toml", format!("{config}{table}").as_bytes());
    lab
}

const FOLDER: &str = "to = \"folder\"\nfolder = \"FOLDER\"";

/// Its files, in the order in which they were written.
fn files(lab: &Lab) -> Vec<PathBuf> {
    let list = |folder: &Path| {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    list(&lab.path("audit")).iter().flat_map(|start| list(start)).collect()
}

fn text(lab: &Lab) -> String {
    files(lab).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn of_event<'a>(lines: &'a [Value], event: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["event"] == event)
}

async fn stops(service: &Service) {
    service.terminate();
    assert_eq!(service.exit_code().await, 0);
}

/// Every piece of a document that is long enough to be told from chance.
fn pieces(document: &Value, into: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => members.values().for_each(|member| pieces(member, into)),
        Value::Array(items) => items.iter().for_each(|item| pieces(item, into)),
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Number(number) => drop(into.insert(number.to_string())),
        _ => {}
    }
    into.retain(|piece| piece.len() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_have_a_line_each_and_any_change_is_detected() {
    let lab = lab(2, FOLDER).await;
    let service = lab.service().await;
    let mut codes = BTreeMap::new();
    let mut tickets = Vec::new();
    for number in 0..100 {
        let witness = if number % 10 == 9 { b"{\"value\":1}".to_vec() } else { good_witness() };
        tickets.push(lab.submit(THRESHOLD, &witness).await);
    }
    for ticket in &tickets {
        codes.insert(ticket.job().as_str().to_owned(), lab.answer_to(ticket).await.code());
    }
    lab.all_acknowledged().await;
    stops(&service).await;

    let text = text(&lab);
    let lines = lines(&text);
    for line in &lines {
        assert_valid("audit", line);
    }
    assert_eq!((&lines[0]["event"], &lines[lines.len() - 1]["event"]), (&"start".into(), &"stop".into()));
    let jobs: Vec<&Value> = of_event(&lines, "job").collect();
    assert_eq!(jobs.len(), 100);
    let bundle = lab.bundle();
    for job in &jobs {
        let code = codes[job["job"].as_str().unwrap()];
        assert_eq!((&job["code"], &job["settled_by"]), (&code.as_str().into(), &"delivery".into()), "{job}");
        assert_eq!((&job["attempt"], &job["tenant"]), (&1.into(), &"default".into()));
        assert_eq!(job["verifying_key"], bundle.circuits[0].verifying_key.to_string());
        let key = bundle.keys.iter().find(|key| job["key"] == key.id.as_str()).expect("a key of the bundle");
        assert_eq!(job["scheme"], key.scheme.as_str());
        for measured in ["queued_ms", "worked_ms", "opened_ms", "sealed_ms", "stored_at_ms"] {
            assert!(job[measured].is_u64(), "{measured}: {job}");
        }
        assert_eq!(job["proved_ms"].is_u64(), code == Code::Ok, "{job}");
        for size in ["job_bytes", "answer_bytes", "peak_bytes"] {
            assert!(job[size].as_u64().is_some_and(|size| size > 1000), "{size}: {job}");
        }
    }
    let mut secrets = BTreeSet::new();
    pieces(&serde_json::from_slice(&good_witness()).unwrap(), &mut secrets);
    assert!(secrets.len() >= 2, "{secrets:?}");
    for secret in &secrets {
        assert!(!text.contains(secret.trim_start_matches("0x")), "{secret} is in the audit log");
    }

    every_change_is_detected(&lab, &text);
}

fn every_change_is_detected(lab: &Lab, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let [file] = &files(lab)[..] else { panic!("more than one file") };
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let verify = |arguments: &[&str]| lab.run(&[&["audit", "verify", "audit"], arguments].concat());
    let whole = verify(&[]).exits(0).stdout;
    assert!(whole.contains("stopped") && whole.contains("whole: 1 chain in 1 file"), "{whole}");
    let last = whole.split("last ").nth(1).unwrap().lines().next().unwrap().to_owned();
    verify(&["--expect", &last]).exits(0);

    let written: Vec<&str> = text.lines().collect();
    let touched = |change: &dyn Fn(&mut Vec<String>), says: &str| {
        let mut lines: Vec<String> = written.iter().map(|line| format!("{line}\n")).collect();
        change(&mut lines);
        std::fs::write(file, lines.concat()).unwrap();
        let said = verify(&["--expect", &last]).exits(1).stdout;
        assert!(said.contains(says), "expected {says:?} in:\n{said}");
    };
    let job = written.iter().position(|line| line.contains("\"code\":\"OK\"")).unwrap();
    let billed = |lines: &mut Vec<String>| lines[job] = lines[job].replace("\"default\"", "\"another\"");
    touched(&billed, &format!(".jsonl:{}: changed", job + 1));
    touched(&|lines| drop(lines.remove(job)), &format!("line {job} is removed"));
    touched(&|lines| lines.swap(job, job + 1), &format!(".jsonl:{}: out of order", job + 2));
    touched(&|lines| lines.insert(job, lines[job].clone()), &format!(".jsonl:{}: inserted", job + 2));
    touched(&|lines| lines.truncate(job), "the end is cut off");
    std::fs::write(file, text).unwrap();
    verify(&["--expect", &last]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_bundles_chambers_and_starts_have_lines() {
    let lab = lab(1, FOLDER).await;
    let service = lab.service().await;
    lab.run(&["keys", "rotate", "keys", "--lead", "1s", "--scheme", "x25519"]).exits(0);
    lab.sign(&["--serial", &(lab.bundle().serial + 1).to_string()]).exits(0);
    service.logs(&["the new bundle is served"]).await;
    stops(&service).await;
    let second = lab.service().await;
    stops(&second).await;

    let lines = lines(&text(&lab));
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let count = |event| events.iter().filter(|found| **found == event).count();
    assert_eq!((count("start"), count("stop")), (2, 2), "{events:?}");
    // Two at the first start, one by rotation, three at the second start.
    assert_eq!(count("key_appeared"), 6, "{events:?}");
    let causes: Vec<_> = of_event(&lines, "chamber_ready").map(|line| line["cause"].clone()).collect();
    assert_eq!(causes, ["start", "keys_changed", "start"]);
    let served: Vec<_> = of_event(&lines, "bundle_served").map(|line| line["serial"].as_u64()).collect();
    assert!(served.len() == 3 && served[0] < served[1] && served[1] == served[2], "{served:?}");
    let starts: Vec<_> = of_event(&lines, "start").collect();
    assert_eq!((&starts[0]["follows"], &starts[1]["deployment"]), (&Value::Null, &"lab".into()));
    lab.run(&["audit", "verify", "audit"]).exits(0);

    // A start that is gone is missed by the one that followed it.
    let first = files(&lab)[0].parent().unwrap().to_owned();
    std::fs::remove_dir_all(first).unwrap();
    lab.run(&["audit", "verify", "audit"]).exits(0).says("follows a line that is not in these files");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_found_answered_or_answered_in_the_queue_have_their_lines() {
    let lab = lab(1, "to = \"stdout\"").await;
    let found = lab.raw_job();
    let client = lab.nats.connect().await;
    // As a start before had left it, that died with its answer stored and its line unwritten.
    found.publish(&client).await.unwrap();
    let headers = [
        ("Sealprove-Version", "1"),
        ("Sealprove-Outcome", "failed"),
        ("Sealprove-Code", "TIMEOUT"),
        ("Sealprove-Answer", "sealed"),
        ("Content-Type", "application/json"),
    ];
    let stored = kit::RawJob {
        subject: Subjects::default().answer(&Default::default(), &found.id),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..lab.raw_job()
    };
    stored.publish(&client).await.unwrap();
    let mut cancelled = lab.submit_good().await;
    for _ in 0..60 {
        cancelled = lab.submit_good().await;
    }
    let service = lab.service().await;
    // The last of so many jobs is not taken for seconds.
    lab.run(&["cancel", cancelled.job().as_str()]).exits(0);
    lab.all_acknowledged().await;
    stops(&service).await;

    let output = std::fs::read_to_string(&service.streams()[1]).unwrap();
    let lines = lines(&output);
    let line = |job: &str| of_event(&lines, "job").find(|line| line["job"] == job).expect("a line").clone();
    let of_found = line(found.id.as_str());
    assert_eq!((&of_found["settled_by"], &of_found["code"]), (&"found".into(), &"TIMEOUT".into()));
    assert_eq!(of_found["outcome"], "failed");
    let of_cancelled = line(cancelled.job().as_str());
    assert_eq!((&of_cancelled["settled_by"], &of_cancelled["code"]), (&"queue".into(), &"CANCELLED".into()));
    assert_eq!((&of_cancelled["attempt"], of_cancelled["key"].is_string()), (&0.into(), true));
    lab.write("audit.jsonl", output.as_bytes());
    lab.run(&["audit", "verify", "audit.jsonl"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_delays_no_answer_and_is_reported() {
    let lab = lab(1, "to = \"stdout\"").await;
    let (log, program) = (lab.path("full.log"), kit::sealprove());
    let mut command = Command::new(program);
    command.current_dir(lab.folder()).args(["serve", "--config", "sealprove.toml"]).env_clear();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    command.stdin(Stdio::null()).stdout(full).stderr(std::fs::File::create(&log).unwrap());
    let _service = Process::start(&mut command);

    for _ in 0..3 {
        let ticket = lab.submit_good().await;
        assert_eq!(lab.answer_to(&ticket).await.code(), Code::Ok);
    }
    lab.all_acknowledged().await;
    eventually("the log says so", async || {
        let said = std::fs::read_to_string(&log).unwrap();
        said.contains("the audit log cannot be written and its lines wait in memory").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(10)).await;
}

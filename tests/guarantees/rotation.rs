//! Recipient keys through their life, under load: nothing is lost while they come and go, and what was sealed to
//! a key that is destroyed opens nowhere any more.

use std::path::Path;
use std::time::Duration;

use sealprove::client::{Collected, Ticket};
use sealprove::protocol::{Bundle, Code, Scheme, open};
use sealprove::secret::PrivateKey;
use serde_json::Value;

use crate::kit::{self, Lab, RawJob, Service, Setup, THRESHOLD, good_witness};

/// Number of jobs that wait while their key is destroyed: more than are proved until the service has seen it.
const QUEUED: usize = 100;

/// A bundle is signed often here, and its serial grows by one.
fn sign(lab: &Lab, serial: u64) {
    lab.sign(&["--serial", &serial.to_string()]).exits(0);
}

fn serial_of(lab: &Lab) -> u64 {
    lab.bundle().serial
}

/// Returns the ids of the keys in this state, from `keys list`.
fn keys_in(lab: &Lab, state: &str) -> Vec<String> {
    let listed = lab.run(&["keys", "list", "keys", "--json"]).exits(0).json();
    let in_state = listed.as_array().unwrap().iter().filter(|key| key["state"] == state);
    in_state.map(|key| key["id"].as_str().unwrap().to_owned()).collect()
}

async fn publish(lab: &Lab, job: &RawJob) {
    job.publish(&lab.nats.connect().await).await.expect("the broker takes it");
}

/// Waits until the service has taken up what has changed so often.
async fn takes_over(service: &Service, times: usize) {
    kit::eventually("another chamber takes over", async || {
        let log = service.log();
        (log.matches("the keys have changed").count() >= times).then_some(())
    })
    .await;
    // Two at work, then the new one alone.
    kit::eventually("the chamber before it ends", async || {
        (service.chambers().len() == 1 && service.log().matches("\"self-test passed\"").count() > times)
            .then_some(())
    })
    .await;
}

async fn serves(service: &Service, serial: u64) {
    service.logs(&["the new bundle is served", &format!("\"serial\":{serial}")]).await;
}

async fn proved(lab: &Lab, tickets: &[Ticket]) {
    for ticket in tickets {
        assert_eq!(lab.answer_to(ticket).await.code(), Code::Ok, "job {}", ticket.job());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_retired_and_destroyed_under_load_and_no_job_is_without_its_answer() {
    let lab = Setup::new().slots(2).start().await;
    let service = lab.service().await;
    let before = lab.bundle();
    let mut jobs = Vec::new();
    let load = async |jobs: &mut Vec<Ticket>| {
        for _ in 0..10 {
            jobs.push(lab.submit_good().await);
        }
    };
    load(&mut jobs).await;

    // New keys: the services first, then the bundle.
    lab.run(&["keys", "rotate", "keys", "--lead", "1s"]).exits(0);
    load(&mut jobs).await;
    takes_over(&service, 1).await;
    sign(&lab, before.serial + 1);
    serves(&service, before.serial + 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    load(&mut jobs).await;
    let new = jobs.last().unwrap().header().key.to_string();
    assert!(before.keys.iter().all(|key| key.id.as_str() != new), "clients seal to a new key");

    // The old ones still open.
    let old_job = RawJob::seal(&before, THRESHOLD, &good_witness());
    publish(&lab, &old_job).await;
    assert_eq!(code_of(&lab, &old_job).await, Code::Ok);

    // Retired, and then destroyed before its time: jobs sealed to it may wait, and none does without its answer.
    for key in &before.keys {
        lab.run(&["keys", "retire", "keys", key.id.as_str()]).exits(0);
        lab.run(&["keys", "destroy", "keys", key.id.as_str()])
            .exits(1)
            .says("may wait for their answers until");
    }
    sign(&lab, before.serial + 2);
    serves(&service, before.serial + 2).await;
    load(&mut jobs).await;
    let captured = RawJob::seal(&before, THRESHOLD, &good_witness());
    let private = lab.path("keys").join(format!("{}.x25519", before.keys[0].id));
    assert!(opens_with(&captured, &private), "the control: it opens with the key that is there");
    let queued: Vec<RawJob> =
        (0..QUEUED).map(|_| RawJob::seal(&before, THRESHOLD, &good_witness())).collect();
    for job in &queued {
        publish(&lab, job).await;
    }
    for key in &before.keys {
        lab.run(&["keys", "destroy", "keys", key.id.as_str(), "--compromised"]).exits(0);
    }
    takes_over(&service, 2).await;
    publish(&lab, &captured).await;
    assert_eq!(code_of(&lab, &captured).await, Code::KeyRetired);
    load(&mut jobs).await;

    proved(&lab, &jobs).await;
    proved_or_retired(&lab, &queued).await;
    lab.all_acknowledged().await;
    assert_eq!(keys_in(&lab, "destroyed").len(), 2);
    assert_eq!(keys_in(&lab, "active").len(), 2);
    nothing_on_disk_opens(&lab, &captured);
    let violations = service.metric("sealprove_process_exits_total", &[("cause", "violation")]);
    assert!(violations < 1.0);
}

/// Jobs that waited while their key was destroyed: each has its answer, before or after.
async fn proved_or_retired(lab: &Lab, jobs: &[RawJob]) {
    let mut retired = 0;
    for job in jobs {
        match code_of(lab, job).await {
            Code::Ok => {}
            Code::KeyRetired => retired += 1,
            code => panic!("job {}: {code}", job.id),
        }
    }
    println!(
        "{} of {} queued jobs were proved, {retired} answered KEY_RETIRED",
        jobs.len() - retired,
        jobs.len()
    );
}

async fn code_of(lab: &Lab, job: &RawJob) -> Code {
    lab.stored_answer(&job.id).await.header().expect("an answer").code
}

fn opens_with(job: &RawJob, file: &Path) -> bool {
    let bytes = std::fs::read(file).expect("read a file");
    bytes.windows(PrivateKey::BYTES).any(|window| {
        let Ok(private) = PrivateKey::fill(|key| {
            key.copy_from_slice(window);
            Ok::<_, std::convert::Infallible>(())
        });
        open(Scheme::X25519, &private, &job.info, &job.payload).is_ok()
    })
}

/// Every 32 bytes of every file that keys could be in.
fn nothing_on_disk_opens(lab: &Lab, job: &RawJob) {
    let mut tried = 0;
    for folder in [lab.folder().to_owned(), lab.path("keys")] {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_file() {
                assert!(!opens_with(job, &entry.path()), "{} opens it", entry.path().display());
                tried += 1;
            }
        }
    }
    assert!(tried >= 8, "{tried} files");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_secret_is_reloaded_when_its_link_moves() {
    let lab = Setup::new().start().await;
    // As Kubernetes mounts it: files are links through ..data, which is turned to another folder.
    std::fs::rename(lab.path("keys"), lab.path("first")).unwrap();
    lab.run(&["keys", "new", "--out", "second"]).exits(0);
    for file in std::fs::read_dir(lab.path("first")).unwrap().flatten() {
        std::fs::copy(file.path(), lab.path("second").join(file.file_name())).unwrap();
    }
    std::fs::create_dir(lab.path("keys")).unwrap();
    mount(&lab, "first");
    let service = lab.service().await;
    let ticket = lab.submit_good().await;

    mount(&lab, "second");
    takes_over(&service, 1).await;
    sign(&lab, serial_of(&lab) + 1);
    serves(&service, serial_of(&lab)).await;
    let shown = lab.run(&["bundle", "show"]).exits(0).json();
    assert_eq!(shown["keys"].as_array().unwrap().len(), 4);
    proved(&lab, &[ticket, lab.submit_good().await]).await;
}

/// Turns `..data` to a folder, and has a link for each of its files.
fn mount(lab: &Lab, folder: &str) {
    let link = |to: &str, name: &str| {
        let path = lab.path("keys").join(name);
        let half = lab.path("keys").join("..half");
        std::os::unix::fs::symlink(to, &half).unwrap();
        std::fs::rename(half, path).unwrap();
    };
    link(&format!("../{folder}"), "..data");
    for file in std::fs::read_dir(lab.path(folder)).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        link(&format!("..data/{name}"), &name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_folder_of_keys_changes_nothing_until_it_is_repaired() {
    let lab = Setup::new().start().await;
    let service = lab.service().await;
    let chamber = service.chamber();
    std::fs::rename(lab.path("keys"), lab.path("away")).unwrap();
    std::fs::create_dir(lab.path("keys")).unwrap();
    service.logs(&["the new chamber does not take over"]).await;
    assert_eq!(lab.answer_to(&lab.submit_good().await).await.code(), Code::Ok);
    assert!(service.chambers().contains(&chamber), "the chamber goes on");

    // A key is lost that the bundle still lists: no more is that one taken.
    std::fs::remove_dir(lab.path("keys")).unwrap();
    lab.run(&["keys", "new", "--out", "keys"]).exits(0);
    service.logs(&["the new chamber does not take over", "deploy first, publish second"]).await;
    assert_eq!(lab.answer_to(&lab.submit_good().await).await.code(), Code::Ok);

    for file in std::fs::read_dir(lab.path("away")).unwrap().flatten() {
        std::fs::rename(file.path(), lab.path("keys").join(file.file_name())).unwrap();
    }
    kit::eventually("another chamber takes over", async || {
        (service.chambers().len() == 1 && service.chambers() != [chamber]).then_some(())
    })
    .await;
    assert_eq!(lab.answer_to(&lab.submit_good().await).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_bundle_that_may_not_succeed_the_last_is_not_served() {
    let lab = Setup::new().start().await;
    let service = lab.service().await;
    let first = lab.bundle();
    let served = || lab.run(&["bundle", "show"]).exits(0).json()["serial"].as_u64().unwrap();
    let good = lab.read("bundle.json");

    sign(&lab, first.serial - 1);
    service.logs(&["the changed bundle is not served", "was accepted before"]).await;
    std::fs::rename(lab.path("identity.key"), lab.path("own.key")).unwrap();
    lab.run(&["bundle", "identity", "--out", "identity.key"]).exits(0);
    sign(&lab, first.serial + 1);
    service.logs(&["the changed bundle is not served", "the bundle is signed by identity"]).await;
    lab.write("bundle.json", &good[..good.len() / 2]);
    service.logs(&["the changed bundle is not served", "the bundle is malformed"]).await;
    assert_eq!(served(), first.serial);

    // One that is ahead of the keys waits for them.
    std::fs::rename(lab.path("own.key"), lab.path("identity.key")).unwrap();
    lab.run(&["keys", "rotate", "keys", "--lead", "1s"]).exits(0);
    sign(&lab, first.serial + 2);
    serves(&service, first.serial + 2).await;
    assert_eq!(served(), first.serial + 2);
    assert_eq!(lab.bundle().keys.len(), 4);
}

/// Answers every request for the bundle with these bytes, as an attacker on the network could.
async fn serve_instead(lab: &Lab, bytes: Vec<u8>) -> tokio::task::JoinHandle<()> {
    use futures_util::StreamExt;
    let client = lab.nats.connect().await;
    let mut requests = client.subscribe("prove.v1.bundle").await.expect("subscribe");
    client.flush().await.expect("flush");
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let reply = request.reply.expect("a reply subject");
            let _ = client.publish(reply, bytes.clone().into()).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_a_bundle_that_is_older_expired_or_of_another_identity() {
    let lab = Setup::new().start().await;
    let refused = async |bytes: Vec<u8>, why: &str| {
        let serving = serve_instead(&lab, bytes).await;
        lab.run_with(&["submit", THRESHOLD, "-"], &good_witness()).exits(1).says(why);
        serving.abort();
        assert!(serving.await.is_err());
    };
    let older = lab.read("bundle.json");
    let serial = serial_of(&lab);
    sign(&lab, serial + 5);
    let newer = serve_instead(&lab, lab.read("bundle.json")).await;
    lab.run(&["bundle", "show"]).exits(0);
    newer.abort();
    assert!(newer.await.is_err());

    refused(older, &format!("serial {serial}, but serial {} was accepted before", serial + 5)).await;

    lab.sign(&["--serial", "9999999999", "--valid-for", "1s"]).exits(0);
    let expired = lab.read("bundle.json");
    tokio::time::sleep(Duration::from_secs(2)).await;
    refused(expired, "the bundle expired at").await;

    std::fs::remove_file(lab.path("identity.key")).unwrap();
    lab.run(&["bundle", "identity", "--out", "identity.key"]).exits(0);
    sign(&lab, serial + 6);
    refused(lab.read("bundle.json"), "is not signed by the pinned identity").await;
    assert_eq!(lab.jobs_left().await, 0, "nothing was submitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_the_stronger_scheme_unless_its_policy_forbids_it() {
    let (lab, _service) = Lab::with_service().await;
    let bundle: Bundle = lab.bundle();
    let scheme_of = |ticket: &Ticket| {
        let sealed_to = bundle.keys.iter().find(|key| key.id == ticket.header().key);
        sealed_to.expect("a key of the bundle").scheme
    };
    let ticket = lab.submit_good().await;
    assert_eq!(scheme_of(&ticket), Scheme::XWing);
    proved(&lab, &[ticket]).await;

    let config = String::from_utf8(lab.read("client.toml")).unwrap();
    lab.write("client.toml", format!("schemes = [\"x25519\"]\n{config}").as_bytes());
    let ticket = lab.submit_good().await;
    assert_eq!(scheme_of(&ticket), Scheme::X25519);
    proved(&lab, &[ticket]).await;

    // Sealed to a key, with the length of the other scheme's encapsulated key: it is no seal of either.
    let mut mixed = RawJob::seal(&bundle, THRESHOLD, &good_witness());
    let other = bundle.keys.iter().find(|key| key.scheme == Scheme::XWing).unwrap();
    mixed = mixed.header("Sealprove-Key", other.id.as_str());
    publish(&lab, &mixed).await;
    assert_eq!(code_of(&lab, &mixed).await, Code::MalformedJob);
    assert!(matches!(lab.outcome_of(&lab.submit_good().await).await, Collected::Answer(_)));
}

#[test]
fn keys_are_listed_as_text_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(kit::sealprove());
        kit::Ran::run(command.current_dir(folder.path()).args(arguments), b"")
    };
    let made = run(&["keys", "new", "--out", "keys"]).exits(0).stdout;
    let ids: Vec<&str> = made.lines().collect();
    run(&["keys", "retire", "keys", ids[0]]).exits(0);
    run(&["keys", "retire", "keys", ids[1]]).exits(1).says("no other key to seal to");
    run(&["keys", "rotate", "keys", "--lead", "100d"]).exits(1).says("choose a shorter --lead");
    run(&["keys", "rotate", "keys", "--scheme", "xwing"]).exits(0);
    run(&["keys", "destroy", "keys", ids[0], "--compromised"]).exits(0);
    run(&["keys", "destroy", "keys", ids[0], "--compromised"]).exits(1).says("is destroyed already");
    run(&["keys", "destroy", "keys", &"0".repeat(32)]).exits(1).says("there is no key");

    // A destruction that was interrupted is brought to its end.
    let remains = folder.path().join("keys").join(format!("{}.xwing", ids[0]));
    std::fs::write(&remains, [7; 32]).unwrap();
    run(&["keys", "destroy", "keys", ids[0]]).exits(0);
    assert!(!remains.exists());

    let listed = run(&["keys", "list", "keys", "--json"]).exits(0).json();
    let mut states: Vec<(&Value, &Value)> =
        listed.as_array().unwrap().iter().map(|key| (&key["state"], &key["has_private"])).collect();
    states.sort_by_key(|(state, _)| state.to_string());
    let expected = [("active", true), ("destroyed", false), ("pending", true)];
    assert_eq!(states.len(), expected.len());
    for ((state, has_private), expected) in states.iter().zip(expected) {
        assert_eq!((state.as_str().unwrap(), has_private.as_bool().unwrap()), expected);
    }
    let shown = run(&["keys", "list", "keys"]).exits(0).stdout;
    assert!(shown.lines().all(|line| line.contains("seal ")) && shown.contains("destroyed"), "{shown}");
}

//! The operator's questions at a terminal: activity (`top`), and the protections it rests on (`doctor`).

use serde_json::Value;

use crate::kit::{Lab, Nats, Ran, Service, Setup, eventually};

/// Returns a service's admin address, from its log.
fn admin(service: &Service) -> String {
    let open = service.events().into_iter().find(|event| event["message"] == "admin address open");
    open.expect("an admin address")["address"].as_str().unwrap().to_owned()
}

fn top(lab: &Lab, service: &Service, arguments: &[&str]) -> Ran {
    let admin = admin(service);
    let all = [&["top", "--config", "sealprove.toml", "--admin", &admin], arguments].concat();
    lab.run(&all)
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_queue_slots_answers_keys_and_broker_and_names_no_job() {
    let lab = Setup::rogue().circuit("sleeps-v1").start().await;
    let service = lab.service().await;
    let refused = lab.submit("sleeps-v1", b"{}]").await;
    lab.outcome_of(&refused).await;
    let mut jobs = vec![refused];
    for _ in 0..3 {
        jobs.push(lab.submit("sleeps-v1", br#"{"ms": 600000}"#).await);
    }
    let busy = eventually("a slot is busy", async || {
        let view = top(&lab, &service, &["--json"]).exits(0).json();
        let is_busy = view["services"][0]["top"]["busy"].as_array().is_some_and(|busy| busy.len() == 1);
        (is_busy && view["broker"]["tenants"][0]["standard"]["waiting"] == 2).then_some(view)
    })
    .await;
    let tenant = &busy["broker"]["tenants"][0];
    assert_eq!((&tenant["tenant"], &tenant["standard"]["in_work"]), (&"default".into(), &1.into()));
    assert_eq!(tenant["express"]["waiting"], 0);
    let seat = &busy["services"][0]["top"]["busy"][0];
    assert_eq!((&seat["circuit"], &seat["attempt"]), (&"sleeps-v1".into(), &1.into()));
    assert_eq!(busy["services"][0]["top"]["answered"], 1);
    assert_eq!(busy["broker"]["troubles"], Value::Array(Vec::new()));

    let frame = top(&lab, &service, &["--once"]).exits(0).stdout;
    println!("{frame}");
    let lines: Vec<&str> = frame.lines().collect();
    assert!(lines.len() <= 24 && lines.iter().all(|line| line.chars().count() <= 80), "{frame}");
    for said in
        ["QUEUES", "SLOTS  1 of 1 busy", "sleeps-v1", "ANSWERED  1 since start", "KEYS", "xwing", "BROKER"]
    {
        assert!(frame.contains(said), "{said}:\n{frame}");
    }
    let page = service.get("/top.json").1;
    for job in &jobs {
        assert!(!page.contains(job.job().as_str()) && !frame.contains(job.job().as_str()), "{page}");
    }
    // Without the configuration: an admin address, and the connection that every command has.
    let own = lab.run(&["top", "--admin", &admin(&service), "--once"]).exits(0).stdout;
    assert!(own.contains("sleeps-v1"), "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn top_names_what_it_cannot_reach() {
    let mut lab = Setup::new().start().await;
    lab.nats.stop().await;
    let ran = lab.run(&["top", "--config", "sealprove.toml", "--admin", "127.0.0.1:1", "--once"]).exits(5);
    assert!(
        ran.stdout.contains("SLOTS  127.0.0.1:1: ") && ran.stdout.contains("BROKER  connect"),
        "{}",
        ran.stdout
    );
    lab.run(&["top", "--once"]).exits(2).says("--config");
    lab.run(&["top", "--config", "sealprove.toml"]).exits(2).says("--once");
}

/// Returns the doctor's lines of this part, by protection.
fn line<'a>(said: &'a str, part: &str, protection: &str) -> &'a str {
    let mut lines = said.lines().filter(|line| line.starts_with(part) && line.contains(protection));
    lines.next().unwrap_or_else(|| panic!("no {part} {protection} in:\n{said}"))
}

/// A broker with a monitoring address, which is what this returns besides.
async fn monitored(settings: &str) -> (Lab, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nats = Nats::start_exactly(&format!("http: {free}\n{settings}")).await;
    (Setup::new().at(nats), format!("http://{free}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_reports_every_protection_of_a_complete_deployment() {
    let settings = "jetstream { store_dir: \"FOLDER/js\", sync_interval: always }\n\
                    accounts { A { jetstream: enabled, users: [ { user: a, password: a } ] }\n\
                    SYS { users: [ { user: sys, password: secret } ] } }\nsystem_account: SYS\nno_auth_user: a\n";
    let (lab, monitor) = monitored(settings).await;
    let doctor = ["doctor", "--config", "sealprove.toml", "--broker", "--keys", "--bundle"];
    let asked = lab.run(&[&doctor[..], &["--monitor", &monitor]].concat()).exits(0).stdout;
    println!("{asked}");
    assert!(asked.lines().all(|line| line.contains(" in force ")), "{asked}");
    for (part, protection) in [
        ("broker", "nats-server"),
        ("broker", "streams and consumers"),
        ("broker", "copies of streams"),
        ("broker", "sync_interval: always"),
        ("broker", "clocks of service and broker"),
        ("keys", "a key of xwing"),
        ("keys", "x25519 active"),
        ("bundle", "is signed"),
        ("bundle", "is good"),
        ("bundle", "agrees with the keys"),
    ] {
        line(&asked, part, protection);
    }

    let unasked = lab.run(&doctor).exits(0).stdout;
    let sync = line(&unasked, "broker", "sync_interval");
    assert!(sync.contains(" not known ") && sync.contains("--monitor"), "{sync}");

    let system = format!("nats://sys:secret@127.0.0.1:{}", lab.nats.port());
    let by_system = lab.run(&[&doctor[..], &["--system", &system]].concat()).exits(0).stdout;
    assert!(line(&by_system, "broker", "sync_interval").contains(" in force "), "{by_system}");
    let no_system = lab.run(&[&doctor[..], &["--system", &lab.nats.url()]].concat()).exits(0);
    assert!(no_system.stdout.contains("is this a user of the system account?"), "{}", no_system.stdout);

    let limits = lab.run(&["doctor", "--config", "sealprove.toml", "--limits"]).stdout;
    assert!(line(&limits, "limits", "memory for all slots").contains(" in force "), "{limits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_reports_missing_protections_with_their_remedies() {
    use std::os::unix::fs::PermissionsExt;
    let (lab, monitor) = monitored("jetstream { store_dir: \"FOLDER/js\" }\n").await;
    let jetstream = lab.nats.jetstream().await;
    jetstream.delete_stream("PROVE_STATUS").await.unwrap();
    let key = lab.bundle().keys.into_iter().next().unwrap();
    let private = lab.path("keys").join(format!("{}.{}", key.id, key.scheme.as_str()));
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o644)).unwrap();
    lab.run(&["keys", "rotate", "keys", "--lead", "1s", "--scheme", "x25519"]).exits(0);

    let said = lab.run(&[
        "doctor",
        "--config",
        "sealprove.toml",
        "--broker",
        "--keys",
        "--bundle",
        "--monitor",
        &monitor,
    ]);
    let said = said.exits(1).stdout;
    println!("{said}");
    for (part, protection, remedy) in [
        ("broker", "sync_interval: always", "set `sync_interval: always`"),
        ("broker", "streams and consumers", "stream PROVE_STATUS is missing: run `sealprove streams apply`"),
        ("bundle", "agrees with the keys", "sign and serve a new one"),
        ("keys", &key.id.as_str()[..13], "`chmod 0600` it"),
    ] {
        let line = line(&said, part, protection);
        assert!(line.contains(" NOT ") && line.contains(remedy), "{line}");
    }

    std::fs::remove_file(&private).unwrap();
    let said = lab.run(&["doctor", "--config", "sealprove.toml", "--keys"]).exits(1).stdout;
    assert!(line(&said, "keys", &key.id.as_str()[..13]).contains("its private half is not here"), "{said}");
    lab.run(&["doctor", "--broker"]).exits(2).says("--config");
    let mut lab = lab;
    lab.nats.stop().await;
    let said = lab.run(&["doctor", "--config", "sealprove.toml", "--broker"]).exits(1).stdout;
    assert!(line(&said, "broker", "can be reached").contains("is it running"), "{said}");
}

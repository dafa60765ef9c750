//! The command line of an operator: keys, bundles, trust and configurations.

use std::os::unix::fs::PermissionsExt;

use super::cli::mode;
use crate::kit::{Lab, Ran, Setup, THRESHOLD, good_witness};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_readable_by_their_owner_alone_and_listed() {
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
async fn a_bundle_that_clients_would_refuse_is_not_signed() {
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
async fn a_client_refuses_older_expired_and_foreign_bundles() {
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
    lab.run(&show).exits(1).says("the bundle has serial 10, but serial 20 was accepted before");
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
    service.logs(&["the bundle has expired and clients refuse it"]).await;
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
        Ran::run(command.env_remove("SEALPROVE_CLIENT").args(arguments), b"")
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
async fn a_full_queue_exits_with_4() {
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
async fn a_configuration_error_names_its_key() {
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
    Ran::run(&mut typo, b"")
        .exits(1)
        .says("SEALPROVE_SERVICE__SLOT, which sets no key; the variables that set one are");
}

//! Connections to a broker: TLS, mutual TLS, an nkey, a credentials file in operator mode. Each for the
//! command line, for the service and for the library's client, and each refused without it. The settings are those
//! of `docs/CONNECTING.md`.

use std::path::Path;

use nkeys::KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair as TlsKeyPair, KeyUsagePurpose,
};
use sealprove::protocol::Code;
use serde_json::json;

use crate::kit::operator::{Operator, credentials};
use crate::kit::{Lab, Nats, Ran, Setup, good_witness};

/// The whole path works over this connection.
async fn a_job_is_proved(lab: Lab) {
    lab.streams("check").exits(0);
    let service = lab.service().await;
    let answer = lab.answer_to(&lab.submit_good().await).await;
    assert_eq!(answer.code(), Code::Ok);
    assert_eq!(service.metric("sealprove_ready", &[]), 1.0);
}

/// The same broker is out of reach with these settings, and the command line says so.
fn is_refused(lab: &Lab, nats_table: &str, says: &str) {
    asked_with(lab, nats_table).exits(5).says(says);
}

/// These settings are at fault by themselves, and the command line says which.
fn is_a_configuration_error(lab: &Lab, nats_table: &str, says: &str) {
    asked_with(lab, nats_table).exits(1).says(says);
}

fn asked_with(lab: &Lab, nats_table: &str) -> Ran {
    let text = format!("bundle = \"b\"\nkeys = \"k\"\n[nats]\n{nats_table}\n");
    let file = lab.write("stranger.toml", text.as_bytes());
    lab.run(&["streams", "check", "--config", &file])
}

/// Writes a certificate authority, and a certificate of `name` with its key, into a folder.
fn authority(folder: &Path) -> CertifiedIssuer<'static, TlsKeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, "the tests' own authority");
    let issuer = CertifiedIssuer::self_signed(params, TlsKeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
    issuer
}

fn certificate(
    folder: &Path,
    issuer: &CertifiedIssuer<'static, TlsKeyPair>,
    name: &str,
    usage: ExtendedKeyUsagePurpose,
) {
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = TlsKeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// A way to the broker as `docs/CONNECTING.md` shows it: the server's settings and the `[nats]` table.
struct Way {
    conf: String,
    table: String,
    /// Replaces `/etc/nats` and `/etc/sealprove` by folders of the test.
    folder: tempfile::TempDir,
}

impl Way {
    fn documented(heading: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONNECTING.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let section = page.split(&format!("\n## {heading}\n")).nth(1).expect("a section of this name");
        let folder = tempfile::tempdir().unwrap();
        let block = |kind: &str| {
            let block =
                section.split(&format!("\n```{kind}\n")).nth(1).and_then(|rest| rest.split("```").next());
            let here = folder.path().to_str().unwrap();
            block.expect("a block").replace("/etc/nats", here).replace("/etc/sealprove", here)
        };
        Way { conf: block("conf"), table: block("toml"), folder }
    }

    fn with_certificates(self) -> Self {
        let issuer = authority(self.folder.path());
        certificate(self.folder.path(), &issuer, "server", ExtendedKeyUsagePurpose::ServerAuth);
        certificate(self.folder.path(), &issuer, "client", ExtendedKeyUsagePurpose::ClientAuth);
        self
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The keys of the `[nats]` table for this broker.
    fn keys(&self, nats: &Nats) -> String {
        let keys = self.table.strip_prefix("[nats]\n").expect("the table's name");
        keys.replace("nats.example.net:4222", &format!("localhost:{}", nats.port()))
    }
}

/// These keys without the lines that begin so.
fn without(keys: &str, beginnings: &[&str]) -> String {
    let kept = keys.lines().filter(|line| !beginnings.iter().any(|beginning| line.starts_with(beginning)));
    kept.map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_private_authority_works() {
    let way = Way::documented("TLS").with_certificates();
    let nats = Nats::start_with(&way.conf).await;
    let keys = way.keys(&nats);
    let lab = Setup::new().reached_by(keys.clone()).at(nats);

    is_refused(&lab, &without(&keys, &["[nats.tls]", "ca"]), "connect to the broker at tls://localhost");
    for (bad, says) in [("absent.pem", "absent.pem: No such file"), ("empty.pem", "it holds none in PEM")] {
        way.write("empty.pem", "-----BEGIN CERTIFICATE-----\n");
        let keys = keys.replace("ca.pem", bad);
        is_a_configuration_error(&lab, &keys, "read the authorities' certificates ");
        is_a_configuration_error(&lab, &keys, says);
    }
    a_job_is_proved(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_with_the_handshake_first_works() {
    let way = Way::documented("Mutual TLS").with_certificates();
    let nats = Nats::start_with(&way.conf).await;
    let keys = way.keys(&nats);
    let lab = Setup::new().reached_by(keys.clone()).at(nats);

    let half = without(&keys, &["certificate", "key"]);
    is_refused(&lab, &half, "connect to the broker at tls://localhost");
    let no_key = without(&keys, &["key"]);
    is_a_configuration_error(&lab, &no_key, "tls.certificate and tls.key are given together or not at all");
    let swapped = keys.replace("client.key", "ca.pem");
    assert_ne!(swapped, keys);
    is_a_configuration_error(&lab, &swapped, "read the private key ");
    a_job_is_proved(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey_user_connects() {
    let way = Way::documented("Nkeys");
    let user = KeyPair::new_user();
    let shown = way.conf.split_once("nkey: ").and_then(|(_, rest)| rest.split(' ').next()).expect("a user");
    let nats = Nats::start_with(&way.conf.replace(shown, &user.public_key())).await;
    way.write("user.nkey", &format!("{}\n", user.seed().unwrap()));
    let keys = way.keys(&nats);
    let lab = Setup::new().reached_by(keys.clone()).at(nats);

    is_refused(&lab, &without(&keys, &["nkey"]), "are address and credentials right?");
    let absent = keys.replace("user.nkey", "absent.nkey");
    is_a_configuration_error(&lab, &absent, "read the nkey seed");
    a_job_is_proved(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_connects_in_operator_mode() {
    let way = Way::documented("Credentials files");
    let operator = Operator::new();
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    way.write("operator.jwt", &operator.token());
    way.write("user.creds", &credentials(&account, &user, &json!({})));
    let store = "jetstream { store_dir: \"FOLDER/jetstream\", sync_interval: always }";
    let mut nats = Nats::stopped(&format!("{store}\n{}", way.conf));
    let resolver = operator.resolver(&[(&account, json!({}), -1)]);
    std::fs::write(nats.folder().join("resolver.conf"), resolver).unwrap();
    nats.restart().await;
    let keys = way.keys(&nats);
    let lab = Setup::new().reached_by(keys.clone()).at(nats);

    is_refused(&lab, &without(&keys, &["credentials"]), "are address and credentials right?");
    let absent = keys.replace("user.creds", "absent.creds");
    is_a_configuration_error(&lab, &absent, "read credentials");
    a_job_is_proved(lab).await;
}

/// To the client a refusal by the broker looks like a missing answer; the broker's message tells them apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_user_is_told_the_denied_subject() {
    let users = "authorization { users: [
        { user: all, password: \"p@\" }
        { user: few, password: \"p@\", permissions: { publish: { allow: [\"_INBOX.>\"] }, subscribe: { deny: [\"_INBOX.>\"] } } }
    ] }";
    let nats = Nats::start_with(users).await;
    let url = |user: &str| format!("nats://{user}:p%40@127.0.0.1:{}", nats.port());
    let (all, few) = (url("all"), url("few"));
    let lab = Setup::new().reached_by(format!("url = {all:?}\n")).at(nats);
    let _service = lab.service().await;
    let refused = lab.run(&["circuits", "--nats", &few]).exits(5).says("Permissions Violation for");
    refused.says("are user, tenant and inbox_prefix right?");
    let wrong = all.replace("p%40", "wr0ng");
    let refused =
        lab.run(&["circuits", "--nats", &wrong]).exits(5).says("are address and credentials right?");
    assert!(!refused.stderr.contains("wr0ng"), "a password is in an error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_address_is_refused_at_once() {
    let (lab, service) = Lab::with_service().await;
    drop(service);
    let says = "no-scheme://host is not an address of a broker; write nats://host:4222";
    lab.run(&["circuits", "--nats", "no-scheme://host"]).exits(1).says(says);
    let config = String::from_utf8(lab.read("sealprove.toml")).unwrap();
    let config = config.replace(&lab.nats.url(), "no-scheme://host");
    let file = lab.write("nowhere.toml", config.as_bytes());
    lab.run(&["serve", "--config", &file]).exits(1).says("is not an address of a broker");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_certainly_refused_leaves_no_ticket() {
    let (lab, _service) = Lab::with_service().await;
    lab.nats.jetstream().await.delete_stream("PROVE_JOBS_default").await.unwrap();
    let submit = ["submit", "threshold-v1", "-", "--ticket", "job.ticket", "--timeout", "1s"];
    lab.run_with(&submit, &good_witness()).exits(5).says("submit the job: no stream listens there");
    assert!(!lab.path("job.ticket").exists(), "the ticket of a job that is in no queue is kept");
}

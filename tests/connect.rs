//! How a broker is reached: TLS, mutual TLS, an nkey, a credentials file in operator mode. Each for the
//! command line, for the service and for the library's client, and each refused without it.

mod support;

use std::path::Path;

use nkeys::KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair as TlsKeyPair, KeyUsagePurpose,
};
use sealprove::wire::Code;
use serde_json::json;
use support::operator::{Operator, credentials};
use support::{Lab, Nats, Setup};

/// The whole path works over this connection.
async fn a_job_is_proved(lab: Lab) {
    lab.streams("check").exits(0);
    let service = lab.service().await;
    let answer = lab.answer_to(&lab.submit_good().await).await;
    assert_eq!(answer.code(), Code::Ok);
    assert_eq!(service.metric("sealprove_ready", &[]), 1.0);
}

/// The same broker is out of reach with these settings, and the command line says so.
fn nobody_is_let_in(lab: &Lab, nats_table: &str, says: &str) {
    let text = format!("bundle = \"b\"\nkeys = \"k\"\n[nats]\n{nats_table}\n");
    let file = lab.write("stranger.toml", text.as_bytes());
    lab.run(&["streams", "check", "--config", &file]).exits(5).says(says);
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

/// A broker's TLS settings, with `more` in them, and the folder of certificates.
fn tls(more: &str) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = authority(folder.path());
    certificate(folder.path(), &issuer, "server", ExtendedKeyUsagePurpose::ServerAuth);
    certificate(folder.path(), &issuer, "client", ExtendedKeyUsagePurpose::ClientAuth);
    let file = |name: &str| folder.path().join(name);
    let settings = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, {more} }}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    );
    (settings, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_ones_own() {
    let (settings, folder) = tls("");
    let nats = Nats::start_with(&settings).await;
    let url = format!("url = \"tls://localhost:{}\"\n", nats.port());
    let trusting = format!("{url}[nats.tls]\nca = {:?}", folder.path().join("ca.pem"));
    let lab = Setup::new().reached_by(trusting).at(nats);

    nobody_is_let_in(&lab, &url, "connect to the broker at tls://localhost");
    a_job_is_proved(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_with_the_handshake_first() {
    let (settings, folder) = tls("verify: true, handshake_first: true");
    let nats = Nats::start_with(&settings).await;
    let file = |name: &str| folder.path().join(name);
    let half = format!(
        "url = \"tls://localhost:{}\"\n[nats.tls]\nca = {:?}\nfirst = true\n",
        nats.port(),
        file("ca.pem")
    );
    let whole = format!("{half}certificate = {:?}\nkey = {:?}", file("client.pem"), file("client.key"));
    let lab = Setup::new().reached_by(whole).at(nats);

    nobody_is_let_in(&lab, &half, "connect to the broker at tls://localhost");
    let no_key = format!("{half}certificate = {:?}", file("client.pem"));
    nobody_is_let_in(&lab, &no_key, "tls.certificate and tls.key are given together or not at all");
    a_job_is_proved(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_an_nkey() {
    let user = KeyPair::new_user();
    let settings = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
    let nats = Nats::start_with(&settings).await;
    let folder = tempfile::tempdir().unwrap();
    let seed = folder.path().join("user.nk");
    std::fs::write(&seed, format!("{}\n", user.seed().unwrap())).unwrap();
    let url = format!("url = {:?}\n", nats.url());
    let lab = Setup::new().reached_by(format!("{url}nkey = {seed:?}")).at(nats);

    nobody_is_let_in(&lab, &url, "are address and credentials right?");
    let absent = format!("{url}nkey = \"absent.nk\"");
    nobody_is_let_in(&lab, &absent, "read the nkey seed absent.nk");
    a_job_is_proved(lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_in_operator_mode() {
    let operator = Operator::new();
    let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
    let nats = Nats::start_with(&operator.settings(&[(&account, json!({}), -1)])).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("user.creds");
    let text = credentials(&account, &user, &json!({}));
    std::fs::write(&file, text).unwrap();
    let url = format!("url = {:?}\n", nats.url());
    let lab = Setup::new().reached_by(format!("{url}credentials = {file:?}")).at(nats);

    nobody_is_let_in(&lab, &url, "are address and credentials right?");
    let absent = format!("{url}credentials = \"absent.creds\"");
    nobody_is_let_in(&lab, &absent, "read credentials absent.creds");
    a_job_is_proved(lab).await;
}

//! The image, run as Kubernetes would run it: the root filesystem that `image/rootfs.sh` assembles, the pod
//! of the dev overlay as it is rendered, and runc, which is what a node runs containers with. A whole
//! deployment comes up in it, container by container; a client outside has every circuit proved, at a broker
//! outside.
//!
//! As in a pod: user, groups, no capability, no new privileges, a root that is read-only, the mounts and no
//! others, the runtime's default profile of system calls, the memory limit as a cgroup. Not as in a pod: the
//! network is that of the machine, what the cluster's DNS would answer is said by the environment, and
//! `emptyDir` volumes are folders.
//!
//! It needs root, runc, and a runtime's default profile; `make image-test` starts it.

mod pod;
mod profile;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealprove::circuit::Circuits;

use crate::kit::manifests::{Overlay, list, number, project};
use crate::kit::{Nats, Ran, Service, sealprove};

use pod::{Container, Pod};

/// Memory limit that is too small for a service, in bytes.
const TOO_LITTLE: u64 = 512 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, runc and a default profile: make image-test"]
async fn the_image_runs_as_kubernetes_runs_it() {
    assert!(
        rustix::process::geteuid().is_root(),
        "only root can start a container as another user; run it as root"
    );
    let folder = tempfile::Builder::new().prefix("sealprove-image-").tempdir().expect("a folder");
    let root = folder.path().join("rootfs");
    assemble(&root);
    assemble(&folder.path().join("again"));
    let digest = digest(&root);
    assert_eq!(digest, self::digest(&folder.path().join("again")), "two runs make two images");
    println!("image: {} KiB, the same twice: {digest}", kib(&root));

    let nats = Nats::start().await;
    let overlay = Overlay::rendered("dev");
    let url = nats.url();
    let pod = Pod::new(&overlay, folder.path(), &root, &url);
    let identity = makes_its_deployment(&pod);
    let job = &overlay.one("Job", "sealprove-streams")["spec"]["template"]["spec"];
    let applied = || pod.container(&job["containers"][0], job).run().exits(0);
    assert!(applied().stdout.contains("mended: stream PROVE_JOBS_default is missing"));
    assert_eq!(
        applied().line(),
        "streams and consumers are as they must be",
        "a second time changes nothing"
    );

    pod.lay_keys_as_a_secret(0o444);
    pod.service().run().exits(1).says("others can read it");
    pod.lay_keys_as_a_secret(mode_of_keys());
    refuses_too_little_memory(&pod);
    the_doctor_finds_as_much_as_outside(&pod);
    let service = pod.service();
    let running = Service::start(&mut service.command(), folder.path().join("service.log"));
    running.becomes_ready().await;
    println!("image: ready");
    is_confined(&service);
    proves_every_circuit(folder.path(), &nats, &identity);
    running.logs(&["self-test passed", "zcash-pczt-v1", "\"largest\":true"]).await;
    running.terminate();
    assert_eq!(running.exit_code().await, 0, "{}", running.log());
    running.logs(&["stopped"]).await;
    assert_eq!(digest, self::digest(&root), "something wrote to the root");
    println!("image: proved, stopped, and nothing was written to its root");
}

/// The image's filesystem, of the program that these tests test.
fn assemble(root: &Path) {
    let mut script = Command::new(project("image/rootfs.sh"));
    let ran = Ran::run(script.arg(sealprove()).arg(root).env_remove("SOURCE_DATE_EPOCH"), b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// Returns the digest of everything that a layer of an image holds: names, modes, times, contents.
fn digest(root: &Path) -> String {
    let mut tar = Command::new("sh");
    tar.args(["-ec", "tar --create --sort=name --numeric-owner --directory \"$0\" . | sha256sum"]).arg(root);
    let ran = Ran::run(&mut tar, b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.line().split(' ').next().expect("a digest").to_owned()
}

fn kib(root: &Path) -> String {
    let ran = Ran::run(Command::new("du").arg("-sk").arg(root), b"");
    ran.line().split_whitespace().next().expect("a size").to_owned()
}

/// Runs the containers that make identity, keys and bundle, and says the identity.
fn makes_its_deployment(pod: &Pod) -> String {
    let mut identity = None;
    for container in pod.first() {
        let ran = container.run().exits(0);
        identity.get_or_insert_with(|| ran.line().to_owned());
    }
    let identity = identity.expect("a pod with init containers");
    assert!(identity.starts_with("ed25519:"), "{identity}");
    identity
}

/// Returns the mode with which the Secret is mounted in production.
fn mode_of_keys() -> u64 {
    let production = Overlay::rendered("production");
    let volumes = list(&production.service_pod()["volumes"]);
    let keys = volumes.iter().find(|volume| volume["name"] == "keys").expect("the keys");
    number(&keys["secret"]["defaultMode"])
}

/// The limit that the service judges by is that of its cgroup.
fn refuses_too_little_memory(pod: &Pod) {
    let refused = pod.service().with_memory(TOO_LITTLE).run().exits(1);
    refused.says("and there are 512.0 MiB").says("lower service.slots or a circuit's memory_limit");
}

/// The container takes no lock away, and adds its own.
fn the_doctor_finds_as_much_as_outside(pod: &Pod) {
    let missing = |ran: &Ran| -> BTreeSet<String> {
        assert!(ran.stdout.lines().count() >= 17, "{}{}", ran.stdout, ran.stderr);
        let lines = ran.stdout.lines().filter(|line| !line.contains(" in force "));
        lines.filter_map(|line| line.split(" MISSING ").next().map(str::to_owned)).collect()
    };
    let inside = pod.service().with_arguments(&["doctor"]).run();
    let outside = Ran::run(Command::new(sealprove()).arg("doctor"), b"");
    println!("{}", inside.stdout);
    let (inside, outside) = (missing(&inside), missing(&outside));
    assert!(inside.is_subset(&outside), "missing inside {inside:?}, outside {outside:?}");
}

/// Every process of the container, as the kernel sees it.
fn is_confined(service: &Container) {
    let pids = service.pids();
    assert!(pids.len() >= 3, "service, launcher and chamber: {pids:?}");
    for pid in pids {
        let read =
            |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("a process of ours");
        let status = read("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid"), "65532 65532 65532 65532");
        assert_eq!(field("Gid"), "65532 65532 65532 65532");
        assert_eq!(field("Groups"), "65532");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), "0000000000000000", "{set} of {pid}");
        }
        assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".to_owned(), "2".to_owned()));
        let mounts = read("mountinfo");
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root");
        assert!(root.split(' ').nth(5).expect("options").split(',').any(|option| option == "ro"), "{root}");
        println!("image: {:>9} has {} filters of system calls", field("Name"), field("Seccomp_filters"));
    }
}

/// A client outside seals, submits, waits, opens and verifies.
fn proves_every_circuit(folder: &Path, nats: &Nats, identity: &str) {
    let config: PathBuf = folder.join("client.toml");
    let text = format!(
        "identity = {identity:?}\nstate = {:?}\n[nats]\nurl = {:?}\n",
        folder.join("state"),
        nats.url()
    );
    std::fs::write(&config, text).expect("write the client's configuration");
    let mut proved = 0;
    for (id, circuit) in Circuits::built_in().iter() {
        let witness = folder.join("witness");
        std::fs::write(&witness, circuit.sample_witness()).expect("write a witness");
        let mut submit = Command::new(sealprove());
        submit.env_clear().env("HOME", folder).env("SEALPROVE_CLIENT", &config);
        submit.args(["submit", id.as_str()]).arg(&witness).args(["--wait", "--json"]);
        let ran = Ran::run(&mut submit, b"");
        assert_eq!(ran.code, 0, "{id}: {}", ran.stderr);
        println!("image: {id}: {}", ran.stderr.lines().last().unwrap_or("proved"));
        proved += 1;
    }
    assert_eq!(proved, 3);
}

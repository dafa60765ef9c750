//! Which modules may name what: secrets, the network, `unsafe`, locks, generators, output.

use super::source::Source;
use super::{is_in, sources};

/// Asserts that none of the words is in the code of the files that are held.
fn assert_absent(words: &[&str], is_held: impl Fn(&str) -> bool, rule: &str) {
    let mut found = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| is_held(file)) {
        let source = Source::new(&text);
        found.extend(
            words.iter().filter(|word| source.names(word)).map(|word| format!("  src/{file} names {word}")),
        );
    }
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// Asserts the same for whole modules, each of which must exist.
fn assert_absent_in(modules: &[&str], words: &[&str], rule: &str) {
    let files = sources();
    for module in modules {
        assert!(
            files.keys().any(|file| is_in(file, module)),
            "src/ has no module {module}, which is held to: {rule}"
        );
    }
    assert_absent(words, |file| modules.iter().any(|module| is_in(file, module)), rule);
}

#[test]
fn the_network_side_names_no_secret_and_opens_no_seal() {
    assert_absent_in(
        &["service", "jetstream", "launcher", "audit", "metrics", "config"],
        &["PrivateKey", "Witness", "open_answer", "IdentityKey", "AnswerSecret"],
        "Only clients, the chamber and the operator's commands name a secret. Remedy: pass sealed bytes.",
    );
    assert_absent_in(&["service"], &["open"], "The service opens no seal. Remedy: have the chamber open it.");
}

#[test]
fn the_key_side_names_no_network() {
    assert_absent_in(
        &["chamber", "circuit", "circuits"],
        &["async_nats", "tokio", "axum", "TcpStream", "UdpSocket", "IdentityKey"],
        "What holds keys or witnesses has no network. Remedy: have the service do it.",
    );
}

#[test]
fn the_vocabulary_does_no_input_or_output() {
    assert_absent_in(
        &["secret", "protocol", "circuit", "circuits", "frame"],
        &["std::fs", "std::net", "tokio", "async_nats", "println", "eprintln", "tracing", "File"],
        "The vocabulary is pure. Remedy: read and write in the caller, and pass bytes.",
    );
}

#[test]
fn nothing_draws_from_a_generator_in_memory() {
    assert_absent(
        &["ThreadRng", "thread_rng", "StdRng", "SmallRng", "ChaChaRng", "from_seed"],
        |_| true,
        "A generator in memory repeats itself after a fork. Remedy: draw from the operating system.",
    );
}

#[test]
fn unsafe_code_is_in_the_chamber_alone() {
    assert_absent(
        &["unsafe"],
        |file| !is_in(file, "chamber"),
        "Only the chamber has unsafe code. Remedy: call a safe function of rustix, or one of chamber/.",
    );
}

#[test]
fn only_the_sandbox_makes_locks() {
    assert_absent(
        &["seccompiler", "Ruleset", "SYS_seccomp"],
        |file| !is_in(file, "sandbox"),
        "Only the sandbox makes locks. Remedy: call one of its functions.",
    );
}

/// `println!` panics where the reader has left or the disk is full.
#[test]
fn output_goes_through_what_can_fail() {
    assert_absent(
        &["println", "dbg"],
        // The test kit prints a summary of the vectors that it makes.
        |file| !is_in(file, "testkit"),
        "Output may fail. Remedy: use `say!` of cli/output.rs, or a log.",
    );
    // The panic hook of a job process has nothing but its standard error.
    assert_absent(
        &["eprintln"],
        |file| file != "chamber/process.rs",
        "Only the panic hook of a job process writes to standard error itself. Remedy: use `note!`, or a log.",
    );
}

/// What a chamber and a job process do, in the order in which they must.
#[test]
fn processes_lock_themselves_before_they_read_foreign_bytes() {
    let steps = [
        ("chamber.rs", ["LockedKeys::load", "wait_for_one_thread", "lock_chamber", "ready("].as_slice()),
        (
            "chamber/process.rs",
            &["keep_only(", "prepare(", "read_frame(", "open_and_forget_keys(", ".answer("],
        ),
        ("chamber/process.rs", &["limit_job(", "isolate_job(", "ThreadPoolBuilder", "lock_sealed_job("]),
        ("chamber/process.rs", &["open_below(", "stack::wipe_below(", "keys.forget(", "lock_open_job("]),
        ("service/setup.rs", &["Launcher::start(", "lock_service("]),
    ];
    let files = sources();
    for (file, steps) in steps {
        let text = files
            .get(file)
            .unwrap_or_else(|| panic!("src/{file} is gone, which does {steps:?} in this order"));
        let source = Source::new(text);
        let mut rest = &source.code[..];
        for step in steps {
            let at = rest.find(step).unwrap_or_else(|| {
                panic!("src/{file} does not call {step}…) after the steps before it. The order is {steps:?}.")
            });
            rest = &rest[at + step.len()..];
        }
    }
}

#[test]
fn a_build_for_clients_has_no_prover_in_its_tree() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--no-default-features", "--features", "client"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("async-nats"), "cargo tree lists no async-nats:\n{tree}");
    for line in tree.lines() {
        for prover in ["halo2", "orchard", "pczt", "pasta_curves", "rayon"] {
            assert!(!line.starts_with(prover), "a build with `client` alone contains {line}");
        }
    }
}

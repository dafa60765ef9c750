//! Holds the sources against the architecture's invariants, by reading them.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files of a module: `path.rs` and everything below `path/`.
fn sources(module: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![root.join(format!("{module}.rs"))];
    let mut folders = vec![root.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.retain(|path| path.exists());
    assert!(!found.is_empty(), "no sources of {module}");
    found
}

/// The code of a file: without comments, without what stands in quotes, and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let unquoted = |line: &str| line.split('"').step_by(2).collect::<String>();
    let lines = text.lines().map(unquoted).map(|line| line.split("//").next().unwrap_or_default().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a name stands in the code as a word of its own.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next())
    })
}

fn assert_absent(module: &str, words: &[&str]) {
    for path in sources(module) {
        let code = code(&path);
        for word in words {
            assert!(!names(&code, word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_network_side_names_no_secret_and_opens_no_seal() {
    assert_absent(
        "service",
        &["PrivateKey", "Witness", "open", "open_answer", "IdentityKey", "AnswerSecret"],
    );
}

#[test]
fn the_key_side_names_no_network() {
    assert_absent("chamber", &["async_nats", "tokio", "axum", "TcpStream", "UdpSocket", "IdentityKey"]);
}

#[test]
fn the_vocabulary_does_no_input_or_output() {
    for module in ["job", "wire", "secret", "envelope", "bundle", "frame", "circuit", "circuits"] {
        assert_absent(
            module,
            &["std::fs", "std::net", "tokio", "async_nats", "println", "eprintln", "tracing", "File"],
        );
    }
}

#[test]
fn nothing_draws_from_a_generator_in_memory() {
    for module in ["circuits", "chamber", "envelope", "secret", "client"] {
        assert_absent(module, &["ThreadRng", "thread_rng", "StdRng", "SmallRng", "ChaChaRng", "from_seed"]);
    }
}

#[test]
fn unsafe_code_is_in_the_chamber_alone() {
    for module in [
        "job",
        "wire",
        "secret",
        "envelope",
        "bundle",
        "frame",
        "circuit",
        "circuits",
        "broker",
        "client",
        "service",
        "launcher",
        "sandbox",
        "audit",
        "cli",
        "config",
        "metrics",
        "telemetry",
        "clock",
    ] {
        assert_absent(module, &["unsafe"]);
    }
}

/// The chamber, and the job process in it: what they do, in the order in which they must.
#[test]
fn what_deals_with_strangers_is_locked_before() {
    let steps = [
        ("chamber.rs", ["LockedKeys::load", "wait_for_one_thread", "lock_chamber", "ready("].as_slice()),
        (
            "chamber/process.rs",
            &["keep_only(", "prepare(", "read_frame(", "open_and_forget_keys(", ".answer("],
        ),
        ("chamber/process.rs", &["limit_job(", "part_job(", "ThreadPoolBuilder", "lock_sealed_job("]),
        ("chamber/process.rs", &["open_below(", "stack::wipe_below(", "keys.forget(", "lock_open_job("]),
        ("service/start.rs", &["Launcher::start(", "lock_service("]),
    ];
    for (file, steps) in steps {
        let code = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file));
        let mut rest = &code[..];
        for step in steps {
            let at = rest.find(step).unwrap_or_else(|| panic!("{file}: no {step} in its place of {steps:?}"));
            rest = &rest[at + step.len()..];
        }
    }
}

/// Locks are made by `sandbox`, and everybody else asks it.
#[test]
fn nobody_else_makes_locks() {
    for module in ["chamber", "service", "launcher", "cli", "client", "circuits"] {
        assert_absent(module, &["seccompiler", "Ruleset", "SYS_seccomp"]);
    }
}

#[test]
fn the_network_side_has_no_debug_output() {
    for module in ["service", "client", "chamber", "circuits", "audit"] {
        assert_absent(module, &["println", "dbg"]);
    }
}

/// `println!` panics where the reader has left or the disk is full.
#[test]
fn the_command_line_prints_what_can_fail() {
    assert_absent("cli", &["println", "eprintln", "dbg"]);
}

#[test]
fn a_submitters_build_has_no_prover_in_its_tree() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--no-default-features", "--features", "client"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("async-nats"), "cargo tree says nothing:\n{tree}");
    for line in tree.lines() {
        for prover in ["halo2", "orchard", "pczt", "pasta_curves", "rayon"] {
            assert!(!line.starts_with(prover), "{line}");
        }
    }
}

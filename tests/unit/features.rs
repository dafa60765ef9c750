//! The features of the crate: what each combination has in its dependency tree, and the program that a back end compiles.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Limit of crates in a back end's dependency tree, the crate itself included.
const CLIENT_CRATES_MAX: usize = 200;

/// Returns the names and versions of the crates that a build with these features has, without build dependencies.
fn tree(features: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--no-default-features", "--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let crates = String::from_utf8(output.stdout).unwrap();
    // Behind name and version stand the path of a local crate and the mark of a procedural macro.
    let crates = crates.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let crates: BTreeSet<String> = crates.filter(|line| !line.is_empty()).collect();
    assert!(!crates.is_empty(), "cargo tree failed:\n{}", String::from_utf8_lossy(&output.stderr));
    crates
}

fn assert_absent(features: &str, crates: &[&str]) {
    for line in tree(features) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(!crates.contains(&name), "a build with the features `{features}` contains {line}");
    }
}

#[test]
fn a_back_end_gets_the_client_without_the_command_line() {
    let command_line = [
        "bytesize",
        "clap",
        "clap_complete",
        "console",
        "figment",
        "humantime-serde",
        "indicatif",
        "tempfile",
        "toml",
        "tracing-subscriber",
    ];
    assert_absent("client", &command_line);
    assert_absent("client,credentials", &command_line);
}

#[test]
fn a_back_end_gets_fewer_than_200_crates() {
    let crates = tree("client");
    println!("{} crates with the feature client", crates.len());
    assert!(crates.iter().any(|line| line.starts_with("async-nats ")), "{crates:?}");
    assert!(crates.len() < CLIENT_CRATES_MAX, "{} crates: {crates:#?}", crates.len());
}

#[test]
fn without_features_there_is_no_runtime_and_no_network() {
    assert_absent("", &["tokio", "async-nats", "hyper", "tracing"]);
}

#[test]
fn a_service_as_a_library_has_no_command_line() {
    assert_absent("service", &["clap", "clap_complete", "console", "indicatif", "tracing-subscriber"]);
}

/// The README shows a back end's program, which `cargo test` compiles there; here it is compared with the example that
/// can be run.
#[test]
fn the_program_in_the_readme_is_the_example_and_has_20_lines() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let example = read("examples/backend.rs");
    let program = &example[example.find("use sealprove").expect("an import")..];
    assert!(read("README.md").contains(program), "README.md does not contain:\n{program}");
    let statements = program.lines().filter(|line| line.starts_with("    ") && !line.trim().is_empty());
    assert!(statements.count() <= 20, "the program is longer than 20 lines:\n{program}");
}

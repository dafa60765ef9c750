//! The command line where there is no broker: help, completions, usage errors, and errors that name the step and
//! the remedy.

use std::process::Stdio;

use sealprove::circuit::Circuits;

use crate::kit::{Ran, THRESHOLD, sealprove};

/// The program, with no configuration and no home.
fn run(arguments: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(sealprove());
    Ran::run(command.args(arguments).env_clear().env("HOME", folder.path()).current_dir(&folder), b"")
}

/// Checks whether a section of a help text lists commands: the program's own are in groups.
fn is_list_of_commands(section: &str) -> bool {
    let heading = section.lines().next().unwrap_or_default();
    heading.ends_with(':') && heading.to_lowercase().contains("commands")
}

#[test]
fn every_command_has_help() {
    let mut commands: Vec<Vec<String>> = vec![vec![]];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = run(&arguments).exits(0).stdout;
        assert!(help.contains("Usage: sealprove"), "{command:?}:\n{help}");
        let about = help.lines().next().unwrap_or_default();
        assert!(about.len() > 10 && !about.starts_with("Usage"), "{command:?} says nothing of itself");
        seen += 1;
        let lists = help.split("\n\n").filter(|section| is_list_of_commands(section));
        for line in lists.flat_map(|list| list.lines().skip(1)) {
            let name = line.split_whitespace().next().unwrap_or_default();
            // What follows on a further line is the end of an explanation.
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                commands.push([command.clone(), vec![name.to_owned()]].concat());
            }
        }
    }
    assert!(seen >= 20, "only {seen} commands were found");
}

#[test]
fn the_main_help_names_a_first_command_and_the_exit_codes() {
    let help = run(&["--help"]).exits(0).stdout;
    for text in ["sealprove dev", "Exit codes: 0 done", "6 no answer yet"] {
        assert!(help.contains(text), "{text}");
    }
    assert!(!help.contains("chamber"), "the chamber is no command of a user's");
}

#[test]
fn completions_are_generated_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).exits(0).stdout.contains("sealprove"), "{shell}");
    }
}

/// The program, with its standard output going to `output`.
fn run_into(arguments: &[&str], output: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(sealprove());
    command.args(arguments).stdout(output).stderr(Stdio::piped());
    let ended = command.output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
    let commands: [&[&str]; 4] = [
        &["circuits", "--local"],
        &["circuits", "--local", "--json"],
        &["sample", THRESHOLD],
        &["completions", "zsh"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run_into(arguments, writer), (Some(0), String::new()), "{arguments:?}");

        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = run_into(arguments, full);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(said.starts_with("error: write to standard output: No space left"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_failed_connection_names_the_source_of_its_address() {
    let nowhere = ["circuits", "--nats", "nats://127.0.0.1:1"];
    let said = run(&nowhere).exits(5).says("the address is from --nats").stderr;
    assert_eq!(said.matches("refused").count(), 1, "a cause is said twice: {said}");

    let home = tempfile::tempdir().unwrap();
    let config = |folder: &str, name: &str, first: &str, port: u16| {
        let folder = home.path().join(folder).join("sealprove");
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("{first}\n[nats]\nurl = \"nats://127.0.0.1:{port}\"\n");
        std::fs::write(folder.join(name), text).unwrap();
    };
    let circuits = || {
        let mut command = std::process::Command::new(sealprove());
        Ran::run(command.arg("circuits").env_clear().env("HOME", home.path()), b"").exits(5)
    };
    config(".config", "client.toml", "", 1);
    circuits().says("127.0.0.1:1:").says("the client configuration is").says(".config/sealprove/client.toml");
    // Process ids end at four million.
    config(".local/state", "dev-client.toml", "# sealprove dev, process 999999999", 2);
    circuits().says("127.0.0.1:1:");
    let running = format!("# sealprove dev, process {}", std::process::id());
    config(".local/state", "dev-client.toml", &running, 2);
    circuits().says("127.0.0.1:2:").says("dev-client.toml");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let table: [(&[&str], &str); 12] = [
        (&["prove"], "unrecognized subcommand"),
        (&["submit"], "required arguments were not provided"),
        (&["submit", "Not.A.Circuit", "-"], "not a circuit: expected 1 to 64 of a-z 0-9 -"),
        (&["check", "other-v1", "-"], "this build has no circuit other-v1; it has membership-v1"),
        (&["sample", "other-v1"], "this build has no circuit other-v1"),
        (&["dev", "--circuit", "other-v1"], "this build has no circuit other-v1"),
        (&["bench", "other-v1"], "this build has no circuit other-v1"),
        (&["bench", THRESHOLD, "--jobs", "0"], "0 is not in 1.."),
        (&["circuits", "--tenant", "a.b"], "not a tenant"),
        (&["circuits", "--identity", "abc"], "an identity is ed25519: and base64 of 32 bytes"),
        (&["serve"], "--config"),
        (&["serve", "--config", "f", "--nats", "nats://127.0.0.1:1"], "unexpected argument '--nats'"),
    ];
    for (arguments, says) in table {
        run(arguments).exits(2).says(says);
    }
}

#[test]
fn an_error_names_the_step_the_thing_and_the_remedy() {
    run(&["check", THRESHOLD, "absent.json"]).exits(1).says("read the witness absent.json: No such file");
    run(&["answer", "absent.ticket"]).exits(1).says("read the ticket absent.ticket: No such file");
    run(&["serve", "--config", "absent.toml"])
        .exits(1)
        .says("read the configuration absent.toml: no such file");
    run(&["verify", "absent.json"]).exits(1).says("read the answer absent.json");
    run(&["keys", "list", "absent"]).exits(1).says("read the keys in absent");
    let refused = run(&["circuits", "--nats", "nats://127.0.0.1:1"]).exits(5);
    refused.says("connect to the broker at nats://127.0.0.1:1: is it running");
}

#[test]
fn the_circuits_of_the_build_are_listed_without_a_deployment() {
    let listed = run(&["circuits", "--local"]).exits(0).stdout;
    let json = run(&["circuits", "--local", "--json"]).exits(0).json();
    for (id, circuit) in Circuits::built_in().iter() {
        assert!(listed.contains(id.as_str()) && listed.contains(circuit.descriptor().summary), "{listed}");
        let found = json.as_array().unwrap().iter().find(|listed| listed["id"] == id.as_str()).unwrap();
        assert_eq!(found["verifying_key"], circuit.descriptor().verifying_key().to_string());
    }
}

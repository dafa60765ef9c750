//! The help of the program: its commands, grouped by audience. Clap lists all commands under one heading, so the groups
//! are a template.

use clap::{CommandFactory, Subcommand};

use super::{Cli, client, operator};

const AFTER_HELP: &str = "\
Try it: `sealprove dev` in one shell keeps a private environment running. In another:
  sealprove circuits                                    lists what it proves
  sealprove sample threshold-v1 > witness.json          prints a witness to prove
  sealprove submit threshold-v1 witness.json --wait --json > answer.json
                                                        seals, submits, waits, opens, verifies

Exit codes: 0 done, 1 failed here, 2 usage, 3 refused, 4 failed but worth a new try,
5 unreachable, 6 no answer yet.";

/// Returns the parser of the whole command line.
pub(super) fn command() -> clap::Command {
    let groups = [
        ("Client commands", group::<client::Command>()),
        ("Operator commands", group::<operator::Command>()),
        #[cfg(feature = "service")]
        ("Commands to try it out", group::<super::tryout::Command>()),
    ];
    let command = Cli::command();
    let is_grouped = |name: &str| groups.iter().any(|(_, group)| group.find_subcommand(name).is_some());
    let mut lists: Vec<String> =
        groups.iter().map(|(heading, group)| list(heading, group, |_| true)).collect();
    lists.push(list("Other commands", &command, |name| !is_grouped(name)));
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\nOptions:\n{{options}}{{after-help}}",
        lists.join("\n")
    );
    command.help_template(template).after_help(AFTER_HELP)
}

fn group<G: Subcommand>() -> clap::Command {
    G::augment_subcommands(clap::Command::new("group"))
}

fn list(heading: &str, commands: &clap::Command, is_listed: impl Fn(&str) -> bool) -> String {
    let shown =
        commands.get_subcommands().filter(|command| !command.is_hide_set() && is_listed(command.get_name()));
    let lines = shown.map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<11}  {about}\n", command.get_name())
    });
    format!("{heading}:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_command_once_and_fits_80_columns() {
        let mut command = command();
        let help = command.render_help().to_string();
        for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("\n  {} ", subcommand.get_name());
            assert_eq!(help.matches(&name).count(), 1, "{name}:\n{help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}

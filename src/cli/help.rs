//! The help of the program, with its commands grouped by audience. Clap lists all commands below one heading, so the groups
//! are part of a template.

use clap::Subcommand;

/// Returns a parser of a group's commands alone.
pub(super) fn group<G: Subcommand>() -> clap::Command {
    G::augment_subcommands(clap::Command::new("group"))
}

/// Sets the help of `program`, which lists each group below its heading, and then the other commands.
pub(super) fn with_groups(program: clap::Command, groups: &[(&str, clap::Command)]) -> clap::Command {
    let mut lists: Vec<String> =
        groups.iter().map(|(heading, group)| list(heading, group.get_subcommands())).collect();
    let others = program.get_subcommands().filter(|command| {
        !groups.iter().any(|(_, group)| group.find_subcommand(command.get_name()).is_some())
    });
    lists.push(list("Other commands", others));
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\nOptions:\n{{options}}{{after-help}}",
        lists.join("\n")
    );
    program.help_template(template)
}

fn list<'a>(heading: &str, commands: impl Iterator<Item = &'a clap::Command>) -> String {
    let lines = commands.filter(|command| !command.is_hide_set()).map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<11}  {about}\n", command.get_name())
    });
    format!("{heading}:\n{}", lines.collect::<String>())
}

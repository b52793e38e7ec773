//! The commands in groups, for `tiers --help`; clap lists them without headings.

use clap::Command;

/// Headings, with the commands below them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Fit", &["fit", "run"]),
    ("Look at a fit", &["anova", "means", "confint", "compare", "ranef", "influence", "diagnose"]),
    ("Data", &["predict", "moments", "sql", "simulate"]),
    ("Tools", &["bench", "completions", "man", "help"]),
];

/// Lists the commands in groups in the help of a command line.
pub(super) fn grouped(command: Command) -> Command {
    let styles = command.get_styles().clone();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut list = String::new();
    for (heading, names) in GROUPS {
        list += &format!("{header}{heading}:{header:#}\n");
        for name in names {
            let found = command.get_subcommands().find(|command| command.get_name() == *name);
            // Clap adds the command `help` when it parses.
            let about =
                found.and_then(Command::get_about).map_or_else(|| "Print the help of a command".into(), Clone::clone);
            list += &format!("  {literal}{name:<12}{literal:#} {}\n", about.ansi());
        }
        list.push('\n');
    }
    command.help_template(format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{header}Options:{header:#}\n{{options}}{{after-help}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_fits_on_a_line() {
        let command = crate::args::definition();
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let mut all: Vec<&str> = command.get_subcommands().map(Command::get_name).chain(["help"]).collect();
        listed.sort_unstable();
        all.sort_unstable();
        assert_eq!(listed, all);
        let help = command.clone().render_help().to_string();
        let mut lines = help.lines().take_while(|line| !line.starts_with("Options:"));
        assert!(lines.all(|line| line.chars().count() <= 80), "{help}");
    }
}

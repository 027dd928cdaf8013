//! `docs/cli.md`, made from the command line's definition. `UPDATE_DOCS=1 cargo test` writes it.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::args::Args;

const HEAD: &str = "# Command line\n\nThis page is made from the program's own help texts. \
Results go to stdout, everything else to stderr. \
A command whose results cannot be written exits with 1; a reader that stops early (`| head`) is no failure. With `--json` a failure is \
`{\"error\":{\"kind\":…,\"message\":…,\"hint\":…}}` on stdout, with the same exit code.\n";

fn page() -> String {
    let mut root = Args::command();
    root.build();
    let mut text = String::from(HEAD);
    section(&mut text, &root, "");
    text
}

fn section(text: &mut String, command: &Command, parents: &str) {
    let name = format!("{parents} {}", command.get_name()).trim().to_string();
    let _ = writeln!(text, "\n## {name}\n");
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    // The first line of a help text has no full stop.
    let about = about.trim_end_matches('.').replacen("\n\n", ".\n\n", 1);
    let _ = writeln!(text, "{about}.\n");
    let usage = command.clone().bin_name(&name).render_usage().to_string();
    let _ = writeln!(text, "```text\n{}\n```", usage.trim_start_matches("Usage: "));
    let visible = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        let general = arg.is_global_set() && !parents.is_empty();
        !arg.is_hide_set() && !general && !["help", "version"].contains(&id)
    };
    let mut arguments: Vec<&Arg> = command.get_arguments().filter(visible).collect();
    arguments.sort_by_key(|arg| !arg.is_positional());
    if !arguments.is_empty() {
        text.push('\n');
        arguments.iter().for_each(|arg| argument(text, arg));
    }
    if let Some(after) = command.get_after_help() {
        let after = after.to_string();
        let example = after.strip_prefix("Example: ").unwrap_or(&after);
        let (example, more) = example.split_once("\n\n").unwrap_or((example, ""));
        let _ = writeln!(text, "\nExample:\n\n```sh\n{example}\n```");
        if !more.is_empty() {
            let _ = writeln!(text, "\n{more}");
        }
    }
    let commands = || command.get_subcommands().filter(|c| !c.is_hide_set());
    for below in commands().filter(|c| c.get_name() != "help") {
        section(text, below, &name);
    }
}

fn argument(text: &mut String, arg: &Arg) {
    let value = || {
        let names = arg.get_value_names().unwrap_or_default();
        names.first().map_or(String::new(), |name| format!("<{name}>"))
    };
    let flags =
        [arg.get_short().map(|c| format!("-{c}")), arg.get_long().map(|l| format!("--{l}"))];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    let takes = arg.get_action().takes_values();
    let spelled = match (flags.is_empty(), takes) {
        (true, _) => value(),
        (false, true) => format!("{} {}", flags.join(", "), value()),
        (false, false) => flags.join(", "),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    // A default that the definition cannot state stands in brackets at the end.
    let told =
        help.split_once(" [default: ").map(|(help, told)| (help, told.trim_end_matches(']')));
    let (help, told) = told.unwrap_or((&help, ""));
    let _ = write!(text, "- `{spelled}`: {help}.");
    if !told.is_empty() {
        let _ = write!(text, " Default: {told}.");
    }
    let values = arg.get_possible_values();
    if takes && !values.is_empty() {
        let names: Vec<String> = values.iter().map(|v| format!("`{}`", v.get_name())).collect();
        let _ = write!(text, " Possible values: {}.", names.join(", "));
    }
    let defaults = arg.get_default_values();
    if takes && !defaults.is_empty() {
        let all: Vec<String> = defaults.iter().map(|v| format!("`{}`", v.display())).collect();
        let _ = write!(text, " Default: {}.", all.join(", "));
    }
    text.push('\n');
}

#[test]
fn the_page_of_the_command_line_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("writes docs/cli.md");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/cli.md is out of date; run the tests with UPDATE_DOCS=1");
}

#[test]
fn every_command_and_argument_is_described_and_every_command_has_an_example() {
    fn check(command: &Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name} has no help");
        let arguments = command.get_arguments().filter(|a| !a.is_hide_set());
        for arg in arguments.filter(|a| !["help", "version"].contains(&a.get_id().as_str())) {
            assert!(arg.get_help().is_some(), "{name} {} has no help", arg.get_id());
            assert!(
                !arg.get_action().takes_values() || arg.get_value_names().is_some(),
                "{name} {} has no value name",
                arg.get_id()
            );
        }
        let below: Vec<&Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
        if below.is_empty() {
            let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.starts_with("Example: artgpt-tui "), "{name} has no example");
        }
        below.into_iter().filter(|c| c.get_name() != "help").for_each(check);
    }
    check(&Args::command());
}

#[test]
fn the_examples_parse() {
    fn check(command: &Command) {
        if let Some(help) = command.get_after_help() {
            let text = help.to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.trim_start_matches("Example: ");
            let line = line.split(" > ").next().unwrap_or_default();
            let words = words(line);
            let parsed = Args::command().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
        }
        command.get_subcommands().for_each(check);
    }
    /// Words of a shell line; only double quotes group.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        parts
            .flat_map(|(i, part)| match i % 2 {
                0 => part.split_whitespace().map(String::from).collect(),
                _ => vec![part.to_string()],
            })
            .collect()
    }
    check(&Args::command());
}

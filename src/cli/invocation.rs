//! The command line as the log has it: commands and flags without values, which may be private.

use clap::{Command, CommandFactory};

use super::args::Args;

/// Names the command and its flags, such as `jobs submit train --set`.
pub(crate) fn invocation(words: impl Iterator<Item = String>) -> String {
    let root = Args::command();
    let (mut command, mut spelled) = (&root, Vec::new());
    for word in words {
        if let Some(below) = command.find_subcommand(&word) {
            command = below;
            spelled.push(word);
        } else if let Some(flag) = flag_of(&root, command, &word) {
            spelled.push(flag);
        }
    }
    spelled.join(" ")
}

fn flag_of(root: &Command, command: &Command, word: &str) -> Option<String> {
    let name = word.split('=').next().unwrap_or_default();
    let all = || root.get_arguments().chain(command.get_arguments());
    let known = match name.strip_prefix("--") {
        Some(long) => all().any(|arg| arg.get_long() == Some(long)),
        None => {
            let short = name.strip_prefix('-').and_then(|short| short.chars().next());
            short.is_some_and(|short| all().any(|arg| arg.get_short() == Some(short)))
        }
    };
    known.then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out() {
        let spelled = |line: &str| invocation(line.split(' ').map(String::from));
        assert_eq!(
            spelled("--json ask --model openai:http://me:pw@box#m --top-p=0.5 --secret why"),
            "--json ask --model --top-p"
        );
        assert_eq!(spelled("-v jobs submit train c.toml --set a=b"), "-v jobs submit train --set");
    }
}

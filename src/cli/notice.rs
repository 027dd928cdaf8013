//! The user's own program for news of runs.

use std::process::{Command, Stdio};

use artgpt_runs::Item;

/// Starts it, and does not wait for it. `{run}`, `{what}` and `{text}` in its arguments are filled in.
pub fn call(command: &[String], item: &Item) {
    let Some((program, arguments)) = command.split_first() else { return };
    let fill = |argument: &String| {
        argument
            .replace("{run}", &item.run)
            .replace("{what}", item.what.word())
            .replace("{text}", &artgpt_base::text::printable(&item.text))
    };
    let started = Command::new(program)
        .args(arguments.iter().map(fill))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    match started {
        // Somebody must take its exit code.
        Ok(mut child) => drop(std::thread::spawn(move || child.wait())),
        Err(e) => eprintln!("{} cannot be started: {e}; see [notices] command", program),
    }
}

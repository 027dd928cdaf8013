//! The user's own command for news of runs.

use std::io;
use std::process::{Command, Stdio};

use artgpt_base::text::printable;
use artgpt_runs::Item;

/// Starts the command without waiting for it. `{run}`, `{what}` and `{text}` in its arguments are
/// replaced.
pub(crate) fn call(command: &[String], item: &Item) -> io::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let fill = |argument: &String| {
        argument
            .replace("{run}", &item.run)
            .replace("{what}", item.what.word())
            .replace("{text}", &printable(&item.text))
    };
    let mut child = Command::new(program)
        .args(arguments.iter().map(fill))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    // Somebody must collect its exit code.
    drop(std::thread::spawn(move || child.wait()));
    Ok(())
}

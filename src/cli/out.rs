//! Results on stdout. A reader that has gone (`| head`) ends the output, not the work.

use std::fmt::Display;
use std::io::Write;

/// Writes one line.
pub(crate) fn line(text: impl Display) {
    write(format_args!("{text}\n"));
}

/// Writes text as it is.
pub(crate) fn write(text: impl Display) {
    let mut out = std::io::stdout().lock();
    // Nothing is left to tell anybody when stdout is closed or full.
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Writes the head of a table, for people alone: scripts read the rows.
pub(crate) fn head(text: impl Display) {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() {
        line(text.to_string().trim_end());
    }
}

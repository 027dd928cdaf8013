//! The one writer of output: results on stdout, everything else on stderr.
//!
//! Nothing here panics or interrupts the work. A stderr that cannot be written is ignored: nobody is
//! left to tell. The first error of stdout is kept and the results after it are dropped, so that a
//! training run outlives its reader; who ends the command asks [`stdout_error`]. What a terminal
//! shows passes [`printable_lines`]; files and pipes get the text as it is.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex, OnceLock};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::text::printable_lines;

/// The first error of stdout.
static STDOUT_ERROR: OnceLock<io::Error> = OnceLock::new();
/// Lines of several threads do not mix.
static STDOUT: Mutex<()> = Mutex::new(());

static IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());

/// Writes results to stdout.
pub fn write(text: impl Display) {
    let text = text.to_string();
    let text = if is_terminal() { printable_lines(&text) } else { text };
    let _ = Stdout.write_all(text.as_bytes());
}

/// Writes one line of results to stdout.
pub fn line(text: impl Display) {
    write(format_args!("{text}\n"));
}

/// Writes the head of a table to stdout, for people alone: scripts read the rows.
pub fn head(text: impl Display) {
    if is_terminal() {
        line(text.to_string().trim_end());
    }
}

/// Writes one line to stderr, if it can be written.
pub fn note(text: impl Display) {
    // One write, so that the lines of several processes do not mix.
    let line = format!("{}\n", printable_lines(&text.to_string()));
    let _ = write_all(&io::stderr(), line.as_bytes());
}

/// Whether stdout is a terminal.
pub fn is_terminal() -> bool {
    *IS_TERMINAL
}

/// The first error of stdout; what came after it was dropped.
pub fn stdout_error() -> Option<&'static io::Error> {
    STDOUT_ERROR.get()
}

/// Stdout for those who write bytes, which nothing cleans. It has no buffer.
#[derive(Debug, Clone, Copy)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A poisoned lock guards nothing that could be half changed.
        let _lines = STDOUT.lock();
        if let Some(error) = stdout_error() {
            return Err(error.kind().into());
        }
        match write_all(&io::stdout(), bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                let kind = error.kind();
                let _ = STDOUT_ERROR.set(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all bytes to a file descriptor. The standard library's streams hide the error of one that
/// was not opened for writing, and its macros panic at all others.
fn write_all(file: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    let file = file.as_fd();
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Another program left the terminal or the pipe without blocking.
            Err(Errno::AGAIN) => {
                let writable = PollFd::new(&file, PollFlags::OUT);
                poll(&mut [writable], None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};
    use std::io::Read;

    #[test]
    fn errors_are_returned_and_not_hidden() {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("opens");
        let error = write_all(&full, b"text").expect_err("is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // The standard library reports success here.
        let read_only = File::open("/dev/null").expect("opens");
        assert!(write_all(&read_only, b"text").is_err());
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let error = write_all(&writer, b"text").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_pipe_that_does_not_block_gets_everything() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writer, true).expect("does not block");
        // More than a pipe holds.
        let text = vec![b'x'; 1 << 20];
        let sent = text.clone();
        let write = std::thread::spawn(move || write_all(&writer, &sent));
        let mut got = Vec::new();
        reader.read_to_end(&mut got).expect("reads");
        assert!(write.join().expect("ends").is_ok());
        assert!(got == text, "{} bytes of {}", got.len(), text.len());
    }
}

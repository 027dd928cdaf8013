//! The log file, for what users report: `DATA_DIR/logs/artgpt-tui.log`.
//!
//! It has a bounded size and few files (`rotate.rs`), and secrets are masked before a line is written
//! ([`artgpt_base::mask`]). The setting `log` chooses what is logged; `-v` logs more.

mod rotate;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use artgpt_base::mask::Mask;
use rotate::RotatingFile;

/// The setting `log`: how much goes into the log file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// No log file.
    Off,
    /// Errors that end a command.
    Error,
    /// Also what was retried or skipped.
    Warn,
    /// Also starts, model loads and the outcome of requests.
    #[default]
    Info,
    /// Also details for developers.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// `-v` logs at least `debug`, `-vv` everything.
    pub fn with_verbosity(self, verbose: u8) -> Self {
        match verbose {
            0 => self,
            1 => self.max(Self::Debug),
            _ => Self::Trace,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Opens the log below `folder` for this process. Where it cannot be written the program goes on
/// without one: a log must never be the reason for a failure.
pub fn start(folder: &Path, level: LogLevel) {
    if level == LogLevel::Off {
        return;
    }
    let Ok(file) = RotatingFile::open(folder) else { return };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(LogWriter::new(file, Mask::from_environment()));
    // Only what our own crates say.
    let ours = Targets::new().with_target("artgpt", level.filter());
    if tracing_subscriber::registry().with(ours).with(lines).try_init().is_ok() {
        log_panics();
    }
}

fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("internal error: {panic}");
        before(panic);
    }));
}

/// Masks each line and writes it.
#[derive(Clone)]
struct LogWriter(Arc<Mutex<(RotatingFile, Mask)>>);

impl LogWriter {
    fn new(file: RotatingFile, mask: Mask) -> Self {
        Self(Arc::new(Mutex::new((file, mask))))
    }
}

impl Write for LogWriter {
    /// `tracing_subscriber` writes an event at once, so that a secret is never cut in two.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().map_err(|_| io::Error::other("the log is poisoned"))?;
        let (file, mask) = &mut *inner;
        file.append(mask.apply(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_reach_the_file_without_their_secrets() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = RotatingFile::open(folder.path()).expect("opens");
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(LogWriter::new(file, Mask::with_values(Vec::new())));
        let log = tracing_subscriber::registry().with(LevelFilter::INFO).with(lines);
        tracing::subscriber::with_default(log, || {
            tracing::info!(url = "https://me:pass@box/v1", "asked the server");
            tracing::debug!("a detail");
        });
        let path = folder.path().join("artgpt-tui.log");
        let text = std::fs::read_to_string(path).expect("reads");
        assert!(text.contains("asked the server") && text.contains("https://***@box/v1"), "{text}");
        assert!(!text.contains("pass") && !text.contains("a detail"), "{text}");
    }

    #[test]
    fn verbosity_raises_the_level() {
        assert_eq!(LogLevel::Info.with_verbosity(1), LogLevel::Debug);
        assert_eq!(LogLevel::Trace.with_verbosity(1), LogLevel::Trace);
        assert_eq!(LogLevel::Error.with_verbosity(0), LogLevel::Error);
        assert_eq!(LogLevel::Off.with_verbosity(2), LogLevel::Trace);
    }
}

//! A run's configuration file.

use std::path::{Path, PathBuf};

use super::overrides::{Override, with_overrides};
use super::{AppError, Result};
use artgpt_base::decode::strict_text;
use artgpt_base::files::read_limited;
use artgpt_rundir::TrainConfig;

/// Bytes of the largest configuration file that is read.
pub(crate) const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a valid configuration.
    #[error("the training configuration is wrong: {}{}: {reason}", path.display(), line_words(*line))]
    Invalid {
        /// The file or directory.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
        /// Why.
        reason: String,
    },
    /// A comparison of methods, which holds a run's configuration as a table.
    #[error("the training configuration is wrong: {}{}: {reason}", path.display(), line_words(*line))]
    Comparison {
        /// The file or directory.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
        /// Why.
        reason: String,
    },
}

fn line_words(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!(", line {line}"))
}

/// The text of a regular file that people write; a FIFO or a device may never end.
pub(crate) fn read_written(path: &Path, limit: u64) -> std::io::Result<String> {
    let not_text = |e| std::io::Error::new(std::io::ErrorKind::InvalidData, e);
    strict_text(read_limited(path, limit)?).map_err(not_text)
}

/// Reads a configuration, with values replaced and paths made absolute.
pub fn read(path: &Path, set: &[Override]) -> Result<TrainConfig> {
    let text = read_written(path, MAX_CONFIG_BYTES)
        .map_err(|source| ConfigFileError::Read { path: path.to_path_buf(), source })?;
    let config: TrainConfig = toml::from_str(&text).map_err(|e| invalid(path, &text, &e))?;
    rooted(with_overrides(config, set)?)
}

fn invalid(path: &Path, text: &str, e: &toml::de::Error) -> ConfigFileError {
    let before = e.span().and_then(|at| text.get(..at.start));
    let line = before.map(|before| before.matches('\n').count() + 1);
    let (path, reason) = (path.to_path_buf(), e.message().to_string());
    let compares = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("train"));
    match compares {
        true => ConfigFileError::Comparison { path, line, reason },
        false => ConfigFileError::Invalid { path, line, reason },
    }
}

/// Makes paths absolute, so that they hold in any working directory.
pub fn rooted(config: TrainConfig) -> Result<TrainConfig> {
    let here = std::env::current_dir().map_err(AppError::WorkingFolder)?;
    let data = config.data.absolute(&here);
    Ok(TrainConfig { data, init: config.init.map(|init| here.join(init)), ..config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_an_end_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        let large = folder.path().join("large.toml");
        let file = std::fs::File::create(&large).expect("creates");
        file.set_len(MAX_CONFIG_BYTES + 1).expect("grows");
        for (path, reason) in
            [(Path::new("/dev/zero"), "not a regular file"), (&large, "larger than")]
        {
            let e = read(path, &[]).expect_err("is none").to_string();
            assert!(e.contains(reason), "{e}");
        }
    }
}

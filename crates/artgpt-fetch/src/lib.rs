//! Downloads, verifies and converts the files of a model, into `models/NAME/`.

mod hub;
mod install;
pub mod network;
mod pypi;
mod record;
mod source;

pub use install::{check_installed, install, is_installed, remove};
pub use record::InstalledFile;

/// An event of an installation, for a progress display.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The next file starts.
    File {
        /// Its name.
        name: String,
        /// Its expected size in bytes.
        bytes: u64,
    },
    /// Bytes of the current file received so far.
    Bytes(u64),
    /// A step that transfers nothing, such as "checking NAME".
    Step(String),
}

/// Why model files cannot be installed, verified or removed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A manifest names a source that does not parse.
    #[error("the source `{0}` is not understood")]
    Source(String),
    /// A file cannot be read or written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// No pip runs on this machine.
    #[error("{0} cannot be downloaded from PyPI: Python's pip was not found")]
    NoPip(String),
    /// pip exited with an error.
    #[error("pip could not download {package}: {reason}")]
    Pip {
        /// `NAME==VERSION`.
        package: String,
        /// The last error in pip's output.
        reason: String,
    },
    /// A download from Hugging Face failed.
    #[error("cannot fetch {file} from Hugging Face: {reason}")]
    HuggingFace {
        /// `OWNER/NAME/FILE`.
        file: String,
        /// What failed.
        reason: String,
    },
    /// A file that is not in the local cache, while downloads are switched off.
    #[error("{0} is not in the local cache, and downloads are off")]
    Offline(String),
    /// The proxy or the certificates cannot be used.
    #[error(transparent)]
    Network(#[from] network::NetworkError),
    /// A record names a file outside its folder; nothing was touched.
    #[error("{record} names `{name}`, which is no file of its folder")]
    Foreign {
        /// The record, `installed.json`.
        record: String,
        /// The name in it.
        name: String,
    },
    /// A wheel lacks the member that the manifest names.
    #[error("{archive} has no member {member}")]
    Member {
        /// The wheel.
        archive: String,
        /// The member's path in it.
        member: String,
    },
    /// An archive is damaged.
    #[error("{archive} cannot be unpacked ({reason})")]
    Archive {
        /// The archive.
        archive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file's SHA-256 differs from the expected one; the file was moved aside.
    #[error("{file} has sha256 {found}, not the expected {expected}; it is kept aside as {aside}")]
    Sha256 {
        /// The file's name.
        file: String,
        /// The expected SHA-256, hexadecimal.
        expected: String,
        /// The file's SHA-256, hexadecimal.
        found: String,
        /// Where the file is now.
        aside: String,
        /// The model's name.
        model: String,
    },
    /// An installed file is missing.
    #[error("{file} of model {model} is missing")]
    Missing {
        /// The file's name.
        file: String,
        /// The model's name.
        model: String,
    },
    /// A conversion failed.
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
}

/// A result whose error is a [`FetchError`].
pub type Result<T> = std::result::Result<T, FetchError>;

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> FetchError {
    let path = path.display().to_string();
    |source| FetchError::Io { path, source }
}

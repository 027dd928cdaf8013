//! Evaluations: whether a model sees, how it talks about pictures, and how training methods compare.

mod local;
mod peft;
mod process;
mod seeing;
mod talk;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

pub use peft::{PeftRequest, compare};
pub use seeing::{SeeingRequest, see};
pub use talk::{TalkRequest, talk};

/// Why an evaluation cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The split cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    ReadSplit {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The split is not one of a training run.
    #[error("the split is not valid: {0}")]
    Split(#[source] serde_json::Error),
    /// The data has none of the paintings of the split.
    #[error("none of the split's held-out paintings is in the data")]
    NoHeldOut,
    /// The comparison cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    ReadComparison {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a valid comparison.
    #[error("{} is no comparison: {reason}", path.display())]
    NotAComparison {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The output directory is in use by another comparison.
    #[error("{} holds another comparison", .0.display())]
    OtherComparison(PathBuf),
    /// A file of a comparison cannot be read or written.
    #[error("cannot read or write {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What a run of a comparison left cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A run of a comparison failed; its own process has reported why.
    #[error("the run {name} ended with {status}")]
    RunFailed {
        /// The run's name.
        name: String,
        /// How its process ended.
        status: ExitStatus,
    },
    /// The conversations cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    ReadConversations {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to ask.
    #[error(transparent)]
    Talk(artgpt_eval::talk::PlanError),
    /// The output directory holds answers to something else.
    #[error("{} holds answers of {what}", path.display())]
    OtherAnswers {
        /// The file.
        path: PathBuf,
        /// What they answer.
        what: String,
    },
    /// The file in the output directory is none of answers.
    #[error("{} holds no answers: {reason}", path.display())]
    NotAnswers {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A model's files cannot be identified.
    #[error("{} is no model to tell from others: {reason}", path.display())]
    Unidentified {
        /// The model's directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The model runs on a server.
    #[error("{0} runs on a server; this evaluation works with local models only")]
    RemoteModel(String),
    /// Another process writes the answers.
    #[error("another process writes {}", .0.display())]
    AnswersInUse(PathBuf),
    /// A plot cannot be drawn.
    #[error(transparent)]
    Plot(#[from] artgpt_eval::peft::PlotError),
}

/// Adds the path to an error of the operating system.
fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EvalError {
    let path = path.to_path_buf();
    |source| EvalError::Io { path, source }
}

/// Says why a file of a comparison cannot be used.
fn unusable(path: &Path, reason: impl std::fmt::Display) -> EvalError {
    EvalError::Unusable { path: path.to_path_buf(), reason: reason.to_string() }
}

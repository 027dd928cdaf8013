//! One error type over all use cases.

use super::ask::AskError;
use super::eval::EvalError;
use super::jobs::{SteerError, SubmitError};
use super::models::ModelsError;
use super::overrides::OverrideError;
use super::runs::RunsError;
use super::train::ForegroundError;
use super::train_config::ConfigFileError;

/// How a use case fails: what the use case itself found wrong, or a library's error.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A question is wrong.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A configuration file cannot be used.
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    /// An evaluation cannot begin or go on.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A run cannot start in this process.
    #[error(transparent)]
    Foreground(#[from] ForegroundError),
    /// A model or data set is wrong.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// A value cannot be replaced.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// A run cannot be used.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// A request about a run is refused.
    #[error(transparent)]
    Steer(#[from] SteerError),
    /// Jobs cannot be queued.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The working directory is gone.
    #[error("the working directory is gone: {0}")]
    WorkingFolder(#[source] std::io::Error),

    /// An artwork cannot be used.
    #[error(transparent)]
    Art(#[from] artgpt_art::ArtError),
    /// A prompt or tokenizer is wrong.
    #[error(transparent)]
    Chat(#[from] artgpt_chat::ChatError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] crate::settings::ConfigError),
    /// Training data is wrong.
    #[error(transparent)]
    Data(#[from] artgpt_train::data::DataError),
    /// Files cannot be installed.
    #[error(transparent)]
    Fetch(Box<artgpt_fetch::FetchError>),
    /// A model gives no answer.
    #[error(transparent)]
    Inference(#[from] artgpt_engine::InferenceError),
    /// A job cannot be used.
    #[error(transparent)]
    Jobs(#[from] artgpt_jobs::JobError),
    /// Weights cannot be used.
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
    /// The records of a job cannot be used.
    #[error(transparent)]
    Record(#[from] artgpt_rundir::job::RecordError),
    /// A model or data set has to be installed first.
    #[error("{0} is not installed")]
    NotInstalled(String),
    /// The directory of a training run cannot be used.
    #[error(transparent)]
    Run(#[from] artgpt_rundir::RunError),
    /// Sessions cannot be used.
    #[error(transparent)]
    Store(#[from] artgpt_store::StoreError),
    /// A tensor computation failed.
    #[error("{}", artgpt_base::text::first_line(.0))]
    Tensor(#[from] candle_core::Error),
    /// A run failed.
    #[error(transparent)]
    Training(#[from] artgpt_train::TrainError),
}

/// What a use case returns.
pub type Result<T> = std::result::Result<T, AppError>;

impl From<crate::CheckError> for AppError {
    fn from(error: crate::CheckError) -> Self {
        match error {
            crate::CheckError::NotInstalled(name) => Self::NotInstalled(name),
            crate::CheckError::Train(e) => e.into(),
            crate::CheckError::Model(e) => e.into(),
        }
    }
}

impl From<artgpt_fetch::FetchError> for AppError {
    fn from(error: artgpt_fetch::FetchError) -> Self {
        Self::Fetch(Box::new(error))
    }
}

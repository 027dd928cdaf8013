//! One error type over all use cases.

use super::ask::AskError;
use super::jobs::{SteerError, SubmitError};
use super::models::ModelsError;
use super::overrides::OverrideError;
use super::runs::RunsError;
use super::train::ForegroundError;
use super::train_config::ConfigFileError;

/// How a use case fails: what the use case itself found wrong, or a library's error.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
    #[error(transparent)]
    Foreground(#[from] ForegroundError),
    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error(transparent)]
    Override(#[from] OverrideError),
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error(transparent)]
    Steer(#[from] SteerError),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error("interrupted")]
    Interrupted,
    #[error("the working directory is gone: {0}")]
    WorkingFolder(#[source] std::io::Error),

    #[error(transparent)]
    Art(#[from] artgpt_art::ArtError),
    #[error(transparent)]
    Chat(#[from] artgpt_chat::ChatError),
    #[error(transparent)]
    Config(#[from] crate::settings::ConfigError),
    #[error(transparent)]
    Data(#[from] artgpt_train::data::DataError),
    #[error(transparent)]
    Fetch(Box<artgpt_fetch::FetchError>),
    #[error(transparent)]
    Inference(#[from] artgpt_engine::InferenceError),
    #[error(transparent)]
    Jobs(#[from] artgpt_jobs::JobError),
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
    #[error(transparent)]
    Record(#[from] artgpt_rundir::job::RecordError),
    #[error("{0} is not installed")]
    NotInstalled(String),
    #[error(transparent)]
    Run(#[from] artgpt_rundir::RunError),
    #[error(transparent)]
    Store(#[from] artgpt_store::StoreError),
    #[error("{}", artgpt_base::text::first_line(.0))]
    Tensor(#[from] candle_core::Error),
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

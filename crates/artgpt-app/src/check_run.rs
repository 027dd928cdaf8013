//! Checks a training configuration before a job is submitted.

use std::path::Path;

use artgpt_fetch::is_installed;
use artgpt_model::checkpoint::LanguageFile;
use artgpt_model::manifest::Model;
use artgpt_rundir::{DataConfig, TrainConfig};
use artgpt_train::open_feed;

use crate::{Estimate, estimate};

/// Why a configuration cannot be submitted.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A model or a data set has to be installed first.
    #[error("{0} is not installed")]
    NotInstalled(String),
    /// The configuration or its data.
    #[error(transparent)]
    Train(#[from] artgpt_train::TrainError),
    /// The base model.
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
}

impl From<artgpt_rundir::RunError> for CheckError {
    fn from(e: artgpt_rundir::RunError) -> Self {
        Self::Train(e.into())
    }
}

/// Finds what is wrong with a configuration before it waits in a queue for hours, and tells what it
/// will need.
pub fn check_run(config: &TrainConfig, models: &Path, runs: &Path) -> Result<Estimate, CheckError> {
    config.check()?;
    open_feed(config)?;
    let installed = |name: &str| {
        let model = Model::find(name, models)?;
        match is_installed(&model) {
            true => Ok(model),
            false => Err(CheckError::NotInstalled(name.to_string())),
        }
    };
    let model = installed(&config.model)?;
    if let DataConfig::Museum(name) = &config.data
        && !Path::new(name).join("objects.json").is_file()
    {
        installed(name)?;
    }
    let language = match model.language_path() {
        Some(path) => {
            let llama = LanguageFile::open(&path)?.weights().config()?;
            Some((llama, path.metadata().map_or(0, |m| m.len())))
        }
        None => None,
    };
    Ok(estimate(config, language.as_ref().map(|(llama, bytes)| (llama, *bytes)), runs))
}

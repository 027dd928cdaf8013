//! Checks a training configuration before a job is submitted.

use std::path::Path;

use artgpt_art::painting_ids;
use artgpt_fetch::is_installed;
use artgpt_model::checkpoint::LanguageFile;
use artgpt_model::manifest::Model;
use artgpt_rundir::{DataConfig, TrainConfig};
use artgpt_train::data::Conversations;
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
    let museum = |name: &str| match Path::new(name).join("objects.json").is_file() {
        true => Ok(Path::new(name).to_path_buf()),
        false => installed(name).map(|set| set.dir.join("files")),
    };
    match &config.data {
        DataConfig::Museum(name) => drop(museum(name)?),
        DataConfig::Conversations(data) => {
            let of_museum =
                data.images.as_ref().filter(|name| !crate::conversations::is_plain(name));
            let ids = of_museum.map(|name| museum(name)).transpose()?;
            // A damaged museum is reported when the run starts.
            let ids = ids.and_then(|folder| painting_ids(&folder).ok());
            let ids = ids.map(|ids| ids.into_iter().collect());
            Conversations::open(data, ids.as_ref()).map_err(artgpt_train::TrainError::from)?;
        }
        DataConfig::Pairs(_) => {}
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

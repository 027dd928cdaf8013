//! The data of a run that learns from a museum or from conversations.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::models::data_folder;
use super::{App, Result};
use artgpt_art::{Paintings, Split, painting_ids};
use artgpt_rundir::{ConversationsConfig, DataConfig, RunError, TrainConfig};
use artgpt_train::data::Conversations;

/// The folder of the museum whose paintings a run is about, if it is about a museum's.
pub(crate) fn museum(app: &App, data: &DataConfig) -> Result<Option<PathBuf>> {
    match data {
        DataConfig::Museum(name) => data_folder(app, name).map(Some),
        DataConfig::Conversations(ConversationsConfig { images: Some(images), .. }) => {
            match is_plain(images) {
                true => Ok(None),
                false => data_folder(app, images).map(Some),
            }
        }
        DataConfig::Conversations(_) | DataConfig::Pairs(_) => Ok(None),
    }
}

/// Whether `images` is a folder of pictures without a museum's records.
pub(crate) fn is_plain(images: &str) -> bool {
    let folder = Path::new(images);
    folder.is_dir() && !folder.join("objects.json").is_file()
}

/// The conversations of a configuration; `None` if its data is something else.
pub(crate) fn open(app: &App, config: &TrainConfig) -> Result<Option<Conversations>> {
    let DataConfig::Conversations(data) = &config.data else { return Ok(None) };
    let ids = match museum(app, &config.data)? {
        Some(folder) => Some(painting_ids(&folder)?.into_iter().collect::<HashSet<u64>>()),
        None if config.set_aside > 0 => {
            let needs = "set_aside needs a museum, and images names a folder of pictures";
            return Err(RunError::Config(needs.into()).into());
        }
        None => None,
    };
    Ok(Some(Conversations::open(data, ids.as_ref())?))
}

/// The split of a museum, with what is set aside.
pub(crate) fn split(paintings: &Paintings, config: &TrainConfig) -> Result<Split> {
    let split = paintings.split(config.split_drawn_by(), config.held_out)?;
    let (count, train) = (config.set_aside, split.train.len());
    Ok(split.setting_aside(count).ok_or_else(|| {
        RunError::Config(format!("set_aside = {count} leaves nothing of {train} paintings"))
    })?)
}

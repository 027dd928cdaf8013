//! Checks the training data of a configuration.

use std::path::Path;

use super::overrides::Override;
use super::{App, Event, Result, conversations, models, train_config};
use artgpt_art::Paintings;
use artgpt_rundir::{DataConfig, TrainConfig};
use artgpt_train::data::Report;
use artgpt_train::data::conversations::TalkReport;

/// What there is to train on.
#[derive(Debug)]
pub enum Checked {
    /// Paintings with their catalogue.
    Museum {
        /// Paintings to train on.
        train: usize,
        /// Paintings that are held out.
        held_out: usize,
        /// Tags that several paintings have.
        tags: usize,
    },
    /// Pictures with captions, and what is wrong with them.
    Pairs(Box<Report>),
    /// Conversations, and what is wrong with them.
    Conversations(Box<TalkReport>),
}

/// Reads all pictures and labels, or rows and captions, of a configuration with values replaced.
pub fn check(app: &App, config_file: &Path, set: &[Override]) -> Result<Checked> {
    let config = train_config::read(config_file, set)?;
    config.check()?;
    match &config.data {
        DataConfig::Museum(name) => museum(app, name, &config),
        DataConfig::Pairs(pairs) => {
            let progress = |done, total| app.tell(&Event::DataChecked { done, total });
            let report = artgpt_train::data::check(pairs, config.split_drawn_by(), progress)?;
            Ok(Checked::Pairs(Box::new(report)))
        }
        DataConfig::Conversations(data) => {
            let progress = |done, total| app.tell(&Event::DataChecked { done, total });
            let split = match conversations::museum(app, &config.data)? {
                Some(folder) => Some(conversations::split(&Paintings::open(&folder)?, &config)?),
                None => None,
            };
            let seed = config.split_drawn_by();
            let check = artgpt_train::data::conversations::check;
            Ok(Checked::Conversations(Box::new(check(data, split.as_ref(), seed, progress)?)))
        }
    }
}

fn museum(app: &App, name: &str, config: &TrainConfig) -> Result<Checked> {
    let paintings = Paintings::open(&models::data_folder(app, name)?)?;
    let split = paintings.split(config.split_drawn_by(), config.held_out)?;
    Ok(Checked::Museum {
        tags: paintings.common_tags(&split).len(),
        train: split.train.len(),
        held_out: split.held_out.len(),
    })
}

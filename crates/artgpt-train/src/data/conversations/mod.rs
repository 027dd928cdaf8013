//! Conversations about pictures, in the formats of several programs.
//!
//! `files` finds and parses the files, `formats` recognises the format of a record by its keys, `checked`
//! accepts its turns, `pictures` finds what it shows, `split` says which pictures train, and `report` is
//! `data check`.

mod checked;
mod contents;
mod files;
mod formats;
mod pictures;
mod report;
mod split;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

pub(crate) use self::contents::Contents;
pub use self::report::{TalkReport, check};
pub(crate) use self::split::Side;

use super::tables::Skip;
use super::{DataError, Picture, RejectedRow, Result};
use artgpt_rundir::ConversationsConfig;

/// All conversations of a source, and the pictures that they are about.
#[derive(Debug, Clone, Default)]
pub struct Conversations {
    /// The pictures; conversations name them by their indices.
    pub(crate) pictures: Vec<ShownPicture>,
    /// The conversations that can train.
    pub(crate) all: Vec<Dialogue>,
    /// Records that cannot train.
    pub(crate) bad: Vec<RejectedRow>,
    /// Lines that hold no record, and files of another kind.
    pub(crate) unused: Vec<RejectedRow>,
    /// What the pictures contain, by their names, where a file says so.
    pub(crate) contents: HashMap<String, Contents>,
    /// Files that were read.
    pub(crate) files: usize,
}

/// A picture that conversations are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownPicture {
    /// Its name, the same for all its conversations, by which it may be held out: the path in its folder.
    pub key: String,
    pub source: PictureSource,
}

/// Where a picture's pixels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PictureSource {
    /// In the museum, by its ID there.
    Painting(u64),
    /// In a file of its own, or in the record.
    Picture(Picture),
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialogue {
    /// File and record.
    pub place: String,
    /// What it shows: none, one or two indices into the pictures.
    pub pictures: Vec<usize>,
    /// The round whose question shows the second picture, from 0.
    pub second_at: usize,
    /// What it is about; decides whether the label is shown.
    pub kind: Option<String>,
    /// Its own system prompt.
    pub system: Option<String>,
    /// At least one.
    pub rounds: Vec<Round>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub asked: String,
    pub said: String,
}

impl Conversations {
    /// Reads all files; `museum` is the IDs of the museum whose paintings `images` names.
    ///
    /// # Errors
    /// [`DataError`], also if no conversation about a picture can train.
    pub fn open(config: &ConversationsConfig, museum: Option<&HashSet<u64>>) -> Result<Self> {
        let all = Self::read(config, museum)?;
        if all.all.iter().any(|dialogue| !dialogue.pictures.is_empty()) {
            return Ok(all);
        }
        let why = all.bad.first().map_or(String::new(), |b| format!(": {}: {}", b.place, b.reason));
        let place = config.path.to_string();
        Err(DataError::NoConversation { place, why })
    }

    /// The same, also if nothing can train.
    fn read(config: &ConversationsConfig, museum: Option<&HashSet<u64>>) -> Result<Self> {
        if let Some(problem) = config.problem() {
            return Err(DataError::Config(problem.into()));
        }
        let mut out = Self::default();
        if let Some(path) = &config.contents {
            out.contents = contents::read(path)?;
        }
        let mut pictures = pictures::Known::new(pictures::MAX_ALL_INLINE);
        for file in files::all(&config.path)? {
            out.files += 1;
            let finder = pictures::Finder::of(config, &file.path, museum);
            files::records(&file, &mut |(place, record)| {
                let read = record
                    .and_then(|value| formats::read(value).map_err(Skip::lost))
                    .and_then(|raw| {
                        let find = |reference: &_| pictures.find(&finder, reference);
                        checked::dialogue(&place, raw, find).map_err(Skip::lost)
                    });
                match read {
                    Ok(dialogue) => out.all.push(dialogue),
                    Err(skip) => {
                        let row = RejectedRow { place, reason: skip.reason };
                        if skip.is_loss { out.bad.push(row) } else { out.unused.push(row) }
                    }
                }
                pictures.check_inline()
            })?;
        }
        out.pictures = pictures.all;
        Ok(out)
    }
}

/// The folder with the pictures of a file.
fn images_folder(config: &ConversationsConfig, file: &std::path::Path) -> PathBuf {
    match &config.images {
        Some(images) => PathBuf::from(images),
        None => artgpt_rundir::folder_beside(file),
    }
}

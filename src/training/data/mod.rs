//! Pictures with captions: where they come from, and in which order they train.
//!
//! Every kind of source is read as rows of named fields. Two templates make a pair of a row: where
//! its picture is, and what its caption says.

mod check;
mod config;
mod feed;
mod picture;
mod row;
mod shards;
mod tables;
mod template;

pub use check::{Report, Spread, check};
pub use config::{DataConfig, PairsConfig, PairsKind};
pub use feed::{Feed, Part};
pub use picture::Picture;

use self::row::Row;
use self::template::Template;

/// A picture and one caption of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The same for all captions of one picture.
    pub key: String,
    pub picture: Picture,
    pub caption: String,
    /// The source's own split, where it has one.
    pub split: Option<Part>,
}

/// What was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// The row or the file.
    pub place: String,
    pub reason: String,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    Pair(Pair),
    /// The score is below the least that is wanted.
    LowScore,
    Bad(Bad),
}

/// What can go wrong before any pair is read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("cannot read {path}: {source}; check [data] in the configuration")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} cannot be read as {format}: {reason}")]
    Format { path: String, format: &'static str, reason: String },
    #[error("[data] is wrong: {0}")]
    Config(String),
    #[error(
        "{place} holds no pair that can train{why}; `artgpt-tui data check CONFIG` shows all of it"
    )]
    Empty { place: String, why: String },
}

pub type Result<T> = std::result::Result<T, DataError>;

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.display().to_string();
    |source| DataError::Io { path, source }
}

/// What a row is turned into a pair by.
#[derive(Debug, Clone)]
struct Reader {
    images: std::path::PathBuf,
    image: Template,
    caption: Template,
    score: Option<(Option<String>, f32)>,
}

impl Reader {
    fn of(config: &PairsConfig) -> Result<Self> {
        let template = |text: &str| Template::parse(text).map_err(DataError::Config);
        Ok(Self {
            images: config.images_folder(),
            image: template(config.image_template())?,
            caption: template(config.caption_template())?,
            score: config.min_score.map(|least| (config.score.clone(), least)),
        })
    }

    /// `picture` is the row's own, where the source brings it along.
    fn read(&self, row: &Row, place: &str, picture: Option<Picture>) -> Reading {
        let bad = |reason: String| Reading::Bad(Bad { place: place.to_string(), reason });
        if let Some((field, least)) = &self.score {
            match row.score(field.as_deref()) {
                Some(score) if score < *least => return Reading::LowScore,
                Some(_) => {}
                None => return bad("it has no score, and min_score asks for one".into()),
            }
        }
        let caption = match self.caption.fill(row) {
            Ok(caption) if caption.trim().is_empty() => return bad("the caption is empty".into()),
            Ok(caption) => caption,
            Err(field) => return bad(format!("it has no {field} for the caption")),
        };
        let (key, picture) = match picture {
            // The same wherever the shards lie.
            Some(picture) => (picture.short_name(), picture),
            None => {
                let name = match self.image.fill(row) {
                    Ok(name) => name,
                    Err(field) => return bad(format!("it has no {field} to find its picture by")),
                };
                match picture::find(&self.images, &name) {
                    Some(path) => (name, Picture::File(path)),
                    None => return bad(format!("there is no picture {name}")),
                }
            }
        };
        match row.split() {
            Ok(split) => Reading::Pair(Pair { key, picture, caption, split }),
            Err(split) => bad(format!("its split {split:?} is neither train nor val or test")),
        }
    }
}

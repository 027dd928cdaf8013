//! Captioned pictures: sources, validation, and the order in which they train.
//!
//! Each source yields rows of named fields. Two templates turn a row into a pair: one gives the file
//! name of the picture, the other the caption.

mod check;
pub mod conversations;
mod feed;
mod foreign;
mod members;
mod picture;
mod row;
mod shards;
mod table;
mod tables;
mod template;

pub use check::{BadItem, Report, Spread, check};
pub use conversations::Conversations;
pub use feed::{Feed, Part};
pub use picture::Picture;

use artgpt_rundir::PairsConfig;

use self::row::Row;
use self::template::Template;

/// A picture and one caption of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The same for all captions of one picture.
    pub key: String,
    /// Where the picture's bytes are.
    pub picture: Picture,
    /// The caption, before any cleaning.
    pub caption: String,
    /// The source's own split, if it has one.
    pub split: Option<Part>,
}

/// A row that cannot train, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RejectedRow {
    /// The row or the file.
    pub place: String,
    /// Why, for people.
    pub reason: String,
}

/// What a row yields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RowResult {
    /// A pair that can train.
    Pair(Pair),
    /// The score is below `min_score`.
    LowScore,
    /// The row cannot train.
    Rejected(RejectedRow),
    /// It is no row, such as a member that belongs to the operating system, or a header again.
    Unused(RejectedRow),
}

/// Why a source cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A list cannot be parsed.
    #[error("{path} cannot be read as {format}: {reason}")]
    Format {
        /// The list.
        path: String,
        /// The format of its extension.
        format: &'static str,
        /// The parser's error.
        reason: String,
    },
    /// A file is compressed, a pointer, or something else than its name says.
    #[error("{path} is {is}")]
    Foreign {
        /// The file.
        path: String,
        /// What it is.
        is: String,
        /// What to do with it.
        hint: &'static str,
    },
    /// The settings of `[data]` are wrong.
    #[error("[data] is wrong: {0}")]
    Config(String),
    /// The pictures within records are too large together.
    #[error("the pictures within the records take more than {limit_mb} MB")]
    InlinePictures {
        /// The limit, megabytes.
        limit_mb: usize,
    },
    /// No conversation can train.
    #[error("{place} holds no conversation about a picture that can train{why}")]
    NoConversation {
        /// The files.
        place: String,
        /// The first record that cannot, after a colon, or nothing.
        why: String,
    },
    /// No row can train.
    #[error("{place} holds no pair that can train{why}")]
    Empty {
        /// The source.
        place: String,
        /// The first rejected row, after a colon, or nothing.
        why: String,
    },
}

/// A result whose error is a [`DataError`].
pub type Result<T> = std::result::Result<T, DataError>;

/// The text of a file, or why it is none, for people.
fn text(bytes: Vec<u8>) -> std::result::Result<String, String> {
    artgpt_base::decode::strict_text(bytes).map_err(|e| e.to_string())
}

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.display().to_string();
    |source| DataError::Io { path, source }
}

/// Checks the settings and the templates.
fn check_settings(config: &PairsConfig) -> Result<()> {
    match config.problem() {
        Some(problem) => Err(DataError::Config(problem.to_string())),
        None => Reader::of(config).map(|_| ()),
    }
}

/// Turns a row into a pair.
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

    /// `picture` is the row's own, if the source contains the pictures.
    fn read(&self, row: &Row, place: &str, picture: Option<Picture>) -> RowResult {
        let bad =
            |reason: String| RowResult::Rejected(RejectedRow { place: place.to_string(), reason });
        if let Some((field, least)) = &self.score {
            match row.score(field.as_deref()) {
                Some(score) if score < *least => return RowResult::LowScore,
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
            Ok(split) => RowResult::Pair(Pair { key, picture, caption, split }),
            Err(split) => bad(format!("its split {split:?} is neither train nor val or test")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The captions that a table gives, picture by picture, and why rows are left out.
    fn read(kind: &str, pictures: &[&str], name: &str, text: &str) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().expect("a folder");
        for picture in pictures {
            let path = dir.path().join("images").join(picture);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("makes");
            image::RgbImage::new(2, 2).save(&path).expect("saves");
        }
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        let config = format!("kind = {kind:?}\npath = {:?}", path.display().to_string());
        let config: PairsConfig = toml::from_str(&config).expect("parses");
        let (mut captions, mut bad) = (Vec::new(), Vec::new());
        for reading in feed::readings(&config).expect("opens") {
            match reading {
                RowResult::Pair(pair) => captions.push(format!("{}: {}", pair.key, pair.caption)),
                RowResult::Rejected(one) => bad.push(format!("{}: {}", one.place, one.reason)),
                RowResult::LowScore => bad.push("low".into()),
                RowResult::Unused(one) => bad.push(format!("{} unused: {}", one.place, one.reason)),
            }
        }
        (captions, bad)
    }

    #[test]
    fn artemis_finds_its_paintings_in_the_folders_of_styles() {
        let first = "art_style,painting,emotion,utterance,repetition\n\
            Baroque,rembrandt_the-night-watch-1642,awe,\"Men, and a drum.\",7\n\
            Baroque,rembrandt_lost,sadness,Gone,5\n";
        let night = "Baroque/rembrandt_the-night-watch-1642";
        let picture = format!("{night}.jpg");
        let (captions, bad) = read("artemis", &[&picture], "artemis_dataset.csv", first);
        assert_eq!(captions, [format!("{night}: Men, and a drum.")]);
        assert_eq!(bad, ["row 2: there is no picture Baroque/rembrandt_lost"]);
        // The second version has other columns between.
        let second = format!(
            "emotion,utterance,art_style,painting,split\nawe,Dark.,Baroque,{},train\n",
            "rembrandt_the-night-watch-1642"
        );
        assert_eq!(
            read("artemis", &[&picture], "combined.csv", &second).0,
            [format!("{night}: Dark.")]
        );
    }

    #[test]
    fn the_mets_table_finds_pictures_by_the_object_s_id() {
        let table = "\u{feff}Object Number,Is Public Domain,Object ID,Title,Artist Display Name,\
            Object Date,Medium\n1979.486.1,True,436535,Wheat Field,Vincent van Gogh,1889,Oil\n\
            67.265,True,2,,,,\n";
        let (captions, bad) = read("met", &["436535.jpg", "2.png"], "MetObjects.csv", table);
        assert_eq!(captions, ["436535: Wheat Field by Vincent van Gogh, 1889, Oil."]);
        assert_eq!(bad, ["row 2: it has no title for the caption"]);
    }
}

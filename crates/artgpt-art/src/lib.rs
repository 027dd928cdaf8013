//! Artworks: a picture file, decoded with limits, and what is known about it.
//!
//! Nothing here knows of tensors or widgets. See [`Artwork::open`].

mod crop;
mod decode;
mod features;
mod label;
mod museum;
mod questions;
mod resample;
mod view;

pub use crop::random_resized_crop;
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, decode, read_limited, read_part};
pub use features::{
    Balance, Colour, Contrast, FormalFeatures, Kind, LightKey, Saturation, Symmetry, Warmth,
};
pub use label::Label;
pub use museum::{Painting, Paintings, Split, count_paintings, titles};
pub use questions::{PRESENCE_WORDINGS, Question, description};
pub use resample::within;
pub use view::{VIEW_SIZE, View, ViewJitter};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use artgpt_base::hash::sha256;
use image::RgbImage;

/// What can go wrong with a picture file. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ArtError {
    #[error(
        "{0} has changed since this session; put the original back, or open it as a new artwork"
    )]
    Changed(String),
    #[error("no file at {0}; check the path (Tab completes it in the TUI)")]
    Missing(String),
    #[error("{0} is a directory; name one picture file inside it")]
    Directory(String),
    #[error("{0} is not a regular file; copy the picture to a normal file first")]
    NotAFile(String),
    #[error("{0} is empty (0 bytes); copy or download it again")]
    Empty(String),
    #[error("{path} is {bytes} bytes; the limit is {limit}, so save a smaller copy first")]
    FileTooLarge { path: String, bytes: u64, limit: u64 },
    #[error(
        "{path} is {width}x{height} ({megapixels} megapixels); the limit is {limit} megapixels, so scale it down first"
    )]
    TooManyPixels { path: String, width: u32, height: u32, megapixels: u64, limit: u64 },
    #[error(
        "{0} is not a picture in a known format; convert it to JPEG, PNG, WebP, GIF, TIFF or BMP"
    )]
    NotAnImage(String),
    #[error("{path} is damaged or cut short ({reason}); copy or download it again")]
    Damaged { path: String, reason: String },
    #[error("cannot read {path}: {source}; check its permissions")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the paintings in {path} cannot be read ({reason}); install the data set again")]
    Museum { path: String, reason: String },
    #[error("held_out = {held_out} leaves nothing of {all} paintings to train on; lower it")]
    HeldOut { held_out: usize, all: usize },
    #[error("the label file {path} is not valid TOML ({reason}); mend it or move it away")]
    Label { path: String, reason: String },
}

/// One decoded artwork.
#[derive(Debug, Clone)]
pub struct Artwork {
    pub path: PathBuf,
    /// Hex sha256 of the file's bytes.
    pub sha256: String,
    /// Upright (EXIF orientation applied), alpha flattened on white.
    pub image: Arc<RgbImage>,
    /// From the sidecar file, or a museum's `objects.json` in the same folder.
    pub label: Option<Label>,
    /// Remarks a user should see, such as "only the first frame is used".
    pub notes: Vec<String>,
}

impl Artwork {
    /// Reads and decodes the picture at `path`, and the label beside it.
    pub fn open(path: &Path) -> Result<Self, ArtError> {
        let bytes = decode::read_limited(path)?;
        let (image, notes) = decode::decode(path, &bytes)?;
        Ok(Self {
            path: path.to_path_buf(),
            sha256: sha256(&bytes),
            image: Arc::new(image),
            label: Label::beside(path)?.or_else(|| museum::label_in_folder(path)),
            notes,
        })
    }
}

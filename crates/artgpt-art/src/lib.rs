//! Artworks: image files decoded with limits, their labels, and formal features of their pixels. Start
//! at [`Artwork::open`].
//!
//! This crate knows nothing of tensors or widgets.

mod containers;
mod crop;
mod decode;
mod features;
mod label;
mod museum;
mod objects;
mod perceptual_hash;
mod questions;
mod regions;
mod resample;
mod spoken;
mod view;

pub use crop::random_resized_crop;
pub use decode::{decode, read_limited, read_part};
pub use features::{
    Balance, Colour, Contrast, FormalFeatures, Genre, LightKey, Saturation, Symmetry, Warmth,
};
pub use label::Label;
pub use museum::{Painting, Paintings, Split, count_paintings, painting_ids, titles};
pub use objects::{Found, Objects, PERSON};
pub use perceptual_hash::PerceptualHash;
pub use questions::{PRESENCE_WORDINGS, Question, description};
pub use regions::Regions;
pub use resample::within;
pub use view::{VIEW_SIZE, View, ViewJitter};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use artgpt_base::hash::sha256;
use image::RgbImage;

/// What a prompt tells a model about a whole picture, measured in its pixels: [`FormalFeatures`], [`Regions`],
/// and what a detector found, in one line.
pub fn measured_line(image: &RgbImage, objects: Option<&Objects>) -> String {
    measured_view(&View::whole(image), objects)
}

/// [`measured_line`] of a view.
pub fn measured_view(view: &View, objects: Option<&Objects>) -> String {
    let (features, regions) = (FormalFeatures::measure(view), Regions::measure(view));
    let line = format!("{}; {}", features.as_prompt(), regions.as_prompt());
    match objects {
        Some(objects) => format!("{line}; {}", objects.as_prompt()),
        None => line,
    }
}

/// Why an image, a label or a data set cannot be read. Each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ArtError {
    /// The file's hash differs from the session's.
    #[error("{0} has changed since this session")]
    Changed(String),
    /// The file does not exist.
    #[error("there is no file at {0}")]
    Missing(String),
    /// The path is a directory.
    #[error("{0} is a directory")]
    Directory(String),
    /// The path is a FIFO, a device or the like.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// The file is empty.
    #[error("{0} is empty (0 bytes)")]
    Empty(String),
    /// The file is larger than 256 MiB.
    #[error("{path} is {bytes} bytes; the limit is {limit}")]
    FileTooLarge {
        /// The file.
        path: String,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The image has more than 64 megapixels.
    #[error(
        "{path} is {width}x{height} ({megapixels} megapixels); the limit is {limit} megapixels"
    )]
    TooManyPixels {
        /// The file.
        path: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The image's megapixels.
        megapixels: u64,
        /// The limit in megapixels.
        limit: u64,
    },
    /// The content is no image format that this program decodes.
    #[error("{0} is not a picture in a known format")]
    NotAnImage(String),
    /// The format is known, but not this kind of it.
    #[error("{path} is a kind of picture that this program does not decode ({reason})")]
    Unsupported {
        /// The file.
        path: String,
        /// The decoder's error.
        reason: String,
    },
    /// Decoding takes more memory than the limit.
    #[error("{path} takes more than {limit} MB to decode")]
    TooMuchMemory {
        /// The file.
        path: String,
        /// The limit in megabytes.
        limit: u64,
    },
    /// The file is a pointer of Git LFS in place of the picture.
    #[error("{0} is a Git LFS pointer, not the picture itself")]
    Pointer(String),
    /// The image does not decode.
    #[error("{path} is damaged or cut short ({reason})")]
    Damaged {
        /// The file.
        path: String,
        /// The decoder's error.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// A folder of paintings has a damaged `objects.json` or image.
    #[error("the paintings in {path} cannot be read ({reason})")]
    Museum {
        /// The folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The held-out set takes all paintings.
    #[error("held_out = {held_out} leaves nothing of {all} paintings to train on")]
    HeldOut {
        /// Requested size of the held-out set.
        held_out: usize,
        /// Number of paintings.
        all: usize,
    },
    /// A sidecar label does not parse.
    #[error("the label file {path} is not valid TOML ({reason})")]
    Label {
        /// The label file.
        path: String,
        /// The parser's error.
        reason: String,
    },
}

/// One decoded artwork.
#[derive(Debug, Clone)]
pub struct Artwork {
    /// The image file.
    pub path: PathBuf,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The pixels, with EXIF orientation applied and transparency flattened onto white.
    pub image: Arc<RgbImage>,
    /// The label from the sidecar file, or from `objects.json` in the same folder.
    pub label: Option<Label>,
    /// Notes for the user, such as "only the first frame is used".
    pub notes: Vec<String>,
}

impl Artwork {
    /// Reads and decodes the image at `path`, and reads the label beside it.
    ///
    /// # Errors
    /// An [`ArtError`] if the file or its label cannot be read, or the image is too large.
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

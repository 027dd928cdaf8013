//! Logged media: sounds, tables, embeddings. Files are read only when they are shown.

mod embedding;
mod sound;
mod table;

use std::path::Path;

pub use embedding::{Embedding, Projection, embeddings, project};
pub use sound::{Sound, sound};
pub use table::{LARGEST as LARGEST_TABLE, Rows, table};

use super::about::Media;

/// Why a media file cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] artgpt_art::ArtError),
    /// It is larger than what is shown, in bytes.
    #[error("it is larger than {} MB", .0 >> 20)]
    TooLarge(u64),
    /// It is not a WAV file that can be decoded.
    #[error("it is not a readable WAV file: {0}")]
    Sound(#[from] hound::Error),
    /// A sound's header makes no sense.
    #[error("it is not a readable WAV file: its sample rate or channel count is 0")]
    EmptyFormat,
    /// It is not a table in W&B's JSON format.
    #[error("it is not a readable table: {0}")]
    Table(#[from] serde_json::Error),
    /// A line of an embedding (counted from 1) holds something else than numbers.
    #[error("line {0} contains something that is not a number")]
    NotANumber(usize),
    /// A line of an embedding is not a vector as long as the others.
    #[error("line {line} is not a vector of {length} finite numbers")]
    NotAVector {
        /// The line, counted from 1.
        line: usize,
        /// The length of the first vector.
        length: usize,
    },
    /// The vectors of an embedding are too long.
    #[error("its vectors are too long to project")]
    LongVectors,
    /// An embedding has too few vectors for a plane.
    #[error("it has fewer than two vectors")]
    FewVectors,
}

/// The bytes of a media file, or of the range that holds it.
///
/// # Errors
/// [`MediaError::Read`]
pub fn bytes(media: &Media) -> Result<Vec<u8>, MediaError> {
    Ok(artgpt_art::read_part(&media.path, media.bytes.clone())?)
}

/// Like [`bytes`], with a limit of `most` bytes.
///
/// # Errors
/// [`MediaError::TooLarge`] and [`MediaError::Read`]
pub fn bytes_within(media: &Media, most: u64) -> Result<Vec<u8>, MediaError> {
    let length = match &media.bytes {
        Some(part) => part.end.saturating_sub(part.start),
        None => media.path.metadata().map_or(0, |about| about.len()),
    };
    match length <= most {
        true => bytes(media),
        false => Err(MediaError::TooLarge(most)),
    }
}

/// Reads a text file of at most `most` bytes.
fn text(path: &Path, most: u64) -> Result<String, MediaError> {
    let media = Media::new(path.to_path_buf(), None, "");
    // Lossy conversion copies the text, so only on invalid UTF-8.
    String::from_utf8(bytes_within(&media, most)?)
        .or_else(|e| Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

//! Logged media: sounds, tables, embeddings. Files are read only when they are shown.

mod embedding;
mod sound;
mod table;

use std::path::Path;

pub use embedding::{Embedding, Projection, embeddings, project};
pub use sound::{Sound, sound};
pub use table::{LARGEST as LARGEST_TABLE, Rows, table};

use super::about::Media;

/// The bytes of a media file, or of the range that holds it.
///
/// # Errors
/// A message if they cannot be read.
pub fn bytes(media: &Media) -> Result<Vec<u8>, String> {
    artgpt_art::read_part(&media.path, media.bytes.clone()).map_err(|e| e.to_string())
}

/// Like [`bytes`], with a limit of `most` bytes.
///
/// # Errors
/// A message if there are more bytes or they cannot be read.
pub fn bytes_within(media: &Media, most: u64) -> Result<Vec<u8>, String> {
    let length = match &media.bytes {
        Some(part) => part.end.saturating_sub(part.start),
        None => media.path.metadata().map_or(0, |about| about.len()),
    };
    match length <= most {
        true => bytes(media),
        false => Err(format!("it is larger than {} MB; e copies it to a file", most >> 20)),
    }
}

/// Reads a text file of at most `most` bytes.
fn text(path: &Path, most: u64) -> Result<String, String> {
    let media = Media::new(path.to_path_buf(), None, "");
    // Lossy conversion copies the text, so only on invalid UTF-8.
    String::from_utf8(bytes_within(&media, most)?)
        .or_else(|e| Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

//! What runs log besides numbers, read from where it lies when somebody looks at it.

mod embedding;
mod sound;
mod table;

use std::path::Path;

pub use embedding::{Embedding, Projection, embeddings, project};
pub use sound::{Sound, sound};
pub use table::{Rows, table};

use super::about::Media;

/// The bytes of a file, or of the part of it that is meant; why not, where they cannot be had.
pub fn bytes(media: &Media) -> Result<Vec<u8>, String> {
    crate::art::read_part(&media.path, media.bytes.clone()).map_err(|e| e.to_string())
}

/// A text file that is not beyond reason.
fn text(path: &Path) -> Result<String, String> {
    let bytes = crate::art::read_limited(path).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

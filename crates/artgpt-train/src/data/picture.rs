//! Location of a picture's bytes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

use super::tables::PICTURES;
use artgpt_art::{ArtError, decode, read_limited};

/// The location of a picture's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Picture {
    /// A file.
    File(PathBuf),
    /// In a tar file.
    Member {
        /// The tar file.
        shard: Arc<Path>,
        /// The member's name.
        name: String,
        /// Offset of the member's data, bytes.
        offset: u64,
        /// Length of the member's data, bytes.
        bytes: u64,
    },
    /// In the record that names it.
    Inline {
        /// The beginning of its hash.
        name: Arc<str>,
        /// Its encoded bytes.
        bytes: Arc<[u8]>,
    },
}

impl Picture {
    /// Reads the encoded bytes.
    ///
    /// # Errors
    /// [`ArtError`] if the file cannot be read, is too large, or ends early.
    pub fn read(&self) -> Result<Vec<u8>, ArtError> {
        match self {
            Self::File(path) => read_limited(path),
            Self::Inline { bytes, .. } => Ok(bytes.to_vec()),
            Self::Member { shard, offset, bytes, .. } => {
                let io = |source| ArtError::Io { path: self.to_string(), source };
                let mut file = File::open(shard).map_err(io)?;
                file.seek(SeekFrom::Start(*offset)).map_err(io)?;
                let mut out = Vec::new();
                file.take(*bytes).read_to_end(&mut out).map_err(io)?;
                match out.len() as u64 == *bytes {
                    true => Ok(out),
                    false => Err(ArtError::Damaged {
                        path: self.to_string(),
                        reason: "the shard ends within it".into(),
                    }),
                }
            }
        }
    }

    /// The name without its folder.
    pub fn short_name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Inline { name, .. } => name.to_string(),
            Self::Member { shard, name, .. } => {
                format!("{}!{name}", shard.file_name().unwrap_or_default().to_string_lossy())
            }
        }
    }

    /// Reads and decodes the picture.
    ///
    /// # Errors
    /// [`ArtError`] as [`Self::read`], and if the picture is damaged.
    pub fn decode(&self) -> Result<RgbImage, ArtError> {
        decode(Path::new(&self.to_string()), &self.read()?).map(|(image, _)| image)
    }
}

impl std::fmt::Display for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Inline { name, .. } => f.write_str(name),
            Self::Member { shard, name, .. } => write!(f, "{}!{name}", shard.display()),
        }
    }
}

/// The file `name` in `folder`, with or without its extension.
pub(super) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = folder.join(name);
    if plain.is_file() {
        return Some(plain);
    }
    let with = |ending: &&str| folder.join(format!("{name}.{ending}"));
    let capital = |ending: &&str| folder.join(format!("{name}.{}", ending.to_uppercase()));
    PICTURES.iter().map(with).chain(PICTURES.iter().map(capital)).find(|path| path.is_file())
}

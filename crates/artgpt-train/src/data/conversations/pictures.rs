//! Finds the pictures that records name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;

use super::formats::Reference;
use super::{PictureSource, ShownPicture, images_folder};
use crate::data::picture::{Picture, find};
use artgpt_base::hash::sha256;
use artgpt_rundir::ConversationsConfig;

/// Limit on the encoded bytes of a picture within a record.
const MAX_INLINE: usize = 64 << 20;

/// Finds the pictures of one file.
pub(super) struct Finder<'a> {
    museum: Option<&'a HashSet<u64>>,
    folder: PathBuf,
}

impl<'a> Finder<'a> {
    pub(super) fn of(
        config: &ConversationsConfig,
        file: &Path,
        museum: Option<&'a HashSet<u64>>,
    ) -> Self {
        Self { museum, folder: images_folder(config, file) }
    }

    /// The picture that a record names.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(super) fn find(&self, reference: &Reference) -> Result<ShownPicture, String> {
        let text = match reference {
            Reference::Number(id) => id.to_string(),
            Reference::Text(text) => text.clone(),
        };
        if let Some(rest) = text.strip_prefix("data:") {
            return inline(rest);
        }
        if let Some(museum) = self.museum {
            let stem = Path::new(&text).file_stem().unwrap_or_default().to_string_lossy();
            let id = stem.parse::<u64>().ok().filter(|id| museum.contains(id));
            let id = id.ok_or_else(|| format!("the museum has no painting {}", short(&text)))?;
            return Ok(ShownPicture { key: id.to_string(), source: PictureSource::Painting(id) });
        }
        let path = match text.split_once(':') {
            Some(("file", rest)) => unescaped(rest.strip_prefix("//").unwrap_or(rest)),
            Some((scheme @ ("http" | "https" | "ftp" | "s3" | "gs"), _)) => {
                return Err(format!(
                    "its picture is on the network ({scheme}), and is not fetched"
                ));
            }
            _ => text,
        };
        match find(&self.folder, &path) {
            Some(file) => {
                let source = PictureSource::Picture(Picture::File(file));
                Ok(ShownPicture { key: path, source })
            }
            None => Err(format!("there is no picture {}", short(&path))),
        }
    }
}

/// A picture within its record: `image/png;base64,…`.
fn inline(uri: &str) -> Result<ShownPicture, String> {
    let (kind, data) = uri.split_once(',').ok_or("its data URI has no comma")?;
    if !kind.ends_with(";base64") {
        return Err("its data URI is not in base64".into());
    }
    if data.len() / 4 * 3 > MAX_INLINE {
        return Err(format!("its data URI is larger than {} MB", MAX_INLINE >> 20));
    }
    let plain: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(plain)
        .map_err(|e| format!("its data URI is damaged: {e}"))?;
    let name: Arc<str> = sha256(&bytes)[..16].into();
    let key = name.to_string();
    let picture = Picture::Inline { name, bytes: bytes.into() };
    Ok(ShownPicture { key, source: PictureSource::Picture(picture) })
}

/// `%20` and the like of a URL.
fn unescaped(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let value = digits
            .filter(|two| two.iter().all(u8::is_ascii_hexdigit))
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

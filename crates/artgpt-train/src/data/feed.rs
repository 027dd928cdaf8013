//! The order in which pairs train, and the held-out split.

use std::path::PathBuf;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::tables::Skip;
use super::{DataError, Pair, Reader, RejectedRow, Result, RowResult, shards, tables};
use crate::name_hash;
use artgpt_rundir::{PairsConfig, PairsKind};

/// A side of the train/held-out split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Trains.
    Train,
    /// Never trains; validation uses it.
    HeldOut,
}

/// Gives pair after pair, each pass in another order. The order depends on the seed alone, so that a
/// resumed or rolled-back run gets the same pairs.
pub struct Feed {
    seed: u64,
    /// RNG seed of the held-out split.
    split_seed: u64,
    held_out: f64,
    source: Source,
}

enum Source {
    /// All pairs are in memory: each pass is one shuffle.
    List { train: Vec<Pair>, held_out: Vec<Pair>, pass: Option<u64>, order: Vec<u32> },
    /// Shards fill a shuffle buffer, from which pairs are drawn.
    Shards { files: Vec<PathBuf>, reader: Box<Reader>, buffer: usize, stream: Box<Stream> },
}

/// The position in a stream of shards.
struct Stream {
    pass: u64,
    order: Vec<usize>,
    next: usize,
    pool: Vec<Pair>,
    rng: ChaCha8Rng,
    /// Pairs given since the first pass started.
    given: u64,
    /// Training pairs found in this pass.
    found: u64,
    /// The first rejected row, after a colon.
    why: String,
}

impl Feed {
    /// Opens a source; `split_seed` draws the held-out split.
    ///
    /// # Errors
    /// [`DataError`], also if no pair can train.
    pub fn open(config: &PairsConfig, seed: u64, split_seed: u64) -> Result<Self> {
        super::check_settings(config)?;
        let reader = Reader::of(config)?;
        let mut feed = Self {
            seed,
            split_seed,
            held_out: config.held_out,
            source: match config.kind {
                PairsKind::Webdataset => {
                    let files = shards::files(&config.path)?;
                    let stream = Box::new(Stream::begin(seed, 0, files.len()));
                    let (reader, buffer) = (Box::new(reader), config.shuffle_buffer);
                    Source::Shards { files, reader, buffer, stream }
                }
                _ => Source::List {
                    train: Vec::new(),
                    held_out: Vec::new(),
                    pass: None,
                    order: Vec::new(),
                },
            },
        };
        let mut why = String::new();
        if !matches!(feed.source, Source::Shards { .. }) {
            let (mut all_train, mut all_held_out) = (Vec::new(), Vec::new());
            for reading in readings(config)? {
                match reading {
                    RowResult::Pair(pair) => match feed.side(&pair) {
                        Part::Train => all_train.push(pair),
                        Part::HeldOut => all_held_out.push(pair),
                    },
                    RowResult::Rejected(bad) if why.is_empty() => {
                        why = format!(": {}: {}", bad.place, bad.reason);
                    }
                    RowResult::Rejected(_) | RowResult::Unused(_) | RowResult::LowScore => {}
                }
            }
            if let Source::List { train, held_out, .. } = &mut feed.source {
                (*train, *held_out) = (all_train, all_held_out);
            }
        }
        // Fails before the model loads.
        match feed.at(0) {
            Err(DataError::Empty { place, why: streamed }) => {
                Err(DataError::Empty { place, why: format!("{why}{streamed}") })
            }
            Err(e) => Err(e),
            Ok(_) => Ok(feed),
        }
    }

    /// Pair `n` of the run. Ascending order is fastest.
    ///
    /// # Errors
    /// [`DataError`], if a shard cannot be read.
    pub fn at(&mut self, n: u64) -> Result<Pair> {
        match &mut self.source {
            Source::List { train, pass, order, .. } => {
                let empty = || DataError::Empty { place: "the list".into(), why: String::new() };
                let length = train.len() as u64;
                let this = n.checked_div(length).ok_or_else(empty)?;
                if *pass != Some(this) {
                    *order = (0..train.len() as u32).collect();
                    order.shuffle(&mut order_of(self.seed, this));
                    *pass = Some(this);
                }
                Ok(train[order[(n % length) as usize] as usize].clone())
            }
            Source::Shards { .. } => self.stream_to(n),
        }
    }

    fn stream_to(&mut self, n: u64) -> Result<Pair> {
        let (seed, split_seed, held_out) = (self.seed, self.split_seed, self.held_out);
        let Source::Shards { files, reader, buffer, stream } = &mut self.source else {
            return Err(DataError::Config("it is no stream".into()));
        };
        if n < stream.given {
            **stream = Stream::begin(seed, 0, files.len());
        }
        loop {
            while stream.pool.len() < *buffer && stream.next < files.len() {
                let file = &files[stream.order[stream.next]];
                stream.next += 1;
                for reading in shards::read(file, reader)? {
                    match reading {
                        RowResult::Pair(pair)
                            if side(split_seed, held_out, &pair) == Part::Train =>
                        {
                            stream.pool.push(pair);
                            stream.found += 1;
                        }
                        RowResult::Rejected(bad) if stream.why.is_empty() => {
                            stream.why = format!(": {}: {}", bad.place, bad.reason);
                        }
                        _ => {}
                    }
                }
            }
            if stream.pool.is_empty() {
                if stream.found == 0 {
                    let place = format!("{} shard(s)", files.len());
                    return Err(DataError::Empty { place, why: stream.why.clone() });
                }
                let given = stream.given;
                **stream = Stream { given, ..Stream::begin(seed, stream.pass + 1, files.len()) };
                continue;
            }
            let place = stream.rng.random_range(0..stream.pool.len());
            let pair = stream.pool.swap_remove(place);
            stream.given += 1;
            if stream.given > n {
                return Ok(pair);
            }
        }
    }

    /// The first `count` held-out pairs, each of another picture.
    ///
    /// # Errors
    /// [`DataError`], if a shard cannot be read.
    pub fn held_out(&self, count: usize) -> Result<Vec<Pair>> {
        let mut out: Vec<Pair> = Vec::new();
        let mut take = |pair: Pair| {
            if out.iter().all(|known| known.key != pair.key) {
                out.push(pair);
            }
            out.len() < count
        };
        match &self.source {
            Source::List { held_out, .. } => {
                held_out.iter().find(|pair| !take((*pair).clone()));
            }
            Source::Shards { files, reader, .. } => {
                // Without a held-out share only the source's own split could name some.
                let looked = if self.held_out == 0.0 { 1 } else { files.len() };
                'all: for file in &files[..looked] {
                    for reading in shards::read(file, reader)? {
                        if let RowResult::Pair(pair) = reading
                            && self.side(&pair) == Part::HeldOut
                            && !take(pair)
                        {
                            break 'all;
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// Pairs in a pass; `None` for a stream.
    pub fn pass_length(&self) -> Option<usize> {
        match &self.source {
            Source::List { train, .. } => Some(train.len()),
            Source::Shards { .. } => None,
        }
    }

    /// Number of the present pass, from 0.
    pub fn pass(&self) -> u64 {
        match &self.source {
            Source::List { pass, .. } => pass.unwrap_or(0),
            Source::Shards { stream, .. } => stream.pass,
        }
    }

    fn side(&self, pair: &Pair) -> Part {
        side(self.split_seed, self.held_out, pair)
    }
}

/// The source's own split, or one by the picture's name, the same for all its captions.
pub(super) fn side(seed: u64, held_out: f64, pair: &Pair) -> Part {
    pair.split.unwrap_or_else(|| {
        // The draw of a generator, as the hash's own bits are far from uniform.
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_hash(&pair.key));
        if rng.random::<f64>() < held_out { Part::HeldOut } else { Part::Train }
    })
}

/// All rows of a source that is not a stream.
pub(super) fn readings(config: &PairsConfig) -> Result<impl Iterator<Item = RowResult> + use<>> {
    let reader = Reader::of(config)?;
    let rows = match config.kind {
        PairsKind::Wikiart => tables::wikiart(&config.path)?,
        _ => tables::read(&config.path)?,
    };
    Ok(rows.map(move |(place, row)| match row {
        Ok(row) => reader.read(&row, &place, None),
        Err(Skip { reason, is_loss: true }) => RowResult::Rejected(RejectedRow { place, reason }),
        Err(Skip { reason, is_loss: false }) => RowResult::Unused(RejectedRow { place, reason }),
    }))
}

impl Stream {
    fn begin(seed: u64, pass: u64, files: usize) -> Self {
        let mut rng = order_of(seed, pass);
        let mut order: Vec<usize> = (0..files).collect();
        order.shuffle(&mut rng);
        Self { pass, order, next: 0, pool: Vec::new(), rng, given: 0, found: 0, why: String::new() }
    }
}

fn order_of(seed: u64, pass: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_hash("order of pairs"));
    rng.set_stream(pass);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::path::Path;

    /// `count` pairs, as a list or in three shards.
    fn source(dir: &Path, count: usize, in_shards: bool) -> PairsConfig {
        let png = |i: usize| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            image::RgbImage::from_pixel(2, 2, image::Rgb([i as u8; 3]))
                .write_to(&mut bytes, image::ImageFormat::Png)
                .expect("encodes");
            bytes.into_inner()
        };
        if in_shards {
            for shard in 0..3 {
                let file = std::fs::File::create(dir.join(format!("{shard}.tar"))).expect("opens");
                let mut tar = tar::Builder::new(file);
                for i in (shard..count).step_by(3) {
                    for (name, bytes) in
                        [(format!("{i}.png"), png(i)), (format!("{i}.txt"), i.to_string().into())]
                    {
                        let mut header = tar::Header::new_gnu();
                        header.set_size(bytes.len() as u64);
                        header.set_mode(0o644);
                        tar.append_data(&mut header, name, &bytes[..]).expect("writes");
                    }
                }
                tar.finish().expect("writes");
            }
        } else {
            let mut list = String::from("image,caption\n");
            for i in 0..count {
                std::fs::write(dir.join(format!("{i}.png")), png(i)).expect("writes");
                list.push_str(&format!("{i}.png,{i}\n"));
            }
            std::fs::write(dir.join("list.csv"), list).expect("writes");
        }
        let (kind, path) =
            if in_shards { ("webdataset", "{0..2}.tar") } else { ("pairs", "list.csv") };
        toml::from_str(&format!(
            "kind = \"{kind}\"\npath = {:?}\nshuffle_buffer = 15\nheld_out = 0.2",
            dir.join(path)
        ))
        .expect("parses")
    }

    #[test]
    fn each_pass_gives_every_pair_once_in_an_order_that_can_be_found_again() {
        for in_shards in [false, true] {
            let dir = tempfile::tempdir().expect("a folder");
            let config = source(dir.path(), 60, in_shards);
            let mut feed = Feed::open(&config, 7, 7).expect("opens");
            let held_out = feed.held_out(100).expect("reads");
            let train = 60 - held_out.len();
            assert!((3..25).contains(&held_out.len()), "{}", held_out.len());
            let all: Vec<Pair> =
                (0..2 * train as u64).map(|n| feed.at(n).expect("reads")).collect();
            let (first, second) = all.split_at(train);
            let names = |pairs: &[Pair]| -> HashSet<String> {
                pairs.iter().map(|p| p.caption.clone()).collect()
            };
            assert_eq!(names(first).len(), train);
            assert_eq!(names(first), names(second));
            assert!(names(first).is_disjoint(&names(&held_out)));
            assert_ne!(first, second);
            // A resumed run begins in the middle, one that goes back asks again.
            let mut other = Feed::open(&config, 7, 7).expect("opens");
            for n in [train as u64 + 3, 2, 17] {
                assert_eq!(other.at(n).expect("reads"), all[n as usize], "{in_shards} {n}");
            }
            assert_ne!(Feed::open(&config, 8, 8).expect("opens").at(0).expect("reads"), all[0]);
            // The picture of the caption comes with it.
            let picture = all[5].picture.decode().expect("decodes");
            assert_eq!(picture.get_pixel(0, 0).0[0].to_string(), all[5].caption);
        }
    }

    #[test]
    fn a_damaged_shard_costs_what_is_damaged_and_an_empty_one_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = source(dir.path(), 60, true);
        let path = dir.path().join("1.tar");
        let mut bytes = std::fs::read(&path).expect("reads");
        bytes[20_000..20_600].fill(7);
        std::fs::write(&path, &bytes).expect("writes");
        let reader = Reader::of(&config).expect("is right");
        let readings = shards::read(&path, &reader).expect("reads");
        let good = readings.iter().filter(|r| matches!(r, RowResult::Pair(_))).count();
        assert!(good > 5 && good < 20, "{good}");
        assert!(readings.iter().any(|r| matches!(r, RowResult::Rejected(_))));
        for shard in 0..3 {
            std::fs::write(dir.path().join(format!("{shard}.tar")), b"").expect("writes");
        }
        assert!(matches!(Feed::open(&config, 7, 7), Err(DataError::Empty { .. })));
    }
}

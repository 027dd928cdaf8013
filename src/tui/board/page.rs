//! The page of one run: what its files say, as text.

use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops::FilterType;

use crate::jobs::{Job, OUTPUT, last_lines};
use crate::runs::{Settings, differing, settings};
use crate::training::{Look, PICTURES, Samples, looks, samples};

/// Cells of a sample's picture.
pub const PICTURE: (u16, u16) = (24, 12);
/// Lines of a log that are kept on the page.
const LOG_LINES: usize = 500;

/// Parts of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Overview,
    Config,
    /// Where the configurations of the runs that are shown differ.
    Differences,
    Log,
    Events,
    /// What the model says about the same artworks at each checkpoint.
    Samples,
    Adapters,
}

pub const PARTS: &[(Part, &str)] = &[
    (Part::Overview, "overview"),
    (Part::Config, "config"),
    (Part::Differences, "differences"),
    (Part::Log, "log"),
    (Part::Events, "events"),
    (Part::Samples, "samples"),
    (Part::Adapters, "adapters"),
];

/// An open page.
#[derive(Debug, Clone)]
pub struct Page {
    pub run: PathBuf,
    pub part: Part,
    /// Lines that are scrolled away; from the end in a log.
    pub scroll: usize,
    pub texts: Texts,
    /// Its files are being read.
    pub loading: bool,
}

/// What was read for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    pub job: Option<Job>,
    pub settings: Settings,
    /// A line a key, with each run's value.
    pub differences: Vec<(String, Vec<Option<String>>)>,
    pub log: Vec<String>,
    /// What a step did to each block, the oldest look first.
    pub looks: Vec<Look>,
    pub samples: Vec<Samples>,
    /// Of the samples, [`PICTURE`] cells large; `None` where one cannot be read.
    pub pictures: Vec<Option<RgbImage>>,
}

impl Page {
    pub fn of(run: PathBuf) -> Self {
        Self { run, part: Part::Overview, scroll: 0, texts: Texts::default(), loading: false }
    }

    pub fn turn(&mut self, by: isize) {
        let at = PARTS.iter().position(|(part, _)| *part == self.part).unwrap_or(0);
        let count = PARTS.len() as isize;
        self.part = PARTS[(at as isize + by).rem_euclid(count) as usize].0;
        self.scroll = 0;
    }
}

/// Reads what a page shows of `run` beside `others`.
pub fn load(run: &Path, others: &[PathBuf]) -> Texts {
    let own = settings(run);
    let mut all = vec![own.clone()];
    all.extend(others.iter().map(|other| settings(other)));
    let output = run.join(OUTPUT);
    // Of a job that is what its processes printed; of another run, what it noted.
    let samples = samples(run);
    let log = if output.is_file() { output } else { run.join("log.txt") };
    Texts {
        job: Job::read(run).ok().flatten(),
        settings: own,
        differences: differing(&all),
        log: last_lines(&log, LOG_LINES),
        looks: looks(run),
        pictures: pictures(run, samples.last()),
        samples,
    }
}

/// Half-blocks are two pixels a cell.
fn pictures(run: &Path, last: Option<&Samples>) -> Vec<Option<RgbImage>> {
    let (width, height) = (u32::from(PICTURE.0), u32::from(PICTURE.1) * 2);
    let count = last.map_or(0, |samples| samples.answers.len());
    let folder = run.join(PICTURES);
    (0..count)
        .map(|i| {
            // They are ours, and small.
            let image = image::open(folder.join(format!("{i}.png"))).ok()?.into_rgb8();
            Some(image::imageops::resize(&image, width, height, FilterType::Triangle))
        })
        .collect()
}

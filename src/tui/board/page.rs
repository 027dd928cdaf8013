//! The page of one run: what its files say, as text.

use std::path::{Path, PathBuf};

use std::sync::Arc;

use image::RgbImage;
use image::imageops::FilterType;
use ratatui::layout::Rect;

use crate::jobs::{Job, OUTPUT, last_lines};
use crate::runs::{At, ByTag, Picture, Run, Settings, differing, settings};
use crate::training::{Look, PICTURES, Samples, looks, samples};
use crate::tui::graphics::fit;

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
    /// Logged by step, under names.
    Texts,
    Pictures,
    Histograms,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Config => "config",
            Self::Differences => "differences",
            Self::Log => "log",
            Self::Events => "events",
            Self::Samples => "samples",
            Self::Adapters => "adapters",
            Self::Texts => "texts",
            Self::Pictures => "pictures",
            Self::Histograms => "histograms",
        }
    }

    /// Whether it shows one of several names at one of several steps.
    pub fn has_tags(self) -> bool {
        matches!(self, Self::Texts | Self::Pictures | Self::Histograms)
    }
}

/// The parts that have something to say of a run; those of our own training where it is ours.
pub fn parts(run: &Run) -> Vec<Part> {
    let about = &run.curves.about;
    let mut all = vec![Part::Overview, Part::Config, Part::Differences, Part::Log, Part::Events];
    if run.status.is_some() {
        all.extend([Part::Samples, Part::Adapters]);
    }
    all.extend((!about.texts.is_empty()).then_some(Part::Texts));
    all.extend((!about.pictures.is_empty()).then_some(Part::Pictures));
    all.extend((!about.histograms.is_empty()).then_some(Part::Histograms));
    all
}

/// An open page.
#[derive(Debug, Clone)]
pub struct Page {
    pub run: PathBuf,
    pub part: Part,
    /// Lines that are scrolled away; from the end in a log.
    pub scroll: usize,
    /// Which name is shown, of parts that have some.
    pub tag: usize,
    /// So many steps before the newest.
    pub back: usize,
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
    /// The logged picture that was asked for.
    pub shown: Option<Shown>,
}

/// What is read for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    pub run: PathBuf,
    /// The configuration that its log tells, where its folder has none.
    pub own: Settings,
    pub others: Vec<(PathBuf, Settings)>,
    pub picture: Option<(Picture, Room)>,
}

/// Where a picture is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub cells: (u16, u16),
    /// Pixels of a cell.
    pub cell: (u16, u16),
}

/// A logged picture, scaled to its room.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub of: (Picture, Room),
    /// With the cells that it takes; or why there is none.
    pub image: Result<(Arc<RgbImage>, (u16, u16)), String>,
}

impl Page {
    /// The page of a run.
    pub fn of(run: PathBuf) -> Self {
        let (part, texts) = (Part::Overview, Texts::default());
        Self { run, part, scroll: 0, tag: 0, back: 0, texts, loading: false }
    }

    /// To the next of `parts`, or to the one before.
    pub fn turn(&mut self, parts: &[Part], by: isize) {
        let at = parts.iter().position(|part| *part == self.part).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(parts.len().max(1) as isize) as usize;
        self.part = parts.get(next).copied().unwrap_or(Part::Overview);
        (self.scroll, self.tag, self.back) = (0, 0, 0);
    }

    /// What a part shows of all that was logged: its name, and the entries of the step that was
    /// chosen.
    pub fn chosen<'a, T>(&self, all: &'a ByTag<T>) -> Option<(&'a str, &'a [At<T>])> {
        let (tag, list) = all.iter().nth(self.tag.min(all.len().saturating_sub(1)))?;
        let steps: Vec<&[At<T>]> = list.chunk_by(|a, b| a.step == b.step).collect();
        let at = steps.len().checked_sub(1)?.saturating_sub(self.back);
        Some((tag, steps[at]))
    }

    /// The logged picture that the page shows, in its room.
    pub fn picture(&self, run: &Run, room: Room) -> Option<(Picture, Room)> {
        let (_, at) =
            self.chosen(&run.curves.about.pictures).filter(|_| self.part == Part::Pictures)?;
        // Of several at one step, one at a time.
        Some((at.get(self.scroll.min(at.len() - 1))?.what.clone(), room))
    }
}

/// Reads what a page shows of a run beside others. A picture that is `known` is not read again.
pub fn load(wanted: &Needs, known: Option<Shown>) -> Texts {
    let run = wanted.run.as_path();
    let told = |run: &Path, log: &Settings| {
        let own = settings(run);
        if own.is_empty() { log.clone() } else { own }
    };
    let own = told(run, &wanted.own);
    let mut all = vec![own.clone()];
    all.extend(wanted.others.iter().map(|(other, log)| told(other, log)));
    let shown = wanted.picture.as_ref().map(|of| match known {
        Some(known) if known.of == *of && known.image.is_ok() => known,
        _ => Shown { of: of.clone(), image: scaled(&of.0, of.1) },
    });
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
        shown,
    }
}

fn scaled(picture: &Picture, room: Room) -> Result<(Arc<RgbImage>, (u16, u16)), String> {
    let decode = || crate::art::decode_part(&picture.path, picture.bytes.clone());
    // A decoder may meet what its author never thought of.
    let image = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
    let image = image.map_err(|_| "the picture cannot be decoded".to_string())?;
    let image = image.map_err(|e| e.to_string())?;
    let cells = fit(image.dimensions(), Rect::new(0, 0, room.cells.0, room.cells.1), room.cell);
    let pixels = |cells: u16, cell: u16| (u32::from(cells) * u32::from(cell)).max(1);
    let (width, height) = (pixels(cells.width, room.cell.0), pixels(cells.height, room.cell.1));
    // Small ones keep their pixels.
    let filter = if image.width() < width { FilterType::Nearest } else { FilterType::Triangle };
    let image = image::imageops::resize(&image, width, height, filter);
    Ok((Arc::new(image), (cells.width, cells.height)))
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

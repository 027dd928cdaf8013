//! The page of one run: what its files say, as text.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use image::RgbImage;
use image::imageops::FilterType;
use ratatui::layout::Rect;

use crate::tui::graphics::fit;
use artgpt_jobs::{Job, last_lines};
use artgpt_rundir::job::OUTPUT;
use artgpt_rundir::{Look, PICTURES, Samples, looks, samples};
use artgpt_runs::media::{
    Embedding, LARGEST_TABLE, Projection, Rows, Sound, bytes, bytes_within, embeddings, project,
    sound, table,
};
use artgpt_runs::{About, At, ByTag, Media, Run, Settings, differing, settings};

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
    /// Those differences, and what came of them, as lines across axes.
    Parallel,
    Log,
    Events,
    /// What the model says about the same artworks at each checkpoint.
    Samples,
    Adapters,
    /// Logged by step, under names.
    Texts,
    Pictures,
    Sounds,
    Tables,
    Histograms,
    Precision,
    Embeddings,
    /// The network.
    Graph,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Config => "config",
            Self::Differences => "differences",
            Self::Parallel => "parallel",
            Self::Log => "log",
            Self::Events => "events",
            Self::Samples => "samples",
            Self::Adapters => "adapters",
            Self::Texts => "texts",
            Self::Pictures => "pictures",
            Self::Sounds => "sounds",
            Self::Tables => "tables",
            Self::Histograms => "histograms",
            Self::Precision => "precision",
            Self::Embeddings => "embeddings",
            Self::Graph => "graph",
        }
    }

    /// Whether several at a step are looked at one by one.
    pub fn is_one_by_one(self) -> bool {
        matches!(self, Self::Pictures | Self::Sounds)
    }

    /// Whether it shows one of several names at one of several steps.
    pub fn has_tags(self) -> bool {
        matches!(
            self,
            Self::Texts
                | Self::Pictures
                | Self::Sounds
                | Self::Tables
                | Self::Histograms
                | Self::Precision
                | Self::Embeddings
        )
    }
}

/// The parts that have something to say of a run; those of our own training where it is ours.
pub fn parts(run: &Run, texts: &Texts) -> Vec<Part> {
    let about = &run.curves.about;
    let mut all = vec![
        Part::Overview,
        Part::Config,
        Part::Differences,
        Part::Parallel,
        Part::Log,
        Part::Events,
    ];
    if run.status.is_some() {
        all.extend([Part::Samples, Part::Adapters]);
    }
    let logged = [
        (Part::Texts, about.texts.is_empty()),
        (Part::Pictures, about.pictures.is_empty()),
        (Part::Sounds, about.sounds.is_empty()),
        (Part::Tables, about.tables.is_empty()),
        (Part::Histograms, about.histograms.is_empty()),
        (Part::Precision, about.precision.is_empty()),
        (Part::Embeddings, texts.embeddings.is_empty()),
        (Part::Graph, about.graph.is_none()),
    ];
    all.extend(logged.into_iter().filter(|(_, none)| !none).map(|(part, _)| part));
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
    /// So many steps before the newest, columns to the right, or levels further down.
    pub back: usize,
    /// How far it can be scrolled, as it was drawn last.
    pub most: Cell<usize>,
    /// Columns that are left of the screen, of a table.
    pub column: usize,
    /// How many can be, in all parts that have some.
    pub columns: Cell<usize>,
    pub texts: Texts,
    /// Its files are being read.
    pub loading: bool,
}

/// What was read for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    pub job: Option<Job>,
    /// The runs whose values stand in `differences`, the page's own one first.
    pub compared: Vec<PathBuf>,
    pub settings: Settings,
    /// A line a key, with each run's value.
    pub differences: Vec<(String, Vec<Option<String>>)>,
    pub log: Vec<String>,
    /// What a step did to each block, the oldest look first.
    pub looks: Vec<Look>,
    pub samples: Vec<Samples>,
    /// Of the samples, [`PICTURE`] cells large; `None` where one cannot be read.
    pub pictures: Vec<Option<RgbImage>>,
    /// For the projector.
    pub embeddings: ByTag<Embedding>,
    /// What was asked for of what was logged.
    pub shown: Option<Shown>,
}

/// What is read for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    pub run: PathBuf,
    /// The configuration that its log tells, where its folder has none.
    pub own: Settings,
    pub others: Vec<(PathBuf, Settings)>,
    pub asked: Option<Asked>,
}

/// Where a picture is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub cells: (u16, u16),
    /// Pixels of a cell.
    pub cell: (u16, u16),
}

/// What lies in a file until somebody looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Picture(Media, Room),
    Sound(Media),
    Table(Media),
    Embedding(Embedding),
}

impl Asked {
    /// When its file was written last, and how long it was; a part of a file stays as it is.
    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let path = match self {
            Self::Picture(media, _) | Self::Sound(media) | Self::Table(media) => {
                media.bytes.is_none().then_some(&media.path)?
            }
            Self::Embedding(embedding) => &embedding.tensors,
        };
        let about = path.metadata().ok()?;
        Some((about.modified().ok()?, about.len()))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub of: Asked,
    /// [`Asked::stamp`] when it was read.
    pub stamp: Option<(SystemTime, u64)>,
    /// Or why there is none.
    pub content: Result<Content, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Scaled to its room, with the cells that it takes.
    Picture(Arc<RgbImage>, (u16, u16)),
    Sound(Arc<Sound>),
    Table(Arc<Rows>),
    Plane(Arc<Projection>),
}

impl Page {
    /// The page of a run.
    pub fn of(run: PathBuf) -> Self {
        let (part, texts) = (Part::Overview, Texts::default());
        let (most, columns) = (Cell::new(usize::MAX), Cell::new(usize::MAX));
        let (scroll, tag, back, column) = (0, 0, 0, 0);
        Self { run, part, scroll, tag, back, most, column, columns, texts, loading: false }
    }

    /// To the next of `parts`, or to the one before.
    pub fn turn(&mut self, parts: &[Part], by: isize) {
        let at = parts.iter().position(|part| *part == self.part).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(parts.len().max(1) as isize) as usize;
        self.part = parts.get(next).copied().unwrap_or(Part::Overview);
        (self.scroll, self.tag, self.back, self.column) = (0, 0, 0, 0);
        self.most.set(usize::MAX);
        self.columns.set(usize::MAX);
    }

    /// What a part shows of all that was logged: its name, and the entries of the step that was
    /// chosen.
    pub fn chosen<'a, T>(&self, all: &'a ByTag<T>) -> Option<(&'a str, &'a [At<T>])> {
        let (tag, list) = all.iter().nth(self.tag.min(all.len().saturating_sub(1)))?;
        let steps: Vec<&[At<T>]> = list.chunk_by(|a, b| a.step == b.step).collect();
        let at = steps.len().checked_sub(1)?.saturating_sub(self.back);
        Some((tag, steps[at]))
    }

    /// How many names the open part has, and how many steps, columns or levels it can be moved by.
    pub fn extent(&self, about: &About) -> (usize, usize) {
        fn of<T>(all: &ByTag<T>, tag: usize) -> (usize, usize) {
            let list = all.values().nth(tag.min(all.len().saturating_sub(1)));
            (all.len(), list.map_or(0, |list| steps(list)))
        }
        match self.part {
            Part::Texts => of(&about.texts, self.tag),
            Part::Pictures => of(&about.pictures, self.tag),
            Part::Sounds => of(&about.sounds, self.tag),
            Part::Tables => of(&about.tables, self.tag),
            Part::Histograms => of(&about.histograms, self.tag),
            Part::Precision => of(&about.precision, self.tag),
            Part::Embeddings => of(&self.texts.embeddings, self.tag),
            // The run's own column stays.
            Part::Differences => (0, self.texts.compared.len().saturating_sub(1)),
            // As far as it was drawn.
            Part::Parallel | Part::Graph => (0, self.columns.get().saturating_add(1)),
            _ => (0, 0),
        }
    }

    /// Which of several at one step is shown.
    pub fn one_of<'a, T>(&self, at: &'a [At<T>]) -> Option<&'a At<T>> {
        at.get(self.scroll.min(at.len().saturating_sub(1)))
    }

    /// What has to be read for what the page shows, in its room.
    pub fn asked(&self, run: &Run, room: Room) -> Option<Asked> {
        let about = &run.curves.about;
        let one = |all: &ByTag<Media>| Some(self.one_of(self.chosen(all)?.1)?.what.clone());
        match self.part {
            Part::Pictures => Some(Asked::Picture(one(&about.pictures)?, room)),
            Part::Sounds => Some(Asked::Sound(one(&about.sounds)?)),
            // It is scrolled itself.
            Part::Tables => Some(Asked::Table(self.chosen(&about.tables)?.1.first()?.what.clone())),
            Part::Embeddings => {
                let (_, at) = self.chosen(&self.texts.embeddings)?;
                Some(Asked::Embedding(at.first()?.what.clone()))
            }
            _ => None,
        }
    }

    /// What was read of it; the one before does not stand in its place.
    pub fn shown(&self, asked: &Asked) -> Option<&Result<Content, String>> {
        let shown = self.texts.shown.as_ref().filter(|shown| shown.of == *asked);
        shown.map(|shown| &shown.content)
    }
}

/// Levels of a network that are shown at first.
pub const LEVELS: usize = 2;

/// How many steps something was logged at.
pub fn steps<T>(list: &[At<T>]) -> usize {
    list.chunk_by(|a, b| a.step == b.step).count()
}

/// Reads what a page shows of a run beside others. What is `known` is not read again.
pub fn load(wanted: &Needs, known: Option<Shown>) -> Texts {
    let run = wanted.run.as_path();
    let told = |run: &Path, log: &Settings| {
        let own = settings(run);
        if own.is_empty() { log.clone() } else { own }
    };
    let own = told(run, &wanted.own);
    let mut all = vec![own.clone()];
    all.extend(wanted.others.iter().map(|(other, log)| told(other, log)));
    let shown = wanted.asked.as_ref().map(|of| match known {
        // What could not be read is read again when its file has changed.
        Some(known) if known.of == *of && (known.content.is_ok() || known.stamp == of.stamp()) => {
            known
        }
        _ => Shown { of: of.clone(), stamp: of.stamp(), content: read(of) },
    });
    let output = run.join(OUTPUT);
    // Of a job that is what its processes printed; of another run, what it noted.
    let samples = samples(run);
    let log = if output.is_file() { output } else { run.join("log.txt") };
    Texts {
        job: Job::read(run).ok().flatten(),
        settings: own,
        compared: std::iter::once(run)
            .chain(wanted.others.iter().map(|(p, _)| p.as_path()))
            .map(PathBuf::from)
            .collect(),
        differences: differing(&all),
        log: last_lines(&log, LOG_LINES),
        looks: looks(run),
        pictures: pictures(run, samples.last()),
        samples,
        embeddings: embeddings(run),
        shown,
    }
}

fn read(asked: &Asked) -> Result<Content, String> {
    let read = || match asked {
        Asked::Picture(media, room) => scaled(media, *room),
        Asked::Sound(media) => Ok(Content::Sound(Arc::new(sound(&bytes(media)?)?))),
        Asked::Table(media) => {
            Ok(Content::Table(Arc::new(table(&bytes_within(media, LARGEST_TABLE)?)?)))
        }
        Asked::Embedding(embedding) => Ok(Content::Plane(Arc::new(project(embedding)?))),
    };
    // A decoder may meet what its author never thought of.
    let content = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    content.unwrap_or_else(|_| Err("it cannot be decoded".into()))
}

fn scaled(media: &Media, room: Room) -> Result<Content, String> {
    let (image, _) = artgpt_art::decode(&media.path, &bytes(media)?).map_err(|e| e.to_string())?;
    let cells = fit(image.dimensions(), Rect::new(0, 0, room.cells.0, room.cells.1), room.cell);
    let pixels = |cells: u16, cell: u16| (u32::from(cells) * u32::from(cell)).max(1);
    let (width, height) = (pixels(cells.width, room.cell.0), pixels(cells.height, room.cell.1));
    // Small ones keep their pixels.
    let filter = if image.width() < width { FilterType::Nearest } else { FilterType::Triangle };
    let image = image::imageops::resize(&image, width, height, filter);
    Ok(Content::Picture(Arc::new(image), (cells.width, cells.height)))
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

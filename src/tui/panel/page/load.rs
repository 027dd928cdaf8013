//! Reads the files that a page shows. Runs on a background thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use image::RgbImage;
use image::imageops::FilterType;
use ratatui::layout::Rect;

use crate::tui::graphics::fit;
use artgpt_app::explain;
use artgpt_jobs::{Job, last_lines};
use artgpt_rundir::job::OUTPUT;
use artgpt_rundir::{Look, PICTURES, Samples, looks, samples};
use artgpt_runs::media::{
    Embedding, LARGEST_TABLE, MediaError, Projection, Rows, Sound, bytes, bytes_within, embeddings,
    project, sound, table,
};
use artgpt_runs::{ByTag, Media, Settings, differing, settings};

/// Size of a sample's picture in cells.
pub(crate) const PICTURE: (u16, u16) = (24, 12);
/// Lines of a log on the page.
const LOG_LINES: usize = 500;

/// What to read for a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageRequest {
    pub run: PathBuf,
    /// The configuration in its log, in case its folder has none.
    pub settings: Settings,
    /// The other shown runs, with the configurations in their logs.
    pub others: Vec<(PathBuf, Settings)>,
    pub media: Option<MediaRequest>,
    /// The media that the page has already; not read again if it is the same.
    pub known: Option<LoadedMedia>,
}

/// What was read for a page.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PageData {
    pub job: Option<Job>,
    /// The runs whose values are in `differences`, the page's own one first.
    pub compared: Vec<PathBuf>,
    pub settings: Settings,
    /// Each key with the value of every run.
    pub differences: Vec<(String, Vec<Option<String>>)>,
    pub log: Vec<String>,
    /// How much each step changed each block, oldest first.
    pub looks: Vec<Look>,
    pub samples: Vec<Samples>,
    /// Pictures of the samples, [`PICTURE`] cells large; `None` for one that cannot be read.
    pub pictures: Vec<Option<RgbImage>>,
    /// For the projector.
    pub embeddings: ByTag<Embedding>,
    pub media: Option<LoadedMedia>,
}

/// The space for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub cells: (u16, u16),
    /// Pixels of a cell.
    pub cell: (u16, u16),
}

/// Media stay in their files until the page shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MediaRequest {
    Picture(Media, Room),
    Sound(Media),
    Table(Media),
    Embedding(Embedding),
}

impl MediaRequest {
    /// Modification time and size of the file; `None` for part of a file, which never changes.
    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let path = match self {
            Self::Picture(media, _) | Self::Sound(media) | Self::Table(media) => {
                media.bytes.is_none().then_some(&media.path)?
            }
            Self::Embedding(embedding) => &embedding.tensors,
        };
        let file = path.metadata().ok()?;
        Some((file.modified().ok()?, file.len()))
    }
}

/// The answer to a [`MediaRequest`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadedMedia {
    pub request: MediaRequest,
    /// [`MediaRequest::stamp`] at the time of reading.
    pub stamp: Option<(SystemTime, u64)>,
    /// The error says why it cannot be shown.
    pub content: Result<MediaContent, String>,
}

/// Decoded media.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MediaContent {
    /// Scaled to its room, with the cells that it covers.
    Picture(Arc<RgbImage>, (u16, u16)),
    Sound(Arc<Sound>),
    Table(Arc<Rows>),
    Projection(Arc<Projection>),
}

/// Reads what a page shows of a run, beside the other shown runs.
pub(crate) fn load(request: &PageRequest) -> PageData {
    let run = request.run.as_path();
    let config = |run: &Path, logged: &Settings| {
        let own = settings(run);
        if own.is_empty() { logged.clone() } else { own }
    };
    let own = config(run, &request.settings);
    let mut all = vec![own.clone()];
    all.extend(request.others.iter().map(|(other, logged)| config(other, logged)));
    let output = run.join(OUTPUT);
    // A job has the output of its processes; other runs have their own log.
    let log = if output.is_file() { output } else { run.join("log.txt") };
    let samples = samples(run);
    PageData {
        job: Job::read(run),
        settings: own,
        compared: std::iter::once(run)
            .chain(request.others.iter().map(|(p, _)| p.as_path()))
            .map(PathBuf::from)
            .collect(),
        differences: differing(&all),
        log: last_lines(&log, LOG_LINES),
        looks: looks(run),
        pictures: sample_pictures(run, samples.last()),
        samples,
        embeddings: embeddings(run),
        media: request.media.as_ref().map(|media| load_media(media, request.known.as_ref())),
    }
}

fn load_media(request: &MediaRequest, known: Option<&LoadedMedia>) -> LoadedMedia {
    let stamp = request.stamp();
    match known.filter(|known| known.request == *request) {
        // A failure is tried again when the file has changed.
        Some(known) if known.content.is_ok() || known.stamp == stamp => known.clone(),
        _ => LoadedMedia { request: request.clone(), stamp, content: read(request) },
    }
}

fn read(request: &MediaRequest) -> Result<MediaContent, String> {
    let read = || match request {
        MediaRequest::Picture(media, room) => picture(media, *room),
        MediaRequest::Sound(media) => {
            let sound = bytes(media).and_then(|bytes| sound(&bytes)).map_err(reason)?;
            Ok(MediaContent::Sound(Arc::new(sound)))
        }
        MediaRequest::Table(media) => {
            let bytes = bytes_within(media, LARGEST_TABLE);
            let table = bytes.and_then(|bytes| table(&bytes)).map_err(reason)?;
            Ok(MediaContent::Table(Arc::new(table)))
        }
        MediaRequest::Embedding(embedding) => {
            let projection = project(embedding).map_err(reason)?;
            Ok(MediaContent::Projection(Arc::new(projection)))
        }
    };
    // A decoder may panic on a damaged file.
    let content = artgpt_base::panics::guarded(read);
    content.unwrap_or_else(|_| Err("cannot decode the file".into()))
}

/// Why it cannot be shown, and what to do.
fn reason(error: MediaError) -> String {
    match error {
        MediaError::TooLarge(_) => format!("{error}; e copies it to a file"),
        error => error.to_string(),
    }
}

fn picture(media: &Media, room: Room) -> Result<MediaContent, String> {
    let bytes = bytes(media).map_err(reason)?;
    let decoded = artgpt_art::decode(&media.path, &bytes);
    let (image, _) = decoded.map_err(|e| explain(&e.into()))?;
    let cells = fit(image.dimensions(), Rect::new(0, 0, room.cells.0, room.cells.1), room.cell);
    let pixels = |cells: u16, cell: u16| (u32::from(cells) * u32::from(cell)).max(1);
    let (width, height) = (pixels(cells.width, room.cell.0), pixels(cells.height, room.cell.1));
    // Small pictures keep their pixels.
    let filter = if image.width() < width { FilterType::Nearest } else { FilterType::Triangle };
    let image = image::imageops::resize(&image, width, height, filter);
    Ok(MediaContent::Picture(Arc::new(image), (cells.width, cells.height)))
}

/// Half-blocks have two pixels a cell.
fn sample_pictures(run: &Path, last: Option<&Samples>) -> Vec<Option<RgbImage>> {
    let (width, height) = (u32::from(PICTURE.0), u32::from(PICTURE.1) * 2);
    let count = last.map_or(0, |samples| samples.answers.len());
    let folder = run.join(PICTURES);
    (0..count)
        .map(|i| {
            let path = folder.join(format!("{i}.png"));
            let bytes = artgpt_art::read_limited(&path).ok()?;
            let (image, _) = artgpt_art::decode(&path, &bytes).ok()?;
            Some(image::imageops::resize(&image, width, height, FilterType::Triangle))
        })
        .collect()
}

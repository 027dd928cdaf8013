//! What the page of a run shows, to a file of its own.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::export::write_new;
use super::page::{Asked, Content, Part};
use super::state::Board;
use super::view::picture_room;
use artgpt_runs::media::{Projection, Rows, bytes};
use artgpt_runs::{Bin, Cut, Media};

#[derive(Debug, Clone, PartialEq)]
pub struct Save {
    /// What it was logged under.
    name: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    /// A picture, a sound or a table, as it is.
    Copy(Media),
    Text(String),
    Table(Arc<Rows>),
    Plane(Arc<Projection>),
    Histogram(Vec<Bin>),
    Precision(Vec<Cut>),
}

impl Save {
    /// Of what the open page shows; `None` where that is nothing by itself.
    pub fn of(board: &Board) -> Option<Self> {
        let (page, run) = (board.page.as_ref()?, board.paged()?);
        let about = &run.curves.about;
        let (name, what) = match page.part {
            Part::Texts => {
                let (name, at) = page.chosen(&about.texts)?;
                let texts: Vec<&str> = at.iter().map(|at| at.what.as_str()).collect();
                (name, What::Text(texts.join("\n")))
            }
            Part::Histograms => {
                let (name, at) = page.chosen(&about.histograms)?;
                (name, What::Histogram(at.last()?.what.clone()))
            }
            Part::Precision => {
                let (name, at) = page.chosen(&about.precision)?;
                (name, What::Precision(at.last()?.what.clone()))
            }
            Part::Pictures | Part::Sounds | Part::Tables | Part::Embeddings => {
                // Not by the board, which would lock the run once more.
                let asked = page.asked(&run, picture_room(board))?;
                let name = match page.part {
                    Part::Pictures => page.chosen(&about.pictures)?.0,
                    Part::Sounds => page.chosen(&about.sounds)?.0,
                    Part::Tables => page.chosen(&about.tables)?.0,
                    _ => page.chosen(&page.texts.embeddings)?.0,
                };
                let what = match (&asked, page.shown(&asked)) {
                    // One that is too large to be shown whole is not cut in its file.
                    (Asked::Table(_), Some(Ok(Content::Table(rows)))) if rows.is_whole => {
                        What::Table(rows.clone())
                    }
                    (Asked::Embedding(_), Some(Ok(Content::Plane(plane)))) => {
                        What::Plane(plane.clone())
                    }
                    // What it will be is not known before it is read.
                    (Asked::Table(_), None) | (Asked::Embedding(_), _) => return None,
                    (Asked::Picture(media, _) | Asked::Sound(media) | Asked::Table(media), _) => {
                        What::Copy(media.clone())
                    }
                };
                (name, what)
            }
            _ => return None,
        };
        // Names such as `loss` are those of many runs.
        let run = run.title().unwrap_or(&run.name);
        Some(Self { name: format!("{run}-{name}"), what })
    }

    /// In a new file; says which one.
    pub fn write(&self, folder: &Path) -> io::Result<String> {
        let (content, extension) = match &self.what {
            What::Copy(media) => {
                let content = bytes(media).map_err(io::Error::other)?;
                let extension = extension(media, &content);
                (content, extension)
            }
            What::Text(text) => (text.clone().into_bytes(), "txt".into()),
            What::Table(rows) => {
                (lines(std::iter::once(&rows.columns).chain(&rows.rows))?, "csv".into())
            }
            What::Plane(plane) => {
                let rows = plane.points.iter().enumerate().map(|(at, (x, y))| {
                    let label = plane.labels.get(at).cloned().unwrap_or_default();
                    vec![label, x.to_string(), y.to_string()]
                });
                let head = ["label", "component 1", "component 2"].map(String::from);
                let all: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
                (lines(&all)?, "csv".into())
            }
            What::Histogram(bins) => {
                let rows = bins.iter().map(|bin| [bin.low, bin.high, bin.count]);
                (numbers(["low", "high", "count"], rows), "csv".into())
            }
            What::Precision(cuts) => {
                let rows = cuts.iter().map(|cut| [cut.threshold, cut.precision, cut.recall]);
                (numbers(["threshold", "precision", "recall"], rows), "csv".into())
            }
        };
        let (path, ()) =
            write_new(folder, &self.name, &extension, |mut file| file.write_all(&content))?;
        Ok(format!("it is in {}", path.display()))
    }
}

/// The file's own, or told from the content: a part of another file has no name.
fn extension(media: &Media, content: &[u8]) -> String {
    let own = media.path.extension().filter(|_| media.bytes.is_none());
    let own = own
        .and_then(|own| own.to_str())
        .filter(|own| own.len() <= 8 && own.bytes().all(|letter| letter.is_ascii_alphanumeric()));
    let picture = image::guess_format(content).ok();
    let picture = picture.and_then(|format| format.extensions_str().first());
    match (own, picture) {
        (Some(own), _) => own.to_string(),
        (None, Some(extension)) => extension.to_string(),
        (None, None) if content.starts_with(b"RIFF") => "wav".into(),
        (None, None) => "bin".into(),
    }
}

fn numbers<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [f64; N]>) -> Vec<u8> {
    let mut text = head.join(",") + "\n";
    for row in rows {
        let _ = writeln!(text, "{}", row.map(|number| number.to_string()).join(","));
    }
    text.into_bytes()
}

fn lines<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>) -> io::Result<Vec<u8>> {
    // A row may be shorter than the head.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

//! Writes what a tab shows to a file.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use crate::tui::panel::chart::write_new;
use crate::tui::panel::page::{MediaContent, MediaRequest, Page, Tab};
use crate::tui::panel::state::Panel;
use artgpt_runs::media::{Projection, Rows, bytes};
use artgpt_runs::{Bin, Cut, Media};

/// The content of a file to write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Save {
    /// Run, and the name it was logged under.
    name: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    /// A copy of a logged file.
    Copy(Media),
    Text(String),
    Table(Arc<Rows>),
    Projection(Arc<Projection>),
    Histogram(Vec<Bin>),
    Precision(Vec<Cut>),
}

impl Save {
    /// What the open tab shows; `None` if there is nothing to write.
    pub(crate) fn new(panel: &Panel) -> Option<Self> {
        let (page, run) = (panel.overlays.page()?, panel.page_run()?);
        let about = &run.curves.about;
        let (name, content) = match page.tab {
            Tab::Texts => {
                let (name, at) = page.chosen(&about.texts)?;
                let texts: Vec<&str> = at.iter().map(|at| &*at.what).collect();
                (name, Content::Text(texts.join("\n")))
            }
            Tab::Histograms => {
                let (name, at) = page.chosen(&about.histograms)?;
                (name, Content::Histogram(at.last()?.what.clone()))
            }
            Tab::Precision => {
                let (name, at) = page.chosen(&about.precision)?;
                (name, Content::Precision(at.last()?.what.clone()))
            }
            Tab::Pictures => (page.chosen(&about.pictures)?.0, media(panel, page)?),
            Tab::Sounds => (page.chosen(&about.sounds)?.0, media(panel, page)?),
            Tab::Tables => (page.chosen(&about.tables)?.0, media(panel, page)?),
            Tab::Embeddings => (page.chosen(&page.data.embeddings)?.0, media(panel, page)?),
            _ => return None,
        };
        // Many runs log under the same name.
        let run = run.title().unwrap_or(&run.name);
        Some(Self { name: format!("{run}-{name}"), content })
    }

    /// Writes a new file; returns a message that names it.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<String> {
        let (content, extension) = match &self.content {
            Content::Copy(media) => {
                let content = bytes(media).map_err(io::Error::other)?;
                let extension = extension(media, &content);
                (content, extension)
            }
            Content::Text(text) => (text.clone().into_bytes(), "txt".into()),
            Content::Table(rows) => {
                (lines(std::iter::once(&rows.columns).chain(&rows.rows))?, "csv".into())
            }
            Content::Projection(projection) => {
                let rows = projection.points.iter().enumerate().map(|(at, (x, y))| {
                    let label = projection.labels.get(at).cloned().unwrap_or_default();
                    vec![label, x.to_string(), y.to_string()]
                });
                let head = ["label", "component 1", "component 2"].map(String::from);
                let all: Vec<Vec<String>> = std::iter::once(head.to_vec()).chain(rows).collect();
                (lines(&all)?, "csv".into())
            }
            Content::Histogram(bins) => {
                let rows = bins.iter().map(|bin| [bin.low, bin.high, bin.count]);
                (numbers(["low", "high", "count"], rows), "csv".into())
            }
            Content::Precision(cuts) => {
                let rows = cuts.iter().map(|cut| [cut.threshold, cut.precision, cut.recall]);
                (numbers(["threshold", "precision", "recall"], rows), "csv".into())
            }
        };
        let (path, ()) =
            write_new(folder, &self.name, &extension, |mut file| file.write_all(&content))?;
        Ok(format!("written to {}", path.display()))
    }
}

/// The media that the tab shows: the logged file, or the numbers read from it.
fn media(panel: &Panel, page: &Page) -> Option<Content> {
    let request = panel.media_request()?;
    match (&request, page.media(&request)) {
        // A table too large to be shown whole is copied, not cut.
        (MediaRequest::Table(_), Some(Ok(MediaContent::Table(rows)))) if rows.is_whole => {
            Some(Content::Table(rows.clone()))
        }
        (MediaRequest::Embedding(_), Some(Ok(MediaContent::Projection(projection)))) => {
            Some(Content::Projection(projection.clone()))
        }
        // Not read yet.
        (MediaRequest::Table(_), None) | (MediaRequest::Embedding(_), _) => None,
        (
            MediaRequest::Picture(media, _)
            | MediaRequest::Sound(media)
            | MediaRequest::Table(media),
            _,
        ) => Some(Content::Copy(media.clone())),
    }
}

/// The extension of the logged file, or one guessed from the content.
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
    // A row may be shorter than the header.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

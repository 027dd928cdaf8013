//! What the page of a run shows, to a file of its own.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use super::export::create;
use super::page::{Asked, Content, Part};
use super::state::Board;
use super::view::picture_room;
use crate::runs::Media;
use crate::runs::media::bytes;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// What it was logged under.
    name: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A picture or a sound, as it is.
    Copy(Media),
    /// With the file's extension.
    Text(String, &'static str),
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
                (name, What::Text(texts.join("\n"), "txt"))
            }
            Part::Histograms => {
                let (name, at) = page.chosen(&about.histograms)?;
                let bins = at.iter().flat_map(|at| &at.what);
                let rows = bins.map(|bin| [bin.low, bin.high, bin.count]);
                (name, What::Text(numbers(["low", "high", "count"], rows), "csv"))
            }
            Part::Precision => {
                let (name, at) = page.chosen(&about.precision)?;
                let cuts = at.iter().flat_map(|at| &at.what);
                let rows = cuts.map(|cut| [cut.threshold, cut.precision, cut.recall]);
                (name, What::Text(numbers(["threshold", "precision", "recall"], rows), "csv"))
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
                match (&asked, page.shown(&asked)?) {
                    (Asked::Picture(media, _) | Asked::Sound(media), _) => {
                        (name, What::Copy(media.clone()))
                    }
                    (_, Ok(Content::Table(rows))) => {
                        let all = std::iter::once(&rows.columns).chain(&rows.rows);
                        (name, What::Text(lines(all)?, "csv"))
                    }
                    (_, Ok(Content::Plane(plane))) => {
                        let rows = plane.points.iter().enumerate().map(|(at, (x, y))| {
                            let label = plane.labels.get(at).cloned().unwrap_or_default();
                            vec![label, x.to_string(), y.to_string()]
                        });
                        let head = ["label", "component 1", "component 2"].map(String::from);
                        let all: Vec<Vec<String>> =
                            std::iter::once(head.to_vec()).chain(rows).collect();
                        (name, What::Text(lines(&all)?, "csv"))
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Self { name: name.to_string(), what })
    }

    /// In a new file; says which one.
    pub fn write(&self, folder: &Path) -> io::Result<String> {
        let (content, extension) = match &self.what {
            What::Text(text, extension) => (text.as_bytes().to_vec(), *extension),
            What::Copy(media) => {
                let content = bytes(media).map_err(io::Error::other)?;
                let extension = extension(&content);
                (content, extension)
            }
        };
        let (path, mut file) = create(folder, &self.name, extension)?;
        file.write_all(&content)?;
        Ok(format!("it is in {}", path.display()))
    }
}

/// Told from the content: a part of another file has no name.
fn extension(content: &[u8]) -> &'static str {
    let picture = image::guess_format(content).ok();
    let picture = picture.and_then(|format| format.extensions_str().first());
    match picture {
        Some(extension) => extension,
        None if content.starts_with(b"RIFF") => "wav",
        None => "bin",
    }
}

fn numbers<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [f64; N]>) -> String {
    let mut text = head.join(",") + "\n";
    for row in rows {
        let _ = writeln!(text, "{}", row.map(|number| number.to_string()).join(","));
    }
    text
}

fn lines<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>) -> Option<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

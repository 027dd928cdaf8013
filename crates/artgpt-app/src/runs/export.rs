//! All points of a run, for other programs.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{RunsError, io};
use crate::Result;
use artgpt_base::text::printable;
use artgpt_rundir::events::EventFile;
use artgpt_runs::Run;

/// Where the points go.
pub enum ExportTarget<'a> {
    /// CSV into a stream; a reader that has gone is no error.
    CsvStream {
        /// The stream.
        out: &'a mut dyn Write,
        /// It is a terminal: control characters in names are replaced.
        is_terminal: bool,
    },
    /// CSV into a file, which is replaced when the new one is whole.
    CsvFile(PathBuf),
    /// Event files for TensorBoard, in a directory that is empty or new.
    TensorBoard(PathBuf),
}

/// What an export could not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rounded {
    /// Points whose fractional steps were rounded down.
    pub steps: usize,
    /// Finite values that are infinite in 32 bits.
    pub values: usize,
}

/// Writes all points of a run. One that could not be read to its end is refused.
///
/// # Errors
/// [`RunsError::Partial`], [`RunsError::NotEmpty`], and those of writing.
pub fn export(run: &Run, target: ExportTarget<'_>) -> Result<Rounded> {
    if let Some(trouble) = &run.trouble {
        return Err(RunsError::Partial(trouble.clone()).into());
    }
    match target {
        ExportTarget::CsvStream { out, is_terminal } => {
            let named = |name: &str| if is_terminal { printable(name) } else { name.to_string() };
            match artgpt_runs::csv(&run.curves, out, named) {
                Err(e) if is_broken_pipe(&e) => Ok(Rounded::default()),
                Err(e) => Err(csv_error(Path::new("stdout"))(e).into()),
                Ok(()) => Ok(Rounded::default()),
            }
        }
        ExportTarget::CsvFile(path) => {
            let partial = path.with_extension("partial");
            let file = File::create(&partial).map_err(io(&partial))?;
            let written = artgpt_runs::csv(&run.curves, file, str::to_string);
            let written = written.map_err(csv_error(&partial));
            let done = written.and_then(|()| fs::rename(&partial, &path).map_err(io(&path)));
            if done.is_err() {
                let _ = fs::remove_file(&partial);
            }
            done?;
            Ok(Rounded::default())
        }
        ExportTarget::TensorBoard(folder) => event_file(run, folder),
    }
}

fn event_file(run: &Run, folder: PathBuf) -> Result<Rounded> {
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    if folder.read_dir().map_err(io(&folder))?.next().is_some() {
        return Err(RunsError::NotEmpty(folder).into());
    }
    let mut events = EventFile::create(&folder, 0)?;
    let mut rounded = Rounded::default();
    for (name, series) in run.curves.iter() {
        for point in series.points() {
            rounded.steps += usize::from(point.step.fract() != 0.0);
            let is_large = point.value.is_finite() && (point.value as f32).is_infinite();
            rounded.values += usize::from(is_large);
            events.write_scalar(name, point.step.floor(), point.wall, point.value)?;
        }
    }
    events.flush()?;
    Ok(rounded)
}

fn csv_error(path: &Path) -> impl FnOnce(csv::Error) -> RunsError {
    let path = path.to_path_buf();
    |source| RunsError::Csv { path, source }
}

fn is_broken_pipe(e: &csv::Error) -> bool {
    matches!(e.kind(), csv::ErrorKind::Io(e) if e.kind() == ErrorKind::BrokenPipe)
}

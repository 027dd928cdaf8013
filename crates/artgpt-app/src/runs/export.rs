//! All points of a run, for other programs.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{RunsError, io};
use crate::Result;
use artgpt_rundir::events::EventFile;
use artgpt_runs::Run;

/// Where the points go.
pub enum ExportTarget<'a> {
    /// CSV into a stream; a reader that has gone is no error.
    CsvStream(&'a mut dyn Write),
    /// CSV into a file, which is replaced when the new one is whole.
    CsvFile(PathBuf),
    /// Event files for TensorBoard, in a directory that is empty or new.
    TensorBoard(PathBuf),
}

/// Writes all points of a run. One that could not be read to its end is refused.
pub fn export(run: &Run, target: ExportTarget<'_>) -> Result<()> {
    if let Some(trouble) = &run.trouble {
        return Err(RunsError::Partial(trouble.clone()).into());
    }
    match target {
        ExportTarget::CsvStream(out) => match artgpt_runs::csv(&run.curves, out) {
            Err(e) if is_broken_pipe(&e) => Ok(()),
            written => Ok(written.map_err(csv_error(Path::new("stdout")))?),
        },
        ExportTarget::CsvFile(path) => {
            let partial = path.with_extension("partial");
            let file = File::create(&partial).map_err(io(&partial))?;
            artgpt_runs::csv(&run.curves, file).map_err(csv_error(&partial))?;
            Ok(fs::rename(&partial, &path).map_err(io(&path))?)
        }
        ExportTarget::TensorBoard(folder) => event_file(run, folder),
    }
}

fn event_file(run: &Run, folder: PathBuf) -> Result<()> {
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    if folder.read_dir().map_err(io(&folder))?.next().is_some() {
        return Err(RunsError::NotEmpty(folder).into());
    }
    let mut events = EventFile::create(&folder, 0)?;
    for (name, series) in run.curves.iter() {
        for point in series.points() {
            events.write_scalar(name, point.step, point.wall, point.value)?;
        }
    }
    Ok(())
}

fn csv_error(path: &Path) -> impl FnOnce(csv::Error) -> RunsError {
    let path = path.to_path_buf();
    |source| RunsError::Csv { path, source }
}

fn is_broken_pipe(e: &csv::Error) -> bool {
    matches!(e.kind(), csv::ErrorKind::Io(e) if e.kind() == ErrorKind::BrokenPipe)
}

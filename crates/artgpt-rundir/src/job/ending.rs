//! Why a run that is about to end was asked to.

use std::path::Path;

use super::record::{self, Record, Request, Wanted};
use super::{Result, io};

/// The number of the process that was asked to end, in the folder of a run that is no job.
const ASKED: &str = ".asked";

/// What the process of a run was asked to do next.
pub fn ending(run: &Path, pid: u32) -> Option<Wanted> {
    match record::read::<Request>(run, Record::Request).ok()? {
        Some(request) => Some(request.wanted).filter(|wanted| *wanted != Wanted::Run),
        None => (asked(run) == Some(pid)).then_some(Wanted::Stop),
    }
}

/// The process of a run that is no job which was asked to end.
pub fn asked(run: &Path) -> Option<u32> {
    std::fs::read_to_string(run.join(ASKED)).ok()?.parse().ok()
}

/// A run begins or goes on: what was asked of an earlier process does not count.
pub fn begun(run: &Path) {
    let _ = std::fs::remove_file(run.join(ASKED));
}

/// Notes that process `pid` of a run that is no job was asked to end.
///
/// # Errors
/// Those of writing the note.
pub fn note_asked(run: &Path, pid: u32) -> Result<()> {
    let path = run.join(ASKED);
    std::fs::write(&path, pid.to_string()).map_err(io(&path))
}

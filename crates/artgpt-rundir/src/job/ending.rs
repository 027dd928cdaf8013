//! Requests to end a run.

use std::path::Path;

use super::record::{self, Record, Request, Wanted};
use super::{Result, io};

/// The file of the process that should end, in the folder of a foreground run.
const ASKED: &str = ".asked";

/// The request to pause or stop process `pid` of a run, if there is one.
pub fn ending(run: &Path, pid: u32) -> Option<Wanted> {
    match record::read::<Request>(run, Record::Request).ok()? {
        Some(request) => Some(request.wanted).filter(|wanted| *wanted != Wanted::Run),
        None => (asked(run) == Some(pid)).then_some(Wanted::Stop),
    }
}

/// The process of a foreground run that should end.
pub fn asked(run: &Path) -> Option<u32> {
    std::fs::read_to_string(run.join(ASKED)).ok()?.parse().ok()
}

/// Clears the request to an earlier process when a run starts or resumes.
pub fn begun(run: &Path) {
    let _ = std::fs::remove_file(run.join(ASKED));
}

/// Records the request that process `pid` of a foreground run ends.
///
/// # Errors
/// [`crate::RunError::Io`].
pub fn note_asked(run: &Path, pid: u32) -> Result<()> {
    let path = run.join(ASKED);
    std::fs::write(&path, pid.to_string()).map_err(io(&path))
}

//! What a job's processes printed.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::steer::pace;
use super::{adopt, one};
use crate::{App, Result};
use artgpt_rundir::job::OUTPUT;

/// Which log.
#[derive(Debug, Clone, Copy)]
pub struct LogRequest<'a> {
    /// Job ID, unique prefix or name.
    pub job: &'a str,
    /// Follow until the job ends.
    pub follow: bool,
}

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// All of it was read.
    Complete,
    /// The user interrupted.
    Interrupted,
}

/// Passes each line of a job's output to `on_line`.
pub fn logs(
    app: &App,
    request: LogRequest<'_>,
    stopped: &dyn Fn() -> bool,
    mut on_line: impl FnMut(&str),
) -> Result<LogEnd> {
    adopt(app)?;
    let mut job = one(app, request.job)?;
    let path = job.path.join(OUTPUT);
    let cannot = |source| artgpt_rundir::io(&path)(source);
    let (mut read, mut rest) = (0u64, Vec::new());
    loop {
        // Checked before reading: what it printed last is there when it has ended.
        let ended = !job.is_open() || !request.follow;
        match File::open(&path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(read)).map_err(cannot)?;
                read += file.read_to_end(&mut rest).map_err(cannot)? as u64;
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(cannot(e).into()),
        }
        let whole = match ended {
            true => rest.len(),
            false => rest.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1),
        };
        let text: Vec<u8> = rest.drain(..whole).collect();
        String::from_utf8_lossy(&text).lines().for_each(&mut on_line);
        if ended {
            return Ok(LogEnd::Complete);
        }
        if stopped() {
            return Ok(LogEnd::Interrupted);
        }
        std::thread::sleep(pace(&job));
        job = one(app, &job.id)?;
    }
}

//! The file of answers: a line for each, synced, so that a killed evaluation loses none.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::identity::{Identity, refuse};
use crate::Result;
use crate::eval::{EvalError, io};
use artgpt_eval::talk::Line;

/// The name of the file.
const NAME: &str = "answers.jsonl";
/// Bytes of the largest file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Answers of this and of earlier calls; in memory only without a directory.
#[derive(Debug, Default)]
pub(super) struct Answers {
    file: Option<(File, PathBuf)>,
    known: Vec<Line>,
    damaged: Vec<usize>,
}

impl Answers {
    /// Opens or begins the file in `folder`.
    ///
    /// # Errors
    /// [`EvalError::OtherAnswers`] if the file holds answers to something else,
    /// [`EvalError::NotAnswers`] if it holds none. Such a file is left as it is.
    pub(super) fn open(folder: &Path, identity: &Identity) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        let path = folder.join(NAME);
        // Opening a FIFO or reading from it may block.
        if path.exists() && !path.is_file() {
            return Err(not_answers(&path, "it is not a regular file").into());
        }
        let begin = json_line(identity).map_err(io(&path))?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EvalError::AnswersInUse(path).into()),
            Err(TryLockError::Error(source)) => return Err(io(&path)(source).into()),
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io(&path))?;
        if bytes.len() as u64 > MAX_BYTES {
            let reason = format!("it is larger than {MAX_BYTES} bytes");
            return Err(not_answers(&path, reason).into());
        }
        // A killed process may leave half a line.
        let is_new = begin.starts_with(&bytes) && bytes.len() < begin.len();
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(whole);
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines();
        let mut answers = Self::default();
        match lines.next() {
            None if is_new => {
                file.set_len(0).map_err(io(&path))?;
                append(&mut file, &path, &begin)?;
            }
            first => {
                let kept: Identity =
                    serde_json::from_str(first.unwrap_or_default()).map_err(|_| {
                        not_answers(&path, "its first line is not a header of `eval talk`")
                    })?;
                if kept != *identity {
                    return Err(refuse(&path, &kept, identity));
                }
            }
        }
        for (i, line) in lines.enumerate() {
            match serde_json::from_str(line) {
                Ok(line) => answers.known.push(line),
                Err(_) => answers.damaged.push(i + 2),
            }
        }
        if whole > 0 {
            file.set_len(whole as u64).map_err(io(&path))?;
            file.seek(SeekFrom::End(0)).map_err(io(&path))?;
        }
        answers.file = Some((file, path));
        Ok(answers)
    }

    /// What earlier calls kept.
    pub(super) fn known(&self) -> &[Line] {
        &self.known
    }

    /// A sentence about lines that cannot be read; what they held is asked again.
    pub(super) fn damaged(&self) -> Option<String> {
        let first = self.damaged.first()?;
        let (_, path) = self.file.as_ref()?;
        let count = self.damaged.len();
        Some(format!("{}: {count} damaged, from line {first} on", path.display()))
    }

    /// Appends a line.
    pub(super) fn keep(&mut self, line: &Line) -> Result<()> {
        match &mut self.file {
            Some((file, path)) => append(file, path, &json_line(line).map_err(io(path))?),
            None => Ok(()),
        }
    }
}

/// A value as a line of the file.
fn json_line(value: &impl serde::Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

fn append(file: &mut File, path: &Path, line: &[u8]) -> Result<()> {
    file.write_all(line).and_then(|()| file.sync_data()).map_err(io(path))?;
    Ok(())
}

fn not_answers(path: &Path, reason: impl Into<String>) -> EvalError {
    EvalError::NotAnswers { path: path.to_path_buf(), reason: reason.into() }
}

#[cfg(test)]
mod tests;

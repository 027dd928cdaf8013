//! Reads a file that grows, and notices when it is truncated or replaced.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Limit on a line's bytes; longer ones are dropped.
const MAX_LINE: usize = 16 << 20;
/// Bytes at the start of the file that identify its content.
const HEAD: usize = 256;
/// An empty buffer with more capacity than this is freed.
const MAX_IDLE_BUFFER: usize = 1 << 16;

/// A growing file and the bytes of it that are read but not consumed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The identity of the file read so far, to notice when it is replaced.
    file: Option<Identity>,
    offset: u64,
    /// Its first bytes: a program that rewrites the file in place keeps its identity.
    head: Vec<u8>,
    /// Bytes read but not consumed.
    pending: Vec<u8>,
}

/// How a file has changed since the last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grown {
    /// Nothing new.
    Not,
    /// New bytes were read; there may be more.
    Some,
    /// The file was truncated or replaced: everything read before is void.
    Anew,
}

type Identity = (u64, u64);

impl Tail {
    /// A reader of this file, at its start.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), file: None, offset: 0, head: Vec::new(), pending: Vec::new() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads at most 1 MiB of new bytes. After [`Grown::Anew`], the next call reads from the start.
    ///
    /// # Errors
    /// Those of opening and reading the file.
    pub fn read(&mut self) -> std::io::Result<Grown> {
        let mut file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        let identity = identity(&metadata);
        if self.file.is_some_and(|known| known != identity) || metadata.len() < self.offset {
            *self = Self::new(&self.path);
            return Ok(Grown::Anew);
        }
        self.file = Some(identity);
        if metadata.len() == self.offset {
            return Ok(Grown::Not);
        }
        let mut head = vec![0; self.head.len()];
        file.read_exact(&mut head)?;
        if head != self.head {
            *self = Self::new(&self.path);
            return Ok(Grown::Anew);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let before = self.pending.len();
        let read = file.take(CHUNK as u64).read_to_end(&mut self.pending)?;
        self.offset += read as u64;
        let wanted = HEAD.saturating_sub(self.head.len()).min(read);
        self.head.extend(&self.pending[before..before + wanted]);
        Ok(if read == 0 { Grown::Not } else { Grown::Some })
    }

    /// The bytes read but not consumed.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Offset of the pending bytes in the file.
    pub fn at(&self) -> u64 {
        self.offset - self.pending.len() as u64
    }

    /// Drops the first `bytes` pending bytes; more than there are drops all.
    pub fn consume(&mut self, bytes: usize) {
        self.pending.drain(..bytes.min(self.pending.len()));
        if self.pending.is_empty() && self.pending.capacity() > MAX_IDLE_BUFFER {
            self.pending = Vec::new();
        }
    }

    /// Calls `line` with each complete pending line and consumes it. A line ends at `end` or a newline.
    pub fn lines(&mut self, end: u8, mut line: impl FnMut(&[u8])) {
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\n', end, &self.pending) {
            line(&self.pending[start..at]);
            start = at + 1;
        }
        if start == 0 && self.pending.len() > MAX_LINE {
            start = self.pending.len();
        }
        self.consume(start);
    }

    /// Completes the last line, because the file will not grow any more.
    pub fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.pending.push(b'\n');
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Without inode numbers, the creation time identifies a file.
#[cfg(not(unix))]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    let created =
        metadata.created().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    (0, created.map_or(0, |t| t.as_nanos() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines(tail: &mut Tail) -> Vec<String> {
        let mut all = Vec::new();
        while tail.read().expect("reads") == Grown::Some {
            tail.lines(b'\n', |l| all.push(String::from_utf8_lossy(l).into_owned()));
        }
        all
    }

    #[test]
    fn a_half_written_line_waits_for_its_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        let mut file = File::create(&path).expect("makes");
        let mut tail = Tail::new(&path);
        file.write_all(b"one\ntw").expect("writes");
        assert_eq!(lines(&mut tail), ["one"]);
        file.write_all(b"o\n").expect("writes");
        assert_eq!(lines(&mut tail), ["two"]);
        assert_eq!(tail.read().expect("reads"), Grown::Not);
        // Longer than one chunk.
        let long = "x".repeat(CHUNK + 5);
        writeln!(file, "{long}").expect("writes");
        assert_eq!(lines(&mut tail), [long]);
    }

    #[test]
    fn a_cut_and_a_replaced_file_begin_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        std::fs::write(&path, "one\ntwo\n").expect("writes");
        let mut tail = Tail::new(&path);
        assert_eq!(lines(&mut tail), ["one", "two"]);
        std::fs::write(&path, "new\n").expect("writes");
        assert_eq!(tail.read().expect("reads"), Grown::Anew);
        assert_eq!(lines(&mut tail), ["new"]);
        let other = dir.path().join("other");
        std::fs::write(&other, "longer than before\n").expect("writes");
        std::fs::rename(&other, &path).expect("replaces");
        assert_eq!(tail.read().expect("reads"), Grown::Anew);
        assert_eq!(lines(&mut tail), ["longer than before"]);
        // Written again in place, and longer.
        std::fs::write(&path, "another head, and longer than all before\n").expect("writes");
        assert_eq!(tail.read().expect("reads"), Grown::Anew);
        assert_eq!(lines(&mut tail).len(), 1);
        std::fs::remove_file(&path).expect("removes");
        assert!(tail.read().is_err());
    }
}

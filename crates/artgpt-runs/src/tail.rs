//! A file that grows, is cut or replaced under its reader.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// A line that is longer is no line.
const LONGEST: usize = 16 << 20;
/// Bytes of the head that are compared.
const HEAD: usize = 256;
/// An empty buffer of more than this is given back.
const KEPT: usize = 1 << 16;

#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Which file it was that was read, and how far.
    file: Option<Identity>,
    offset: u64,
    /// How it began: a program that writes it again from the start keeps its number.
    head: Vec<u8>,
    /// Read, and not consumed yet.
    pending: Vec<u8>,
}

/// What has become of the file since it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grown {
    /// There is nothing that was not read.
    Not,
    /// There are new bytes, and perhaps more of them.
    Some,
    /// It was cut or replaced: what was read before does not count.
    Anew,
}

type Identity = (u64, u64);

impl Tail {
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), file: None, offset: 0, head: Vec::new(), pending: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the next bytes. After [`Grown::Anew`] the reading begins again from the start.
    pub fn read(&mut self) -> std::io::Result<Grown> {
        let mut file = File::open(&self.path)?;
        let about = file.metadata()?;
        let identity = identity(&about);
        if self.file.is_some_and(|known| known != identity) || about.len() < self.offset {
            *self = Self::new(&self.path);
            return Ok(Grown::Anew);
        }
        self.file = Some(identity);
        if about.len() == self.offset {
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

    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Where in the file the pending bytes begin.
    pub fn at(&self) -> u64 {
        self.offset - self.pending.len() as u64
    }

    pub fn consume(&mut self, bytes: usize) {
        self.pending.drain(..bytes.min(self.pending.len()));
        if self.pending.is_empty() && self.pending.capacity() > KEPT {
            self.pending = Vec::new();
        }
    }

    /// Hands over the whole lines that are there, and keeps the last one until it is whole. A line
    /// ends at `end` or at a newline.
    pub fn lines(&mut self, end: u8, mut line: impl FnMut(&[u8])) {
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\n', end, &self.pending) {
            line(&self.pending[start..at]);
            start = at + 1;
        }
        if start == 0 && self.pending.len() > LONGEST {
            start = self.pending.len();
        }
        self.consume(start);
    }

    /// Ends the last line: nothing more comes.
    pub fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.pending.push(b'\n');
        }
    }
}

#[cfg(unix)]
fn identity(about: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino())
}

/// Where files have no number their time of making tells one from its follower.
#[cfg(not(unix))]
fn identity(about: &std::fs::Metadata) -> Identity {
    let made = about.created().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    (0, made.map_or(0, |t| t.as_nanos() as u64))
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

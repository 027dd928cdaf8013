//! Reads a file that grows, and notices when it is truncated or replaced.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use artgpt_base::decode::{self, Decoder};

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
    /// Bytes read but not consumed; of a text, decoded to UTF-8.
    pending: Vec<u8>,
    /// Of a text.
    decoder: Option<Decoder>,
    /// Line feeds consumed.
    ended: u64,
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
    /// A reader of the bytes of this file, at its start.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            file: None,
            offset: 0,
            head: Vec::new(),
            pending: Vec::new(),
            decoder: None,
            ended: 0,
        }
    }

    /// A reader of this text file, at its start. Decodes it to UTF-8.
    pub fn text(path: &Path) -> Self {
        Self { decoder: Some(Decoder::default()), ..Self::new(path) }
    }

    fn restarted(&self) -> Self {
        Self { decoder: self.decoder.as_ref().map(|_| Decoder::default()), ..Self::new(&self.path) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads at most 1 MiB of new bytes. After [`Grown::Anew`], the next call reads from the start.
    ///
    /// # Errors
    /// Those of opening and reading the file; [`std::io::ErrorKind::InvalidData`] if a text has an
    /// encoding that is not supported.
    pub fn read(&mut self) -> std::io::Result<Grown> {
        let mut file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        let identity = identity(&metadata);
        if self.file.is_some_and(|known| known != identity) || metadata.len() < self.offset {
            *self = self.restarted();
            return Ok(Grown::Anew);
        }
        self.file = Some(identity);
        if metadata.len() == self.offset {
            return Ok(Grown::Not);
        }
        let mut head = vec![0; self.head.len()];
        file.read_exact(&mut head)?;
        if head != self.head {
            *self = self.restarted();
            return Ok(Grown::Anew);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let before = self.pending.len();
        let read = file.take(CHUNK as u64).read_to_end(&mut self.pending)?;
        let wanted = HEAD.saturating_sub(self.head.len()).min(read);
        let head = self.pending[before..before + wanted].to_vec();
        if let Some(decoder) = &mut self.decoder
            && let Err(e) = decoder.decode(&mut self.pending, before)
        {
            // The next read says so again.
            *self = self.restarted();
            return Err(e.into());
        }
        self.offset += read as u64;
        self.head.extend(head);
        Ok(if read == 0 { Grown::Not } else { Grown::Some })
    }

    /// The bytes read but not consumed.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Offset of the pending bytes in the file; not of a text.
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

    /// Calls `line` with each complete pending line of a text, as one reads it, and its number in the
    /// file from 1; consumes them. A carriage return ends a line, too: progress bars overwrite theirs.
    /// Returns how many bytes of an endless line were dropped.
    pub fn text_lines(&mut self, mut line: impl FnMut(&str, u64)) -> usize {
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\n', b'\r', &self.pending) {
            line(&decode::line(&self.pending[start..at]), self.ended + 1);
            self.ended += u64::from(self.pending[at] == b'\n');
            start = at + 1;
        }
        let dropped = match start == 0 && self.pending.len() > MAX_LINE {
            true => self.pending.len(),
            false => 0,
        };
        self.consume(start + dropped);
        dropped
    }

    /// Completes the last line, because the file will not grow any more.
    pub fn finish(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(&mut self.pending);
        }
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
    fn a_text_is_decoded_as_it_grows() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        let utf16: Vec<u8> =
            "\u{feff}one\r\ntwo ö\r\nthree".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut tail = Tail::text(&path);
        let mut all = Vec::new();
        // It stops within every unit once.
        for end in 1..=utf16.len() {
            std::fs::write(&path, &utf16[..end]).expect("writes");
            while tail.read().expect("reads") == Grown::Some {
                tail.text_lines(|line, number| all.push((line.to_string(), number)));
            }
        }
        tail.finish();
        tail.text_lines(|line, number| all.push((line.to_string(), number)));
        all.retain(|(line, _)| !line.is_empty());
        assert_eq!(all, [("one".into(), 1), ("two ö".into(), 2), ("three".to_string(), 3)]);
        // What cannot be decoded is an error each time, until the file is another one.
        std::fs::write(&path, [0xff, 0xfe, 0, 0, b'a', 0, 0, 0].repeat(9)).expect("writes");
        assert_eq!(tail.read().expect("reads"), Grown::Anew);
        for _ in 0..2 {
            let told = tail.read().expect_err("is not supported").to_string();
            assert!(told.contains("UTF-32"), "{told}");
        }
        std::fs::write(&path, "again\n").expect("writes");
        assert_eq!(tail.read().expect("reads"), Grown::Some);
        tail.text_lines(|line, _| assert_eq!(line, "again"));
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

//! A file of bounded size: when it is full it becomes `.1`, and `.1` becomes `.2`.
//!
//! Written here because the crates for this pull in a calendar and a compressor. Several processes may
//! share one log: lines are appended, and a process whose file was rotated by another opens the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use artgpt_base::private;

const NAME: &str = "artgpt-tui.log";
/// Bytes of one file.
const MAX_BYTES: u64 = 1 << 20;
/// Full files that are kept beside the current one.
const KEPT: usize = 2;

pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    max_bytes: u64,
}

impl RotatingFile {
    /// Opens the log in `folder`, which is created.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        private::folder(folder)?;
        let path = folder.join(NAME);
        let file = append_to(&path)?;
        Ok(Self { path, file, max_bytes: MAX_BYTES })
    }

    /// Appends whole lines.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length > 0 && length + lines.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        self.file.write_all(lines)
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.is_current() {
            for number in (1..KEPT).rev() {
                let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        self.file = append_to(&self.path)?;
        Ok(())
    }

    /// Whether no other process has rotated the file.
    fn is_current(&self) -> bool {
        let same = |a: fs::Metadata, b: fs::Metadata| {
            use std::os::unix::fs::MetadataExt;
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        };
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(open), Ok(named)) => same(open, named),
            _ => false,
        }
    }

    fn numbered(&self, number: usize) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_rotated_and_few_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = RotatingFile::open(folder.path()).expect("opens");
        log.max_bytes = 20;
        for i in 0..9 {
            log.append(format!("line {i} of 9\n").as_bytes()).expect("appends");
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("reads");
        assert_eq!(read("artgpt-tui.log"), "line 8 of 9\n");
        assert_eq!(read("artgpt-tui.log.1"), "line 7 of 9\n");
        assert_eq!(read("artgpt-tui.log.2"), "line 6 of 9\n");
        assert_eq!(folder.path().read_dir().expect("reads").count(), 3);
    }

    #[test]
    fn a_second_process_goes_on_in_the_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut logs = [0, 1].map(|_| RotatingFile::open(folder.path()).expect("opens"));
        logs.iter_mut().for_each(|log| log.max_bytes = 20);
        logs[0].append(b"first line\n").expect("appends");
        logs[0].append(b"second line\n").expect("rotates");
        logs[1].append(b"third line\n").expect("follows");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("reads");
        assert_eq!(read("artgpt-tui.log.1"), "first line\n");
        // It found its file full and already rotated.
        assert!(read("artgpt-tui.log").contains("third line"));
    }
}

//! The last line of a file that a program may still write.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::catalogue::{Kind, Source};
use crate::curves::Curves;
use crate::readers::Reader;
use crate::skipped::Skipped;

/// How the last line of a text ends that a program may still write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastLine {
    /// With a line end.
    Ended,
    /// Without one.
    Open,
    /// Without one, where a buffer of the program ended: half a number looks like a whole one.
    Cut,
}

/// Programs write a buffer of a multiple of this when it is full.
const BUFFER: u64 = 4096;

impl LastLine {
    /// That of a file; one that cannot be read, or is no text, has nothing more.
    pub(super) fn of(source: &Source) -> Self {
        if matches!(source.kind, Kind::Events | Kind::Wandb) {
            return Self::Ended;
        }
        let ends = || -> std::io::Result<([u8; 2], u64)> {
            let mut file = File::open(&source.path)?;
            let length = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(length.saturating_sub(2)))?;
            let mut last = [b'\n'; 2];
            file.read_exact(&mut last)?;
            Ok((last, length))
        };
        match ends() {
            // UTF-16 has a zero byte beside it.
            Ok(([_, b'\n' | b'\r'] | [b'\n' | b'\r', 0], _)) | Err(_) => Self::Ended,
            Ok((_, length)) if length % BUFFER == 0 => Self::Cut,
            Ok(_) => Self::Open,
        }
    }

    /// Reads the end of the file, if it counts; returns what the reader left out.
    pub(super) fn finish(self, reader: &mut dyn Reader, into: &mut Curves) -> Skipped {
        let before = reader.skipped().clone();
        if self != Self::Cut {
            reader.finish();
            reader.parse(into);
        }
        let now = reader.skipped();
        let is_quote = now.iter().any(|part| part.reason.contains("quote"));
        let lost = match self {
            Self::Ended => false,
            Self::Open => now.total() == before.total() + 1 && !is_quote,
            Self::Cut => true,
        };
        if !lost {
            return now.clone();
        }
        let mut all = before;
        all.add("last lines without an end (the run may still write)", 1);
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::find;
    use crate::run_reader::RunReader;

    /// The steps of the losses in a fresh file, and what was left out.
    fn read(name: &str, content: &[u8]) -> (Vec<f64>, String) {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(name), content).expect("writes");
        let run = RunReader::whole(find(dir.path(), false).pop().expect("a run"), None);
        let steps = run.curves.get("loss").map_or(vec![], |s| s.points().map(|p| p.step).collect());
        (steps, run.skipped.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_whole_last_line_counts_and_half_a_one_is_told() {
        let told = "last lines without an end (the run may still write): 1";
        let none = String::new();
        let json = "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.4}";
        assert_eq!(read("metrics.jsonl", json.as_bytes()), (vec![1.0, 2.0], none.clone()));
        let half = format!("{json}\n{{\"step\":3,\"lo");
        assert_eq!(read("metrics.jsonl", half.as_bytes()), (vec![1.0, 2.0], told.into()));
        let csv = "step,lr,loss\n1,0.1,0.5\n2,0.1,0.4";
        assert_eq!(read("metrics.csv", csv.as_bytes()), (vec![1.0, 2.0], none.clone()));
        let utf16: Vec<u8> =
            format!("\u{feff}{csv}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read("metrics.csv", &utf16), (vec![1.0, 2.0], none));
        let half = format!("{csv}\n3,0.");
        assert_eq!(read("metrics.csv", half.as_bytes()), (vec![1.0, 2.0], told.into()));
        // Where a buffer ends, the last number may be half of one.
        let full = format!("step,loss\n{}1,0.5\n2,0.25", "\n".repeat(4096 - 22));
        assert_eq!(full.len(), 4096);
        assert_eq!(read("metrics.csv", full.as_bytes()), (vec![1.0], told.into()));
    }

    #[test]
    fn a_stray_quote_does_not_hide_the_rows_after_it() {
        let (steps, told) = read("metrics.tsv", b"step\tloss\n1\t0.5\n2\t\"0.4\n3\t0.3\n4\t0.2\n");
        assert_eq!(steps, [1.0, 3.0, 4.0]);
        assert!(told.contains("quote that is not closed: 1"), "{told}");
    }
}

//! CSV and TSV lists, row by row: a museum's table may be larger than memory.
//!
//! Columns have the names of the header, in any order and case. A header that is repeated, or that changes,
//! names the columns of the rows after it.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use csv::StringRecord;

use super::row::{Row, is_known, normalised};
use super::tables::{LocatedRow, Rows, Skip};
use super::{DataError, Result, io, text};
use artgpt_base::files::read_limited;

/// Bytes of a table in which its delimiter is looked for.
const HEAD: u64 = 64 << 10;
/// Limit on the bytes of a table in UTF-16, which is read whole.
const MAX_UTF16: u64 = 1 << 30;
/// Limit on the bytes of a last row that are searched for the end of a quote.
const MAX_LAST: u64 = 64 << 20;

trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// Reads a table. Without a delimiter, it is the one of the header that makes the most columns.
pub(super) fn read(path: &Path, delimiter: Option<u8>) -> Result<Rows> {
    let bad = |reason: String| DataError::Format {
        path: path.display().to_string(),
        format: "CSV",
        reason,
    };
    let mut head = Vec::new();
    File::open(path).map_err(io(path))?.take(HEAD).read_to_end(&mut head).map_err(io(path))?;
    let open: Box<dyn Fn() -> std::io::Result<Box<dyn Source>>> = match is_utf16(&head) {
        false => {
            let path = path.to_path_buf();
            Box::new(move || Ok(Box::new(BufReader::new(File::open(&path)?))))
        }
        true => {
            let bytes = read_limited(path, MAX_UTF16).map_err(io(path))?;
            let decoded = text(bytes).map_err(bad)?;
            head = decoded.as_bytes()[..decoded.len().min(HEAD as usize)].to_vec();
            let shared: std::sync::Arc<[u8]> = decoded.into_bytes().into();
            Box::new(move || Ok(Box::new(Cursor::new(std::sync::Arc::clone(&shared)))))
        }
    };
    let delimiter = delimiter.unwrap_or_else(|| best_delimiter(&head));
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter).flexible(true).trim(csv::Trim::Headers);
    let mut reader = builder.from_reader(open().map_err(io(path))?);
    let header = reader.headers().map_err(|e| bad(e.to_string()))?.clone();
    let mut table = Table { header, open };
    let mut records = reader.into_records().enumerate().peekable();
    Ok(Box::new(std::iter::from_fn(move || {
        let (i, record) = records.next()?;
        let is_last = records.peek().is_none();
        // The header is the first line of a table, a row may have many.
        let place = format!("row {}", i + 1);
        Some(table.row(place, record, is_last))
    })))
}

struct Table {
    header: StringRecord,
    /// Opens the table again, from its beginning.
    open: Box<dyn Fn() -> std::io::Result<Box<dyn Source>>>,
}

impl Table {
    fn row(
        &mut self,
        place: String,
        record: csv::Result<StringRecord>,
        is_last: bool,
    ) -> LocatedRow {
        let record = match record {
            Ok(record) => record,
            Err(e) => return (place, Err(Skip::lost(e.to_string()))),
        };
        if is_header(&record, &self.header) {
            self.header = record;
            return (
                place,
                Err(Skip::unused("it is a header; it names the columns of what follows")),
            );
        }
        if is_last && let Some(lines) = self.lines_after_open_quote(&record) {
            let reason =
                format!("its quote has no end: {lines} lines, to the end of the list, are lost");
            return (place, Err(Skip::lost(reason)));
        }
        let extra = record.iter().skip(self.header.len());
        if record.len() < self.header.len() || extra.clone().any(|cell| !cell.trim().is_empty()) {
            let (cells, columns) = (record.len(), self.header.len());
            let reason = format!("it has {cells} cells, and the header has {columns}");
            return (place, Err(Skip::lost(reason)));
        }
        (place, Ok(Row::of(self.header.iter().zip(record.iter()))))
    }

    /// The number of lines of the last row, if a quote in it never ends.
    fn lines_after_open_quote(&self, record: &StringRecord) -> Option<usize> {
        let begin = record.position()?.byte();
        let mut source = (self.open)().ok()?;
        source.seek(SeekFrom::Start(begin)).ok()?;
        let mut raw = Vec::new();
        source.take(MAX_LAST).read_to_end(&mut raw).ok()?;
        let is_open = raw.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        // A quote within a plain cell, such as 5", is a character.
        let spans = record.iter().any(|cell| cell.contains('\n'));
        (is_open && spans).then(|| raw.trim_ascii_end().split(|byte| *byte == b'\n').count())
    }
}

/// Whether a record names columns: those of the header, or others that are known.
fn is_header(record: &StringRecord, header: &StringRecord) -> bool {
    let names = |record: &StringRecord| {
        let mut names: Vec<String> = record.iter().map(normalised).collect();
        names.sort_unstable();
        names
    };
    let (own, known) = (names(record), names(header));
    let is_new = own.len() > 1
        && own.windows(2).all(|pair| pair[0] != pair[1])
        && own.iter().all(|name| is_known(name) || known.contains(name));
    own == known || is_new
}

fn is_utf16(head: &[u8]) -> bool {
    // A text in UTF-8 has no zero bytes.
    head.starts_with(&[0xff, 0xfe])
        || head.starts_with(&[0xfe, 0xff])
        || head.iter().take(64).any(|b| *b == 0)
}

/// The delimiter that splits the first line into the most cells; a comma where none does.
fn best_delimiter(head: &[u8]) -> u8 {
    let mut is_quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in head {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' | b'\r' if !is_quoted => break,
            _ if is_quoted => {}
            byte => counts.iter_mut().filter(|(mark, _)| mark == byte).for_each(|c| c.1 += 1),
        }
    }
    // The first of the best.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(mark, _)| *mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captions by picture, and why rows are skipped.
    fn of(bytes: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("list.csv");
        std::fs::write(&path, bytes).expect("writes");
        let rows = read(&path, None).expect("reads");
        rows.map(|(place, row)| match row {
            Ok(row) => format!(
                "{}: {}",
                row.get("image").unwrap_or("-"),
                row.get("caption").unwrap_or("-")
            ),
            Err(skip) => {
                format!("{place} {}: {}", if skip.is_loss { "lost" } else { "unused" }, skip.reason)
            }
        })
        .collect()
    }

    #[test]
    fn delimiters_headers_and_encodings_of_other_programs_are_read() {
        let both = ["1.jpg: a, b", "2.jpg: c"];
        assert_eq!(of(b"image,caption\n1.jpg,\"a, b\"\n2.jpg,c\n"), both);
        assert_eq!(of(b"Image;Caption\r\n1.jpg;a, b\r\n2.jpg;c\r\n"), both);
        assert_eq!(of(b"\xef\xbb\xbf image | TEXT \n1.jpg|a, b\n2.jpg|c"), both);
        assert_eq!(of(b"image\tcaption\r1.jpg\ta, b\r2.jpg\tc\r"), both);
        let wide = "\u{feff}image;caption\n1.jpg;a, b\n2.jpg;c\n";
        let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(&wide), both);
        assert_eq!(of(b"caption,image,,\na,1.jpg,,\n"), ["1.jpg: a"]);
    }

    #[test]
    fn headers_in_the_middle_name_the_columns_after_them() {
        let unused = "unused: it is a header; it names the columns of what follows";
        let repeated = of(b"image,caption\n1.jpg,a\nImage,Caption\n2.jpg,b\n");
        assert_eq!(repeated, ["1.jpg: a", &format!("row 2 {unused}"), "2.jpg: b"]);
        let changed = of(b"image,caption\n1.jpg,a\ncaption,image\nb,2.jpg\ntext,file\nc,3.jpg\n");
        assert_eq!(changed[2..], ["2.jpg: b", &format!("row 4 {unused}"), "3.jpg: c"]);
    }

    #[test]
    fn rows_that_are_too_long_or_never_end_are_named() {
        let rows = of(b"image,caption\n1.jpg,a,b\n2.jpg\n3.jpg,c,\n4.jpg,5\" wide\n");
        assert_eq!(rows[0], "row 1 lost: it has 3 cells, and the header has 2");
        assert_eq!(rows[1], "row 2 lost: it has 1 cells, and the header has 2");
        assert_eq!(rows[2..], ["3.jpg: c", "4.jpg: 5\" wide"]);
        let open = of(b"image,caption\n1.jpg,a\n2.jpg,\"b\n3.jpg,c\n4.jpg,d\n");
        assert_eq!(
            open,
            [
                "1.jpg: a",
                "row 2 lost: its quote has no end: 3 lines, to the end of the list, are lost"
            ]
        );
        assert_eq!(of(b"image,caption\n1.jpg,\"a\nb\"\n"), ["1.jpg: a\nb"]);
        let bytes = of(b"image,caption\n1.jpg,\xe9\n2.jpg,b\n");
        assert!(bytes[0].starts_with("row 1 lost: ") && bytes[1] == "2.jpg: b", "{bytes:?}");
    }
}

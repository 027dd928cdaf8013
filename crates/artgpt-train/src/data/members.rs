//! The members of a tar file: old, ustar, GNU and PAX headers, in files that may be cut short or damaged.
//!
//! After a damaged header, reading goes on at the next valid one. Tar files that are joined to one are
//! read to the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// Limit on the bytes of a long name or of extended fields.
const MAX_EXTENSION: u64 = 1 << 20;

/// What comes next in a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Member(Member),
    /// A part of the file that cannot be read: why, for people.
    Lost(String),
}

/// A member of a tar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name, without a leading `./`.
    pub name: String,
    pub kind: Kind,
    /// Offset of its data.
    pub offset: u64,
    /// Length of its data by its header.
    pub bytes: u64,
    /// Length of its data that the file holds.
    pub there: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A link to another name.
    Link(String),
    /// A file whose zeros are left out.
    Sparse,
    /// A device, or what this type stands for in another program.
    Other(u8),
}

/// Reads a tar file from its beginning.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    file: &'a File,
    length: u64,
    at: u64,
    /// The last member's name, to say where damage is.
    last: String,
    /// Whether the mark of the end followed the last member.
    has_end: bool,
    is_over: bool,
}

/// Fields that extended headers give to the member after them.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    bytes: Option<u64>,
    is_sparse: bool,
}

impl<'a> Members<'a> {
    pub(crate) fn of(file: &'a File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let last = "its beginning".to_string();
        Ok(Self { file, length, at: 0, last, has_end: false, is_over: false })
    }

    /// The next member, or what is lost before it; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found>> {
        let mut extended = Extended::default();
        loop {
            if self.is_over {
                return Ok(None);
            }
            let Some(block) = self.header()? else {
                self.is_over = true;
                return Ok(self.end());
            };
            if block.iter().all(|byte| *byte == 0) {
                self.has_end = true;
                self.at += BLOCK;
                continue;
            }
            let header = Header::from_byte_slice(&block);
            let size = header.entry_size().ok().filter(|_| is_valid(&block));
            let Some(size) = size else { return self.skip_damage().map(Some) };
            self.has_end = false;
            let start = self.at + BLOCK;
            let kind = header.entry_type();
            if is_extension(kind) {
                if size > MAX_EXTENSION || start + size > self.length {
                    return self.skip_damage().map(Some);
                }
                let data = self.read(start, size)?;
                self.at = start + size.next_multiple_of(BLOCK);
                extended.take(kind, &data);
                continue;
            }
            return self.member(header, size, extended).map(Some);
        }
    }

    fn member(&mut self, header: &Header, size: u64, extended: Extended) -> io::Result<Found> {
        let mut start = self.at + BLOCK;
        let kind = header.entry_type();
        if kind == EntryType::GNUSparse {
            // Maps of the parts follow, a block each, as long as a flag says so.
            let mut more = header.as_bytes()[482] != 0;
            while more && start + BLOCK <= self.length {
                more = self.read(start, BLOCK)?[504] != 0;
                start += BLOCK;
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let name = text(extended.name.unwrap_or_else(|| header.path_bytes().into_owned()));
        let name = name.trim_start_matches("./").to_string();
        let link = extended.link.or_else(|| Some(header.link_name_bytes()?.into_owned()));
        let bytes = match kind {
            // Some programs write the size of what a link leads to.
            EntryType::Link | EntryType::Symlink | EntryType::Directory => 0,
            _ => extended.bytes.unwrap_or(size),
        };
        let kind = match kind {
            _ if extended.is_sparse => Kind::Sparse,
            EntryType::Regular if name.ends_with('/') => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::Link | EntryType::Symlink => Kind::Link(text(link.unwrap_or_default())),
            EntryType::GNUSparse => Kind::Sparse,
            other => Kind::Other(other.as_byte()),
        };
        let end = start.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(BLOCK));
        self.at = end.unwrap_or(u64::MAX).min(self.length.next_multiple_of(BLOCK));
        self.last.clone_from(&name);
        let there = bytes.min(self.length.saturating_sub(start));
        // What is cut off has no end, and its own lack is said of it.
        self.has_end = there < bytes;
        Ok(Found::Member(Member { name, kind, offset: start, bytes, there }))
    }

    /// The block at the present place; `None` if the file ends before its end.
    fn header(&self) -> io::Result<Option<[u8; BLOCK as usize]>> {
        if self.at + BLOCK > self.length {
            return Ok(None);
        }
        let mut block = [0; BLOCK as usize];
        self.file.read_exact_at(&mut block, self.at)?;
        Ok(Some(block))
    }

    /// What is to be said at the end of the file.
    fn end(&self) -> Option<Found> {
        let rest = self.length.saturating_sub(self.at);
        let last = &self.last;
        match (rest, self.has_end) {
            (0, true) => None,
            _ if self.length == 0 => Some(Found::Lost("it is empty (0 bytes)".into())),
            (0, false) => Some(Found::Lost(format!(
                "it has no end mark after {last}: it may be cut off, and what followed is lost"
            ))),
            (rest, _) => Some(Found::Lost(format!(
                "it ends within a header, {rest} bytes after {last}: what followed is lost"
            ))),
        }
    }

    /// Goes to the next valid header after a damaged one.
    fn skip_damage(&mut self) -> io::Result<Found> {
        let from = self.at;
        let last = self.last.clone();
        self.at += BLOCK;
        while let Some(block) = self.header()? {
            if is_valid(&block) {
                let name = Header::from_byte_slice(&block).path_bytes().into_owned();
                let next = String::from_utf8_lossy(&name).into_owned();
                let bytes = self.at - from;
                return Ok(Found::Lost(format!(
                    "a header after {last} is damaged: {bytes} bytes are lost, up to {next}"
                )));
            }
            self.at += BLOCK;
        }
        let bytes = self.length - from;
        self.is_over = true;
        Ok(Found::Lost(match from {
            0 => "it is not a tar file".into(),
            _ => format!("a header after {last} is damaged: the rest is lost, {bytes} bytes"),
        }))
    }

    /// Reads a part of the file that is known to be there.
    pub(crate) fn read(&self, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let mut out = vec![0; bytes as usize];
        self.file.read_exact_at(&mut out, offset)?;
        Ok(out)
    }
}

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

/// Whether the checksum of a header is right; a block of zeros is none.
fn is_valid(block: &[u8; BLOCK as usize]) -> bool {
    let Ok(expected) = Header::from_byte_slice(block).cksum() else { return false };
    let blank = |i: usize, byte: u8| if (148..156).contains(&i) { b' ' } else { byte };
    let sum: u32 = block.iter().enumerate().map(|(i, byte)| u32::from(blank(i, *byte))).sum();
    block.iter().any(|byte| *byte != 0) && sum == expected
}

impl Extended {
    fn take(&mut self, kind: EntryType, data: &[u8]) {
        let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
        match kind {
            EntryType::GNULongName => self.name = Some(data[..end].to_vec()),
            EntryType::GNULongLink => self.link = Some(data[..end].to_vec()),
            EntryType::XHeader => records(data).for_each(|(key, value)| match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    self.bytes = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok())
                }
                b"GNU.sparse.name" => (self.name, self.is_sparse) = (Some(value.to_vec()), true),
                key if key.starts_with(b"GNU.sparse.") => self.is_sparse = true,
                _ => {}
            }),
            // Fields for all members; none of them names one.
            _ => {}
        }
    }
}

/// The records `LENGTH KEY=VALUE\n` of a PAX header, up to the first that is none.
fn records(mut data: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let space = data.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
        let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
        data = &data[length..];
        let equals = record.iter().position(|byte| *byte == b'=')?;
        Some((&record[..equals], &record[equals + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What Python's tarfile reads in tar files of every dialect (`tests/reference/make_shards.py`).
    #[test]
    fn every_dialect_is_read_as_python_s_tarfile_reads_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/shards");
        let text = std::fs::read_to_string(folder.join("members.json")).expect("reads");
        let expected: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).expect("parses");
        for (name, expected) in expected {
            let file = File::open(folder.join(&name)).expect("opens");
            let mut members = Members::of(&file).expect("opens");
            let mut all = Vec::new();
            while let Some(found) = members.next().expect("reads") {
                let Found::Member(member) = found else { panic!("{name}: {found:?}") };
                let kind = match &member.kind {
                    Kind::File => "file",
                    Kind::Folder => "folder",
                    Kind::Link(_) => "link",
                    Kind::Sparse => "sparse",
                    Kind::Other(_) => "other",
                };
                let text = match member.kind {
                    Kind::File => members.read(member.offset, member.bytes).expect("reads"),
                    _ => Vec::new(),
                };
                // The maps of sparse files are read differently, and neither is used.
                let offset = if kind == "sparse" { 0 } else { member.offset };
                all.push(serde_json::json!({
                    "name": member.name.trim_end_matches('/'), "offset": offset, "kind": kind,
                    "text": String::from_utf8(text).expect("text"),
                }));
            }
            let mut expected = expected.as_array().expect("a list").clone();
            for member in &mut expected {
                if member["kind"] == "sparse" {
                    member["offset"] = 0.into();
                }
            }
            assert_eq!(all, expected, "{name}");
        }
    }
}

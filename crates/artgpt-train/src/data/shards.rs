//! WebDataset shards: tar files in which the members with one base name are one sample.
//!
//! Reading a shard reads headers and texts; it reads a picture only when a step draws it. Every member is
//! part of a pair, or rejected or unused with a reason.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::members::{Found, Kind, Member, Members};
use super::picture::Picture;
use super::row::Row;
use super::tables::{self, PICTURES};
use super::{DataError, Reader, RejectedRow, Result, RowResult, foreign, io, text};

/// Max length of a caption's file, bytes.
const LONGEST_TEXT: u64 = 1 << 20;
/// Extensions of texts, the first that a sample has gives its caption.
const TEXTS: [&str; 4] = ["txt", "caption", "text", "json"];

/// The files that match a pattern, in order.
pub(crate) fn files(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let mut out = Vec::new();
    for one in expand(&text)? {
        if !one.contains(['*', '?']) {
            out.push(PathBuf::from(one));
            continue;
        }
        let found = glob::glob(&one).map_err(|e| DataError::Config(format!("{one}: {e}")))?;
        out.extend(found.filter_map(std::result::Result::ok));
    }
    // Fails now, not hours into a run. Samples are drawn from anywhere in a shard, which a compressed one
    // does not allow.
    out.iter().try_for_each(|path| foreign::check(path))?;
    match out.is_empty() {
        true => Err(DataError::Config(format!("there is no shard {text}"))),
        false => Ok(out),
    }
}

/// `{0000..0011}` to each number, with as many digits.
fn expand(text: &str) -> Result<Vec<String>> {
    let Some((before, rest)) = text.split_once('{') else { return Ok(vec![text.to_string()]) };
    let wrong =
        || DataError::Config(format!("{text:?}: braces hold a range, as in {{0000..0011}}"));
    let (range, after) = rest.split_once('}').ok_or_else(wrong)?;
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
    let (from, to, width) = (number(first)?, number(last)?, first.len());
    let tails = expand(after)?;
    Ok((from..=to)
        .flat_map(|n| tails.iter().map(move |tail| format!("{before}{n:0width$}{tail}")))
        .collect())
}

/// All samples of a shard, in the order of their first members. What is damaged or not used becomes a row
/// of its own.
pub(crate) fn read(path: &Path, reader: &Reader) -> Result<Vec<RowResult>> {
    let shard: Arc<Path> = path.into();
    let file = File::open(path).map_err(io(path))?;
    let mut members = Members::of(&file).map_err(io(path))?;
    let mut samples = Samples::default();
    let mut out = Vec::new();
    let place = |name: &str| format!("{}!{name}", path.display());
    let mut reject = |place: String, reason: String, is_loss: bool| {
        let row = RejectedRow { place, reason };
        out.push(if is_loss { RowResult::Rejected(row) } else { RowResult::Unused(row) });
    };
    loop {
        let member = match members.next() {
            Ok(None) => break,
            Ok(Some(Found::Member(member))) => member,
            Ok(Some(Found::Lost(reason))) => {
                reject(path.display().to_string(), reason, true);
                continue;
            }
            Err(e) => {
                reject(path.display().to_string(), format!("the rest cannot be read: {e}"), true);
                break;
            }
        };
        if let Some((reason, is_loss)) = unused(&member) {
            if member.kind != Kind::Folder {
                reject(place(&member.name), reason, is_loss);
            }
            continue;
        }
        let (stem, ending) = stem_and_ending(&member.name);
        let sample = samples.of(stem);
        if sample.names.contains(&member.name) {
            reject(
                place(&member.name),
                "another member has the same name, and is used".into(),
                true,
            );
            continue;
        }
        sample.names.push(member.name.clone());
        if PICTURES.contains(&ending.as_str()) {
            let Member { name, offset, bytes, .. } = member;
            let shard = Arc::clone(&shard);
            sample.pictures.push((name.clone(), Picture::Member { shard, name, offset, bytes }));
            continue;
        }
        let bytes = members.read(member.offset, member.bytes).map_err(|e| e.to_string());
        match bytes.and_then(text) {
            Ok(text) => sample.texts.push((member.name, ending, text)),
            Err(reason) => {
                sample.has_bad_text = true;
                reject(place(&member.name), reason, true);
            }
        }
    }
    samples.finish(path, reader, &mut out);
    Ok(out)
}

/// Why a member is no part of a sample, and whether something is lost with it.
fn unused(member: &Member) -> Option<(String, bool)> {
    let file = member.name.rsplit('/').next().unwrap_or_default();
    let (_, ending) = stem_and_ending(&member.name);
    let is_text = TEXTS.contains(&ending.as_str());
    Some(match &member.kind {
        _ if tables::is_of_system(&member.name) => (tables::OF_SYSTEM.into(), false),
        Kind::Folder => ("it is a folder".into(), false),
        Kind::Link(to) => (format!("it is a link to {to}, and links are not followed"), true),
        Kind::Sparse => ("it is a sparse file, which is not read".into(), true),
        Kind::Other(kind) => {
            (format!("it is not a file, but of type {:?}", char::from(*kind)), false)
        }
        Kind::File if file.starts_with('.') && !file[1..].contains('.') => {
            ("it is a hidden file".into(), false)
        }
        Kind::File if member.there < member.bytes => {
            let Member { there, bytes, .. } = member;
            (format!("the shard ends within it: {there} of {bytes} bytes are there"), true)
        }
        Kind::File if is_text && member.bytes > LONGEST_TEXT => {
            ("it is too long for a caption".into(), true)
        }
        Kind::File if is_text || PICTURES.contains(&ending.as_str()) => return None,
        Kind::File => (tables::neither(&ending), false),
    })
}

/// The samples of a shard, in the order of their first members.
#[derive(Default)]
struct Samples {
    all: Vec<Sample>,
    by_stem: HashMap<String, usize>,
}

/// The members with one name up to the extension.
#[derive(Default)]
struct Sample {
    stem: String,
    /// Names of all its members.
    names: Vec<String>,
    pictures: Vec<(String, Picture)>,
    /// Names, extensions and contents.
    texts: Vec<(String, String, String)>,
    /// Whether it has a text that cannot be read, which is said of that text.
    has_bad_text: bool,
}

impl Samples {
    fn of(&mut self, stem: &str) -> &mut Sample {
        let at = *self.by_stem.entry(stem.to_string()).or_insert_with(|| {
            self.all.push(Sample { stem: stem.into(), ..Sample::default() });
            self.all.len() - 1
        });
        &mut self.all[at]
    }

    /// Whether the sample `stem` belongs to another, as `7.mask` to a whole sample `7`.
    fn owner(&self, sample: &Sample) -> Option<String> {
        if !sample.pictures.is_empty() && !sample.texts.is_empty() {
            return None;
        }
        let start = sample.stem.rfind('/').map_or(0, |i| i + 1);
        let dots = sample.stem[start..].match_indices('.').map(|(i, _)| start + i);
        let names = dots.map(|end| &sample.stem[..end]);
        let is_whole = |sample: &Sample| !sample.pictures.is_empty() && !sample.texts.is_empty();
        let mut owners =
            names.filter(|name| self.by_stem.get(*name).is_some_and(|i| is_whole(&self.all[*i])));
        owners.next().map(str::to_string)
    }

    fn finish(self, shard: &Path, reader: &Reader, out: &mut Vec<RowResult>) {
        for sample in &self.all {
            match self.owner(sample) {
                Some(owner) => out.extend(sample.names.iter().map(|name| {
                    let place = format!("{}!{name}", shard.display());
                    let reason = format!("it is neither the picture nor the text of {owner}");
                    RowResult::Unused(RejectedRow { place, reason })
                })),
                None => sample.finish(shard, reader, out),
            }
        }
    }
}

impl Sample {
    fn finish(&self, shard: &Path, reader: &Reader, out: &mut Vec<RowResult>) {
        let place = format!("{}!{}", shard.display(), self.stem);
        let rejected = |place: &str, reason: &str| {
            RowResult::Rejected(RejectedRow { place: place.into(), reason: reason.into() })
        };
        let unused = |name: &str, reason: String| {
            RowResult::Unused(RejectedRow { place: format!("{}!{name}", shard.display()), reason })
        };
        let Some((used, picture)) = self.pictures.first() else {
            if !self.texts.is_empty() {
                out.push(rejected(&place, "it has a text and no picture"));
            }
            return;
        };
        out.extend(
            self.pictures[1..]
                .iter()
                .map(|(name, _)| unused(name, format!("the picture of its sample is {used}"))),
        );
        let mut rows: Vec<std::result::Result<Row, String>> = Vec::new();
        let mut used = String::new();
        let rank = |ending: &str| TEXTS.iter().position(|known| *known == ending);
        let mut texts: Vec<_> = self.texts.iter().collect();
        texts.sort_by_key(|(_, ending, _)| rank(ending));
        for (name, ending, text) in texts {
            if ending != "json" {
                match rows.is_empty() {
                    true => {
                        rows.push(Ok(Row::of([("caption", text.as_str())])));
                        used.clone_from(name);
                    }
                    false => out.push(unused(name, format!("the text of its sample is {used}"))),
                }
                continue;
            }
            match serde_json::from_str::<serde_json::Value>(text) {
                // Its other fields join the caption of a text.
                Ok(serde_json::Value::Object(object)) if !rows.is_empty() => {
                    rows.iter_mut().flatten().for_each(|row| row.fill(Row::of_json(&object)));
                }
                Ok(value) => rows.extend(
                    tables::rows(String::new(), value)
                        .into_iter()
                        .map(|(_, row)| row.map_err(|skip| format!("{name}: {}", skip.reason))),
                ),
                Err(e) if rows.is_empty() => rows.push(Err(format!("{name}: {e}"))),
                Err(e) => {
                    out.push(rejected(&format!("{}!{name}", shard.display()), &e.to_string()))
                }
            }
        }
        if rows.is_empty() && !self.has_bad_text {
            out.push(rejected(&place, "it has a picture and no text"));
        }
        out.extend(rows.into_iter().map(|row| match row {
            Ok(row) => reader.read(&row, &place, Some(picture.clone())),
            Err(reason) => rejected(&place, &reason),
        }));
    }
}

/// The name up to its last extension, and the extension in lower case.
fn stem_and_ending(name: &str) -> (&str, String) {
    let start = name.rfind('/').map_or(0, |i| i + 1);
    match name[start..].rfind('.') {
        Some(dot) => (&name[..start + dot], name[start + dot + 1..].to_lowercase()),
        None => (name, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::PairsConfig;

    fn png() -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(2, 2).write_to(&mut bytes, image::ImageFormat::Png).expect("encodes");
        bytes.into_inner()
    }

    /// A tar file of pictures and texts by name; a text that begins with `->` is a link.
    fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            match bytes.strip_prefix(b"->") {
                Some(to) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    tar.append_link(&mut header, name, std::str::from_utf8(to).expect("a name"))
                }
                None => {
                    header.set_size(bytes.len() as u64);
                    tar.append_data(&mut header, name, *bytes)
                }
            }
            .expect("writes");
        }
        tar.into_inner().expect("writes")
    }

    /// Each pair, bad row and unused member of a shard with these bytes.
    fn read_bytes(bytes: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("s.tar");
        std::fs::write(&path, bytes).expect("writes");
        let config = format!("kind = \"webdataset\"\npath = {:?}", path.display().to_string());
        let config: PairsConfig = toml::from_str(&config).expect("parses");
        let reader = Reader::of(&config).expect("is right");
        let place = |place: &str| place.rsplit('/').next().unwrap_or_default().to_string();
        let rows = read(&path, &reader).expect("reads").into_iter();
        rows.map(|row| match row {
            RowResult::Pair(pair) => format!("{} = {}", pair.picture.short_name(), pair.caption),
            RowResult::Rejected(bad) => format!("bad {}: {}", place(&bad.place), bad.reason),
            RowResult::Unused(one) => format!("unused {}: {}", place(&one.place), one.reason),
            RowResult::LowScore => "low".into(),
        })
        .collect()
    }

    fn read_members(members: &[(&str, &[u8])]) -> Vec<String> {
        read_bytes(&packed(members))
    }

    #[test]
    fn ranges_keep_their_digits() {
        let all = expand("x/{08..10}-{0..1}.tar").expect("expands");
        assert_eq!(all.len(), 6);
        assert_eq!((all[0].as_str(), all[5].as_str()), ("x/08-0.tar", "x/10-1.tar"));
        assert!(expand("{a..b}").is_err() && expand("{1").is_err());
    }

    #[test]
    fn names_with_dots_are_samples_of_their_own() {
        let png = png();
        let all = read_members(&[
            ("0001.jpg", &png),
            ("0001.txt", b"one"),
            ("st.peter.JPG", &png),
            ("st.peter.txt", b"two"),
            ("v.2/Rembrandt_v.2.png", &png),
            ("v.2/Rembrandt_v.2.TXT", b"three"),
        ]);
        let expected = [
            "s.tar!0001.jpg = one",
            "s.tar!st.peter.JPG = two",
            "s.tar!v.2/Rembrandt_v.2.png = three",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn each_member_is_part_of_a_pair_or_named() {
        let png = png();
        let all = read_members(&[
            ("a.jpg", &png),
            ("b.jpg", &png),
            ("./a.txt", b"\xef\xbb\xbfa text"),
            ("b.json", br#"{"caption": "b text"}"#),
            ("a.seg.png", &png),
            ("a.png", &png),
            ("a.json", br#"{"caption": "another", "style": "x"}"#),
            ("a.jpg", &png),
            ("a.npy", b"123"),
            ("c.jpg", b"->a.jpg"),
            ("c.txt", b"c text"),
            ("d.jpg", &png),
            ("e.jpg", &png),
            ("e.txt", b"\xe9t\xe9"),
            ("f.jpg", &png),
            ("f.json", br#"{"captions": ["f one", "f two", 3]}"#),
            ("g.jpg", &png),
            ("g.json", b"{"),
            ("._a.jpg", b"x"),
            ("__MACOSX/a.txt", b"x"),
            ("dir/.DS_Store", b"x"),
        ]);
        let expected = [
            "bad s.tar!a.jpg: another member has the same name, and is used",
            "unused s.tar!a.npy: .npy is neither a picture nor a text that is read",
            "bad s.tar!c.jpg: it is a link to a.jpg, and links are not followed",
            "bad s.tar!e.txt: some of its bytes are no UTF-8 text",
            "unused s.tar!._a.jpg: it belongs to the operating system",
            "unused a.txt: it belongs to the operating system",
            "unused .DS_Store: it belongs to the operating system",
            "unused s.tar!a.png: the picture of its sample is a.jpg",
            "s.tar!a.jpg = a text",
            "s.tar!b.jpg = b text",
            "unused s.tar!a.seg.png: it is neither the picture nor the text of a",
            "bad s.tar!c: it has a text and no picture",
            "bad s.tar!d: it has a picture and no text",
            "s.tar!f.jpg = f one",
            "s.tar!f.jpg = f two",
            "bad s.tar!f: f.json: a caption of its list is no text",
            "bad s.tar!g: g.json: EOF while parsing an object at line 1 column 1",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_shard_that_is_cut_off_or_damaged_says_what_is_lost() {
        let png = png();
        let members: Vec<(String, Vec<u8>)> = (0..4)
            .flat_map(|i| {
                [(format!("{i}.png"), png.clone()), (format!("{i}.txt"), vec![b'a'; 700])]
            })
            .collect();
        let members: Vec<(&str, &[u8])> =
            members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let whole = packed(&members);
        assert_eq!(read_bytes(&whole).len(), 4);
        // Samples of 1024 and 1536 bytes: the text of the last one is cut, then its header.
        let cut = read_bytes(&whole[..4 * 2560 - 400]);
        assert_eq!(cut[0], "bad s.tar!3.txt: the shard ends within it: 624 of 700 bytes are there");
        assert_eq!(cut[4], "bad s.tar!3: it has a picture and no text");
        let cut = read_bytes(&whole[..3 * 2560 + 300]);
        let lost =
            "bad s.tar: it ends within a header, 300 bytes after 2.txt: what followed is lost";
        assert_eq!((cut.len(), cut[0].as_str()), (4, lost));
        let cut = read_bytes(&whole[..3 * 2560]);
        let lost = "bad s.tar: it has no end mark after 2.txt: it may be cut off, and what followed is lost";
        assert_eq!((cut.len(), cut[0].as_str()), (4, lost));
        // A damaged header costs its sample; what follows is read.
        let mut damaged = whole.clone();
        damaged[2560..2600].fill(7);
        let read = read_bytes(&damaged);
        assert_eq!(
            read[0],
            "bad s.tar: a header after 0.txt is damaged: 1024 bytes are lost, up to 1.txt"
        );
        assert_eq!(read[2], "bad s.tar!1: it has a text and no picture");
        assert_eq!(read.iter().filter(|row| row.contains(" = ")).count(), 3);
        assert_eq!(read_bytes(b""), ["bad s.tar: it is empty (0 bytes)"]);
        assert_eq!(read_bytes(&[b'x'; 2048]), ["bad s.tar: it is not a tar file"]);
        // Joined files are read to the end.
        let two = [packed(&members[..2]), packed(&members[2..4])].concat();
        assert_eq!(read_bytes(&two).len(), 2);
    }

    #[test]
    fn compressed_shards_and_pointers_are_refused_by_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let refused = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("writes");
            files(&path).expect_err("is no shard").to_string()
        };
        assert!(refused("a.tar.gz", b"\x1f\x8b\x08\0").ends_with("is a gzip-compressed file"));
        assert!(refused("a.tar", b"\x28\xb5\x2f\xfd\0").ends_with("is a zstd-compressed file"));
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
        assert!(refused("a.tar", pointer).contains("a Git LFS pointer"));
        assert!(files(dir.path()).expect_err("a folder").to_string().contains("a folder"));
        assert!(files(&dir.path().join("no.tar")).is_err());
    }
}

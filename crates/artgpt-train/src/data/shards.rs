//! WebDataset shards: tar files in which the members with one base name are one sample.
//!
//! Reading a shard reads headers and texts; it reads a picture only when a step draws it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::picture::Picture;
use super::row::Row;
use super::tables::PICTURES;
use super::{DataError, Reader, RejectedRow, Result, RowResult, io};

/// Max length of a caption's file, bytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// The files that match a pattern, in order.
pub(super) fn files(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_string_lossy();
    let mut out = Vec::new();
    for one in expand(&text)? {
        if !one.contains(['*', '?']) {
            let path = PathBuf::from(one);
            // Fails now, not hours into a run.
            File::open(&path).map_err(io(&path))?;
            out.push(path);
            continue;
        }
        let found = glob::glob(&one).map_err(|e| DataError::Config(format!("{one}: {e}")))?;
        out.extend(found.filter_map(std::result::Result::ok));
    }
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

/// All samples of a shard. Damaged members become rejected rows, and so does the rest of a shard after
/// a damaged header.
pub(super) fn read(path: &Path, reader: &Reader) -> Result<Vec<RowResult>> {
    let shard: Arc<Path> = path.into();
    let mut archive = tar::Archive::new(File::open(path).map_err(io(path))?);
    let mut out = Vec::new();
    let mut sample = Sample::default();
    let bad = |name: &str, reason: String| {
        RowResult::Rejected(RejectedRow { place: format!("{}!{name}", path.display()), reason })
    };
    for member in archive.entries_with_seek().map_err(io(path))? {
        let mut member = match member {
            Ok(member) => member,
            Err(e) => {
                out.push(bad(&sample.key, format!("what follows it cannot be read: {e}")));
                break;
            }
        };
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let (key, ending) = key_and_ending(&name);
        if key != sample.key {
            out.extend(std::mem::take(&mut sample).finish(path, reader));
            sample.key = key.to_string();
        }
        let bytes = member.size();
        match ending.as_str() {
            ending if PICTURES.contains(&ending) => {
                let (shard, offset) = (Arc::clone(&shard), member.raw_file_position());
                sample.picture = Some(Picture::Member { shard, name, offset, bytes });
            }
            "txt" | "caption" | "json" if bytes > LONGEST_TEXT => {
                out.push(bad(&name, "it is too long for a caption".into()));
            }
            "txt" | "caption" | "json" => {
                let mut text = String::new();
                if let Err(e) = member.read_to_string(&mut text) {
                    out.push(bad(&name, e.to_string()));
                } else if ending != "json" {
                    sample.row.set("caption", text);
                } else {
                    match serde_json::from_str::<serde_json::Map<_, _>>(&text) {
                        Ok(object) => sample.row.fill(Row::of_json(&object)),
                        Err(e) => out.push(bad(&name, e.to_string())),
                    }
                }
            }
            _ => {}
        }
    }
    out.extend(sample.finish(path, reader));
    Ok(out)
}

#[derive(Default)]
struct Sample {
    key: String,
    row: Row,
    picture: Option<Picture>,
}

impl Sample {
    fn finish(self, shard: &Path, reader: &Reader) -> Option<RowResult> {
        let place = format!("{}!{}", shard.display(), self.key);
        match (self.picture, self.row == Row::default()) {
            (None, true) => None,
            (None, false) => Some(RowResult::Rejected(RejectedRow {
                place,
                reason: "it has a text and no picture".into(),
            })),
            (Some(_), true) => Some(RowResult::Rejected(RejectedRow {
                place,
                reason: "it has a picture and no text".into(),
            })),
            (Some(picture), false) => Some(reader.read(&self.row, &place, Some(picture))),
        }
    }
}

/// The name up to the first dot of its last part, and what follows in lower case.
fn key_and_ending(name: &str) -> (&str, String) {
    let start = name.rfind('/').map_or(0, |i| i + 1);
    match name[start..].find('.') {
        Some(dot) => (&name[..start + dot], name[start + dot + 1..].to_lowercase()),
        None => (name, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_keep_their_digits_and_keys_end_at_the_first_dot() {
        let all = expand("x/{08..10}-{0..1}.tar").expect("expands");
        assert_eq!(all.len(), 6);
        assert_eq!((all[0].as_str(), all[5].as_str()), ("x/08-0.tar", "x/10-1.tar"));
        assert!(expand("{a..b}").is_err() && expand("{1").is_err());
        assert_eq!(key_and_ending("a.b/00012.seg.PNG"), ("a.b/00012", "seg.png".into()));
    }
}

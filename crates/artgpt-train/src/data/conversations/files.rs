//! The files of conversations, and the records in them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::tables::Skip;
use crate::data::{DataError, Result, foreign, io, text};
use artgpt_base::files::read_limited;
use artgpt_rundir::Paths;

/// Limit on the bytes of a file that is read whole: a JSON array, or a text in UTF-16.
const MAX_FILE: u64 = 2 << 30;
/// Limit on the bytes of a line.
const MAX_LINE: u64 = 256 << 20;

/// A record's place, and the record or why there is none.
pub(super) type LocatedRecord = (String, std::result::Result<Value, Skip>);

/// A file of conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TalkFile {
    pub path: PathBuf,
    /// Its path in the folder that all files have in common.
    name: String,
}

/// All files that the paths name, in order, each once.
pub(super) fn all(paths: &Paths) -> Result<Vec<TalkFile>> {
    let mut out = Vec::new();
    let mut known = HashSet::new();
    for path in paths.all() {
        for path in matching(path)? {
            if known.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                out.push(path);
            }
        }
    }
    let mut common = out.first().and_then(|path| path.parent()).unwrap_or(Path::new(""));
    while !out.iter().all(|path| path.starts_with(common)) {
        common = common.parent().unwrap_or(Path::new(""));
    }
    let name = |path: &PathBuf| path.strip_prefix(common).unwrap_or(path).display().to_string();
    let names: Vec<String> = out.iter().map(name).collect();
    Ok(out.into_iter().zip(names).map(|(path, name)| TalkFile { path, name }).collect())
}

/// The files that a path names: itself, or those that match it.
fn matching(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.to_string_lossy();
    if path.is_file() || !pattern.contains(['*', '?', '[']) {
        return Ok(vec![path.to_path_buf()]);
    }
    let found = glob::glob(&pattern).map_err(|e| DataError::Config(format!("{pattern}: {e}")))?;
    let mut out = Vec::new();
    for one in found {
        let one = one.map_err(|e| {
            let path = e.path().to_path_buf();
            io(&path)(e.into())
        })?;
        if one.is_file() {
            out.push(one);
        }
    }
    match out.is_empty() {
        true => Err(DataError::Config(format!("there is no file {pattern}"))),
        false => Ok(out),
    }
}

/// Calls `each` with the records of a file: the items of a JSON array, or one a line.
pub(super) fn records(
    file: &TalkFile,
    each: &mut dyn FnMut(LocatedRecord) -> Result<()>,
) -> Result<()> {
    let TalkFile { path, name } = file;
    foreign::check(path)?;
    let mut reader = BufReader::new(File::open(path).map_err(io(path))?);
    let head = reader.fill_buf().map_err(io(path))?;
    // By content: both formats have files under both names.
    let first = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().first();
    let is_utf16 =
        head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || head.contains(&0);
    if is_utf16 || first == Some(&b'[') {
        return whole(file, each);
    }
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = reader.by_ref().take(MAX_LINE + 1);
        if limited.read_until(b'\n', &mut line).map_err(io(path))? == 0 {
            break;
        }
        if line.len() as u64 > MAX_LINE {
            let reason = format!("line {number} is longer than {} MB", MAX_LINE >> 20);
            return Err(bad(path, "JSON Lines", reason));
        }
        let bytes = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line);
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(bytes) {
            // One record over several lines, or damage.
            Err(e) if number == 1 && e.is_eof() => return whole(file, each),
            read => each((
                format!("{name} line {number}"),
                read.map_err(|e| Skip::lost(e.to_string())),
            ))?,
        }
    }
    Ok(())
}

fn bad(path: &Path, format: &'static str, reason: String) -> DataError {
    DataError::Format { path: path.display().to_string(), format, reason }
}

/// The records of a file that is read whole.
fn whole(file: &TalkFile, each: &mut dyn FnMut(LocatedRecord) -> Result<()>) -> Result<()> {
    let TalkFile { path, name } = file;
    let bytes = read_limited(path, MAX_FILE).map_err(io(path))?;
    let text = text(bytes).map_err(|reason| bad(path, "text", reason))?;
    if text.trim_start().starts_with('[') {
        let items: Vec<Value> =
            serde_json::from_str(&text).map_err(|e| bad(path, "JSON", e.to_string()))?;
        let mut all = items.into_iter().enumerate();
        return all.try_for_each(|(i, item)| each((format!("{name} item {i}"), Ok(item))));
    }
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        return each((format!("{name} line 1"), Ok(value)));
    }
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.try_for_each(|(i, line)| {
        let record = serde_json::from_str(line).map_err(|e| Skip::lost(e.to_string()));
        each((format!("{name} line {}", i + 1), record))
    })
}

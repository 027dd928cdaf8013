//! The files of conversations, and the records in them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::tables::Skip;
use crate::data::{DataError, Result, foreign, io, text};
use artgpt_base::files::read_limited;
use artgpt_rundir::Paths;

/// Limit on the bytes of a file.
const MAX_FILE: u64 = 2 << 30;

/// A record's place, and the record or why there is none.
pub(super) type LocatedRecord = (String, std::result::Result<Value, Skip>);

/// All files that the paths name, in order.
pub(super) fn all(paths: &Paths) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for path in paths.all() {
        let pattern = path.to_string_lossy();
        if path.is_file() || !pattern.contains(['*', '?', '[']) {
            out.push(path.clone());
            continue;
        }
        let found =
            glob::glob(&pattern).map_err(|e| DataError::Config(format!("{pattern}: {e}")))?;
        let before = out.len();
        out.extend(found.filter_map(std::result::Result::ok).filter(|path| path.is_file()));
        if out.len() == before {
            return Err(DataError::Config(format!("there is no file {pattern}")));
        }
    }
    Ok(out)
}

/// The records of a file: the items of a JSON array, or one a line.
pub(super) fn records(path: &Path) -> Result<Vec<LocatedRecord>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    foreign::check(path)?;
    let bytes = read_limited(path, MAX_FILE).map_err(io(path))?;
    let bad =
        |format, reason| DataError::Format { path: path.display().to_string(), format, reason };
    let text = text(bytes).map_err(|reason| bad("text", reason))?;
    // By content: both formats have files under both names.
    if text.trim_start().starts_with('[') {
        let items: Vec<Value> =
            serde_json::from_str(&text).map_err(|e| bad("JSON", e.to_string()))?;
        let place = |i| format!("{name} item {i}");
        return Ok(items.into_iter().enumerate().map(|(i, item)| (place(i), Ok(item))).collect());
    }
    // One record over several lines.
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        return Ok(vec![(format!("{name} line 1"), Ok(value))]);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(lines
        .map(|(i, line)| {
            let record = serde_json::from_str(line).map_err(|e| Skip::lost(e.to_string()));
            (format!("{name} line {}", i + 1), record)
        })
        .collect())
}

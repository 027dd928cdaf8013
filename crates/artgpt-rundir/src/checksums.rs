//! `checksums.json` of a checkpoint: the SHA-256 of its files, so that one that a power failure or a disk
//! has damaged is never resumed from.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use artgpt_base::files::{read_text, sync_folder};
use artgpt_base::hash::sha256_of_file;

use crate::{Result, io, write_json};

/// A checkpoint has a few files.
const MAX_BYTES: u64 = 1 << 20;
const CHECKSUMS: &str = "checksums.json";
/// Small, and rewritten after a rollback; what is damaged in it does not parse.
const STATE: &str = "state.json";

/// Syncs the files of a checkpoint and writes their checksums; durable on return.
pub(crate) fn seal(folder: &Path) -> Result<()> {
    let mut sums = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_file() || name == STATE {
            continue;
        }
        File::open(&path).and_then(|file| file.sync_all()).map_err(io(&path))?;
        sums.insert(name, sha256_of_file(&path).map_err(io(&path))?);
    }
    write_json(&folder.join(CHECKSUMS), &sums)?;
    sync_folder(folder).map_err(io(folder))
}

/// Compares the files of a checkpoint with their checksums; those of earlier versions have none.
pub(crate) fn check(folder: &Path) -> std::result::Result<(), String> {
    let path = folder.join(CHECKSUMS);
    let text = match read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(format!("{CHECKSUMS}: {e}")),
    };
    let sums: BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|e| format!("{CHECKSUMS}: {e}"))?;
    for (name, expected) in sums {
        let is_plain = !name.is_empty() && !name.contains('/') && name != "..";
        let found = is_plain.then(|| sha256_of_file(&folder.join(&name)));
        match found {
            Some(Ok(found)) if found == expected => {}
            Some(Err(e)) => return Err(format!("{name}: {e}")),
            Some(Ok(_)) => return Err(format!("{name} is damaged: its sha256 has changed")),
            None => return Err(format!("{CHECKSUMS} names {name:?}")),
        }
    }
    Ok(())
}

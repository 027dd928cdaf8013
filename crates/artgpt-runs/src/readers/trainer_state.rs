//! `trainer_state.json` of Hugging Face's Trainer, which rewrites the file at each checkpoint.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use artgpt_base::files::read_text;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jsonl::{Objects, repaired};
use super::{Curves, Grown, Reader};
use crate::skipped::Skipped;

/// Follows a `trainer_state.json`.
#[derive(Debug)]
pub struct TrainerState {
    path: PathBuf,
    /// Size and modification time of the file that was read last.
    seen: Option<(u64, SystemTime)>,
    fetched: Option<String>,
    skipped: Skipped,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    log_history: Vec<Map<String, Value>>,
    max_steps: Option<f64>,
}

/// Limit on the file's bytes: a history of a million entries.
const MAX_FILE_BYTES: u64 = 512 << 20;

impl TrainerState {
    /// A reader of this file.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), seen: None, fetched: None, skipped: Skipped::default() }
    }
}

impl Reader for TrainerState {
    fn path(&self) -> &Path {
        &self.path
    }

    fn fetch(&mut self) -> std::io::Result<Grown> {
        let metadata = std::fs::metadata(&self.path)?;
        let now = (metadata.len(), metadata.modified()?);
        match self.seen {
            Some(seen) if seen == now => Ok(Grown::Not),
            Some(_) => {
                *self = Self::new(&self.path);
                Ok(Grown::Anew)
            }
            None => {
                self.fetched = Some(read_text(&self.path, MAX_FILE_BYTES)?);
                self.seen = Some(now);
                Ok(Grown::Some)
            }
        }
    }

    fn parse(&mut self, into: &mut Curves) {
        let Some(text) = self.fetched.take() else { return };
        // A file that is still being written does not parse; once complete, its size or time differs.
        let file = match serde_json::from_slice::<File>(&repaired(text.as_bytes())) {
            Ok(file) => file,
            Err(e) => {
                return self.skipped.add_first("files that are not complete", 1, || e.to_string());
            }
        };
        if let Some(total) = file.max_steps.filter(|total| *total >= 1.0) {
            into.set_total(total as u64);
        }
        let mut objects = Objects::default();
        for (at, entry) in file.log_history.iter().enumerate() {
            let at = || format!("log_history[{at}]");
            objects.push(entry, into, &mut self.skipped, &at);
        }
        objects.settle(into, &mut self.skipped);
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_state_takes_the_place_of_the_old_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("trainer_state.json");
        let state = |steps: &[u64]| {
            let history: Vec<_> = steps
                .iter()
                .map(|s| serde_json::json!({"step": s, "loss": 1.0 / *s as f64, "epoch": 0.5}))
                .collect();
            serde_json::json!({"global_step": 9, "log_history": history})
                .to_string()
                // As Python writes it.
                .replace("0.5", "NaN")
        };
        std::fs::write(&path, state(&[10, 20])).expect("writes");
        let mut reader = TrainerState::new(&path);
        let mut curves = Curves::default();
        assert_eq!(reader.fetch().expect("reads"), Grown::Some);
        assert_eq!(reader.fetch().expect("reads"), Grown::Not);
        std::fs::write(&path, state(&[10, 20, 30])).expect("writes");
        assert_eq!(reader.fetch().expect("reads"), Grown::Anew);
        assert_eq!(reader.fetch().expect("reads"), Grown::Some);
        reader.parse(&mut curves);
        let loss = curves.get("loss").expect("is there");
        assert_eq!(loss.points().map(|p| p.step).collect::<Vec<_>>(), [10.0, 20.0, 30.0]);
        assert!(loss.last().is_some_and(|p| p.wall.is_nan()));
        let epoch = curves.get("epoch").and_then(|s| s.last());
        assert!(epoch.is_some_and(|p| p.value.is_nan()));
    }
}

//! `trainer_state.json` of Hugging Face's Trainer, which rewrites the file at each checkpoint.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::jsonl::{repaired, unrepaired};
use super::{Curves, Grown, Line, Reader, Skipped};

/// Follows a `trainer_state.json`.
#[derive(Debug)]
pub struct TrainerState {
    path: PathBuf,
    /// Size and modification time of the file that was read last.
    seen: Option<(u64, SystemTime)>,
    fetched: Option<Vec<u8>>,
    skipped: Skipped,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    log_history: Vec<serde_json::Map<String, Value>>,
}

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
                self.fetched = Some(std::fs::read(&self.path)?);
                self.seen = Some(now);
                Ok(Grown::Some)
            }
        }
    }

    fn parse(&mut self, into: &mut Curves) {
        let Some(text) = self.fetched.take() else { return };
        // A file that is still being written does not parse; once complete, its size or time differs.
        let Ok(file) = serde_json::from_slice::<File>(&repaired(&text)) else {
            self.skipped.add("files that are no trainer state", 1);
            return;
        };
        for entry in file.log_history {
            let mut line = Line::default();
            for (key, value) in entry {
                if let Some(value) = value.as_f64().or(value.as_str().and_then(unrepaired)) {
                    line.put(key, value);
                }
            }
            line.push_into(into, 0);
        }
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

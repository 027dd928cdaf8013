//! `checkpoints/step-N/`: save, restore, and remove the ones no longer needed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::{Metrics, Position, Result, RunDir, RunError, io, write_json, write_whole};

/// The part of a checkpoint that the trainer owns: weights, optimiser moments, and the like.
pub trait LearnerState {
    /// Why tensors cannot be written or read.
    type Error: std::fmt::Display + From<RunError>;

    /// Writes the state into the folder of a checkpoint.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> std::result::Result<(), Self::Error>;

    /// Reads the state from the folder of a checkpoint.
    ///
    /// # Errors
    /// If a file is missing, damaged, or holds other tensors.
    fn load(&mut self, folder: &Path) -> std::result::Result<(), Self::Error>;
}

impl RunDir {
    /// Writes a checkpoint at `position`, and removes all but the last `keep` regular checkpoints,
    /// which are `every` steps apart. The next regular checkpoint also replaces one left by a stop.
    ///
    /// # Errors
    /// If a file cannot be written; the incomplete checkpoint is removed.
    pub fn save<L: LearnerState>(
        &self,
        position: &Position,
        learner: &L,
        (every, keep): (usize, usize),
    ) -> std::result::Result<(), L::Error> {
        if self.follows() {
            return Ok(());
        }
        let root = self.path.join("checkpoints");
        let step = position.step;
        let target = root.join(format!("step-{step}"));
        if target.exists() {
            // The weights are the same, but a rollback to here may have lowered the learning rates.
            return Ok(write_json(&target.join("state.json"), position)?);
        }
        let staging = root.join(format!(".step-{step}.partial"));
        let _ = std::fs::remove_dir_all(&staging);
        let write = || -> std::result::Result<(), L::Error> {
            std::fs::create_dir_all(&staging).map_err(io(&staging))?;
            learner.save(&staging)?;
            write_json(&staging.join("state.json"), position)?;
            Ok(std::fs::rename(&staging, &target).map_err(io(&target))?)
        };
        write().inspect_err(|_| {
            // An incomplete checkpoint only takes space.
            let _ = std::fs::remove_dir_all(&staging);
        })?;
        let (regular, stops): (Vec<_>, Vec<_>) =
            self.checkpoints()?.into_iter().partition(|(at, _)| at.is_multiple_of(every));
        let surplus = regular.len().saturating_sub(keep);
        let newest = regular.last().map_or(0, |(at, _)| *at);
        let old = regular[..surplus].iter().chain(stops.iter().filter(|(at, _)| *at < newest));
        Ok(old.map(|(_, path)| path).try_for_each(|path| remove(path))?)
    }

    /// Restores the newest checkpoint and returns its position; `None` if there is none, and the run
    /// starts anew. Removes the metrics of later steps, which the run will write again.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] for a damaged checkpoint, [`RunError::Io`] for files.
    pub fn restore<L: LearnerState>(
        &mut self,
        learner: &mut L,
    ) -> std::result::Result<Option<Position>, L::Error> {
        match self.checkpoints()?.pop() {
            Some((_, path)) => self.restore_from(&path, learner).map(Some),
            None => Ok(self.cut_metrics(0).map(|()| None)?),
        }
    }

    /// Removes all but the last `keep` weights of best validations. A run keeps several, because each
    /// checkpoint that it may roll back to refers to its own.
    ///
    /// # Errors
    /// [`RunError::Io`] if a file cannot be removed.
    pub fn drop_old_best(&self, keep: usize) -> Result<()> {
        if self.follows() {
            return Ok(());
        }
        let mut all: Vec<PathBuf> = std::fs::read_dir(&self.path)
            .map_err(io(&self.path))?
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("best-")))
            .collect();
        all.sort();
        let surplus = all.len().saturating_sub(keep);
        all[..surplus].iter().try_for_each(|path| std::fs::remove_file(path).map_err(io(path)))
    }

    /// Restores the checkpoint of step `step`.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] for a damaged checkpoint, [`RunError::Io`] for files.
    pub fn restore_step<L: LearnerState>(
        &mut self,
        step: usize,
        learner: &mut L,
    ) -> std::result::Result<Position, L::Error> {
        self.restore_from(&self.path.join(format!("checkpoints/step-{step}")), learner)
    }

    /// Rolls back to the newest regular checkpoint, or to the one before it if the newest is not
    /// `trusted`, and removes the later ones. Returns `None` if there is none.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] for a damaged checkpoint, [`RunError::Io`] for files.
    pub fn roll_back<L: LearnerState>(
        &mut self,
        every: usize,
        trusted: bool,
        learner: &mut L,
    ) -> std::result::Result<Option<Position>, L::Error> {
        let all = self.checkpoints()?;
        let regular: Vec<_> = all.iter().filter(|(at, _)| at.is_multiple_of(every)).collect();
        let before = regular.len().checked_sub(2).filter(|_| !trusted);
        let Some((step, path)) = before.map(|i| regular[i]).or(regular.last().copied()) else {
            return Ok(None);
        };
        let position = self.restore_from(path, learner)?;
        all.iter().filter(|(at, _)| at > step).try_for_each(|(_, path)| remove(path))?;
        Ok(Some(position))
    }

    fn restore_from<L: LearnerState>(
        &mut self,
        path: &Path,
        learner: &mut L,
    ) -> std::result::Result<Position, L::Error> {
        let bad =
            |reason: String| RunError::Checkpoint { path: path.display().to_string(), reason };
        let state = path.join("state.json");
        let text = std::fs::read_to_string(&state).map_err(io(&state))?;
        let position: Position = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        learner.load(path).map_err(|e| bad(e.to_string()))?;
        self.cut_metrics(position.step)?;
        self.restored = position.step;
        self.events = None; // the next file tells readers to ignore the later steps of the others
        Ok(position)
    }

    /// Removes the metrics of steps after `step`, and lines that do not parse.
    fn cut_metrics(&mut self, step: usize) -> Result<()> {
        if self.follows() {
            return Ok(());
        }
        let log = self.path.join("metrics.jsonl");
        let text = std::fs::read_to_string(&log).map_err(io(&log))?;
        let kept: String = text
            .lines()
            .filter(|l| serde_json::from_str::<Metrics>(l).is_ok_and(|m| m.step <= step))
            .flat_map(|l| [l, "\n"])
            .collect();
        write_whole(&log, kept.as_bytes())?;
        self.metrics = OpenOptions::new().append(true).open(&log).map_err(io(&log))?;
        Ok(())
    }

    fn checkpoints(&self) -> Result<Vec<(usize, PathBuf)>> {
        let root = self.path.join("checkpoints");
        let mut all: Vec<(usize, PathBuf)> = std::fs::read_dir(&root)
            .map_err(io(&root))?
            .filter_map(|e| {
                let path = e.ok()?.path();
                let step = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
                Some((step, path))
            })
            .collect();
        all.sort();
        Ok(all)
    }
}

/// File name of the weights of the validation after `step`.
pub fn best_weights(step: usize) -> String {
    format!("best-{step:08}.safetensors")
}

/// Renames a checkpoint before it removes the files: an incomplete one would prevent a resume.
fn remove(checkpoint: &Path) -> Result<()> {
    let doomed = checkpoint.with_extension("removed");
    std::fs::rename(checkpoint, &doomed).map_err(io(checkpoint))?;
    std::fs::remove_dir_all(&doomed).map_err(io(&doomed))
}

//! `checkpoints/step-N/`: saving, restoring, and dropping what is no longer needed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::{Metrics, Position, Result, RunDir, RunError, io, write_json, write_whole};

/// What a checkpoint holds besides the run's position: weights, moments, and the like. The trainer
/// owns its form.
pub trait LearnerState {
    /// Of writing or reading tensors.
    type Error: std::fmt::Display + From<RunError>;

    /// Writes all of it into the folder of a checkpoint.
    ///
    /// # Errors
    /// Those of writing.
    fn save(&self, folder: &Path) -> std::result::Result<(), Self::Error>;

    /// Takes the values of a checkpoint.
    ///
    /// # Errors
    /// A file that is missing, damaged, or of other tensors.
    fn load(&mut self, folder: &Path) -> std::result::Result<(), Self::Error>;
}

impl RunDir {
    /// Saves a checkpoint of where the run stands, and drops all but the last `keep` of the regular
    /// ones, which are `every` steps apart. One that a stop left goes with the next regular one.
    ///
    /// # Errors
    /// Those of writing. A checkpoint that could not be written whole is removed.
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
            // The run stands where it stood, but perhaps with lower rates since it went back there.
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
            // Half of one only takes room from what frees some.
            let _ = std::fs::remove_dir_all(&staging);
        })?;
        let (regular, stops): (Vec<_>, Vec<_>) =
            self.checkpoints()?.into_iter().partition(|(at, _)| at.is_multiple_of(every));
        let surplus = regular.len().saturating_sub(keep);
        let newest = regular.last().map_or(0, |(at, _)| *at);
        let old = regular[..surplus].iter().chain(stops.iter().filter(|(at, _)| *at < newest));
        Ok(old.map(|(_, path)| path).try_for_each(|path| remove(path))?)
    }

    /// Restores the newest checkpoint, and says where it stood. With none the run begins anew.
    ///
    /// Metrics after the checkpoint are cut off: they will be written again.
    pub fn restore<L: LearnerState>(
        &mut self,
        learner: &mut L,
    ) -> std::result::Result<Option<Position>, L::Error> {
        match self.checkpoints()?.pop() {
            Some((_, path)) => self.restore_from(&path, learner).map(Some),
            None => Ok(self.cut_metrics(0).map(|()| None)?),
        }
    }

    /// Drops all but the last `keep` weights of best validations: a checkpoint that the run may go
    /// back to names its own.
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

    /// Restores the checkpoint after `step`.
    pub fn restore_step<L: LearnerState>(
        &mut self,
        step: usize,
        learner: &mut L,
    ) -> std::result::Result<Position, L::Error> {
        self.restore_from(&self.path.join(format!("checkpoints/step-{step}")), learner)
    }

    /// Goes back to the newest regular checkpoint, or to the one before it where that one is not
    /// `trusted`; later ones go. `None` if there is none.
    pub fn go_back<L: LearnerState>(
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
        self.events = None; // a new file tells what of the others does not count
        Ok(position)
    }

    /// Drops the lines of steps after `step`, and what is no line.
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

/// Weights of the validation after `step`.
pub fn best_weights(step: usize) -> String {
    format!("best-{step:08}.safetensors")
}

/// Takes a checkpoint's name away first: half of one would stop a resume.
fn remove(checkpoint: &Path) -> Result<()> {
    let doomed = checkpoint.with_extension("removed");
    std::fs::rename(checkpoint, &doomed).map_err(io(checkpoint))?;
    std::fs::remove_dir_all(&doomed).map_err(io(&doomed))
}

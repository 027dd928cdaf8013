//! `checkpoints/step-N/`: save, restore, and remove the ones no longer needed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use artgpt_base::files::{read_text, sync_folder};

use crate::{
    MarkKind, Metrics, Position, Result, RunDir, RunError, checksums, io, write_json, write_whole,
};

/// A position in the data takes a few hundred bytes.
const MAX_STATE: u64 = 16 << 20;
/// A million steps take 200 MB.
const MAX_METRICS: u64 = 4 << 30;

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
        // The weights are the same, but a rollback to here may have lowered the learning rates.
        let is_there = target.exists();
        if is_there && checksums::check(&target).is_ok() {
            return Ok(write_json(&target.join("state.json"), position)?);
        }
        let staging = root.join(format!(".step-{step}.partial"));
        let _ = std::fs::remove_dir_all(&staging);
        let write = || -> std::result::Result<(), L::Error> {
            std::fs::create_dir_all(&staging).map_err(io(&staging))?;
            learner.save(&staging)?;
            write_json(&staging.join("state.json"), position)?;
            checksums::seal(&staging)?;
            if is_there {
                // A disk has damaged it.
                remove(&target)?;
            }
            std::fs::rename(&staging, &target).map_err(io(&target))?;
            Ok(sync_folder(&root).map_err(io(&root))?)
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

    /// Restores the newest checkpoint that is whole, and returns its position; `None` if there is none,
    /// and the run starts anew. Damaged ones after it are put aside and marked. Removes the metrics of
    /// later steps, which the run will write again.
    ///
    /// # Errors
    /// [`RunError::Checkpoint`] if every checkpoint is damaged, [`RunError::Io`] for files.
    pub fn restore<L: LearnerState>(
        &mut self,
        learner: &mut L,
    ) -> std::result::Result<Option<Position>, L::Error> {
        self.sweep();
        let all = self.checkpoints()?;
        if all.is_empty() {
            return Ok(self.cut_metrics(0).map(|()| None)?);
        }
        self.restore_newest(&all, learner).map(Some)
    }

    /// Restores the last of these checkpoints that is whole.
    fn restore_newest<L: LearnerState>(
        &mut self,
        all: &[(usize, PathBuf)],
        learner: &mut L,
    ) -> std::result::Result<Position, L::Error> {
        let mut damaged: Vec<(usize, &Path, L::Error)> = Vec::new();
        for (step, path) in all.iter().rev() {
            match self.restore_from(path, learner) {
                Ok(position) => {
                    for (step, path, reason) in &damaged {
                        self.put_aside(*step, path, &reason.to_string(), position.step);
                    }
                    return Ok(position);
                }
                Err(e) => damaged.push((*step, path, e)),
            }
        }
        // The newest one says why; what it holds may still be of use.
        match damaged.into_iter().next() {
            Some((_, _, e)) => Err(e),
            None => Err(RunError::Checkpoint {
                path: self.path.display().to_string(),
                reason: "there is none".into(),
            }
            .into()),
        }
    }

    /// Renames a damaged checkpoint, so that the run writes that step again.
    fn put_aside(&self, step: usize, path: &Path, reason: &str, restored: usize) {
        if self.follows() {
            return;
        }
        let aside = path.with_extension("damaged");
        let _ = std::fs::remove_dir_all(&aside);
        // Where it cannot be renamed, the run replaces it when it comes to that step.
        let _ = std::fs::rename(path, &aside);
        let text = format!("{reason}; resumed from step {restored}");
        self.mark(step, MarkKind::Warning, &text);
    }

    /// Removes what killed processes left half written or half removed.
    fn sweep(&self) {
        if self.follows() {
            return;
        }
        let root = self.path.join("checkpoints");
        for folder in [&self.path, &root] {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let (path, in_root) = (entry.path(), *folder == root);
                let half = in_root && (name.ends_with(".partial") || name.ends_with(".removed"));
                if half && path.is_dir() {
                    let _ = std::fs::remove_dir_all(&path);
                } else if name.starts_with(".tmp") && is_old(&path) {
                    let _ = std::fs::remove_file(&path);
                }
            }
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
        let before = regular.len().checked_sub(1).filter(|n| *n > 0 && !trusted);
        let usable = before.map_or(regular.as_slice(), |n| &regular[..n]);
        if usable.is_empty() {
            return Ok(None);
        }
        let usable: Vec<_> = usable.iter().map(|checkpoint| (*checkpoint).clone()).collect();
        let position = self.restore_newest(&usable, learner)?;
        let later = self.checkpoints()?.into_iter().filter(|(at, _)| *at > position.step);
        later.map(|(_, path)| path).try_for_each(|path| remove(&path))?;
        Ok(Some(position))
    }

    fn restore_from<L: LearnerState>(
        &mut self,
        path: &Path,
        learner: &mut L,
    ) -> std::result::Result<Position, L::Error> {
        let bad =
            |reason: String| RunError::Checkpoint { path: path.display().to_string(), reason };
        checksums::check(path).map_err(bad)?;
        let state = path.join("state.json");
        let text = read_text(&state, MAX_STATE).map_err(io(&state))?;
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
        let text = read_text(&log, MAX_METRICS).map_err(io(&log))?;
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

/// Whether a file has not been written for a minute: others write to the folder of a run, too.
fn is_old(path: &Path) -> bool {
    let meta = std::fs::symlink_metadata(path).ok().filter(|meta| meta.is_file());
    let written = meta.and_then(|meta| meta.modified().ok());
    written.and_then(|at| at.elapsed().ok()).is_some_and(|age| age.as_secs() >= 60)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainConfig;

    /// A learner of one number.
    struct Number(u64);

    impl LearnerState for Number {
        type Error = RunError;

        fn save(&self, folder: &Path) -> Result<()> {
            let path = folder.join("weights");
            std::fs::write(&path, self.0.to_string()).map_err(io(&path))
        }

        fn load(&mut self, folder: &Path) -> Result<()> {
            let path = folder.join("weights");
            let text = std::fs::read_to_string(&path).map_err(io(&path))?;
            let bad = |_| RunError::Checkpoint {
                path: path.display().to_string(),
                reason: "no number".into(),
            };
            self.0 = text.parse().map_err(bad)?;
            Ok(())
        }
    }

    const CONFIG: &str = r#"
        model = "m"
        data = "d"
        [[stage]]
        kind = "align"
        steps = 9
        batch = 1
        lr = 1e-3
    "#;

    fn run(runs: &Path) -> RunDir {
        let config: TrainConfig = toml::from_str(CONFIG).expect("parses");
        let run = RunDir::create(runs, "r", &config).expect("creates");
        for step in [1, 2, 3] {
            let position = Position { step, ..Position::default() };
            run.save(&position, &Number(step as u64 * 10), (1, 9)).expect("saves");
        }
        run
    }

    #[test]
    fn a_damaged_newest_checkpoint_falls_back_to_the_one_before() {
        let damages: [fn(&Path); 4] = [
            // A flipped digit, which the reader cannot see.
            |folder| std::fs::write(folder.join("weights"), "31").expect("writes"),
            |folder| std::fs::write(folder.join("weights"), "").expect("writes"),
            |folder| std::fs::remove_file(folder.join("state.json")).expect("removes"),
            |folder| std::fs::write(folder.join("checksums.json"), "{").expect("writes"),
        ];
        for damage in damages {
            let runs = tempfile::tempdir().expect("temp dir");
            let mut run = run(runs.path());
            let checkpoints = run.path.join("checkpoints");
            damage(&checkpoints.join("step-3"));
            std::fs::create_dir(checkpoints.join(".step-4.partial")).expect("makes");
            let mut learner = Number(0);
            let position = run.restore(&mut learner).expect("restores").expect("has one");
            assert_eq!((position.step, learner.0), (2, 20));
            assert!(checkpoints.join("step-3.damaged").is_dir());
            assert!(!checkpoints.join("step-3").exists());
            assert!(!checkpoints.join(".step-4.partial").exists());
            let marks = std::fs::read_to_string(run.path.join("marks.jsonl")).expect("reads");
            assert!(marks.contains("resumed from step 2"), "{marks}");
        }
    }

    #[test]
    fn a_save_replaces_a_checkpoint_only_where_it_is_damaged() {
        let runs = tempfile::tempdir().expect("temp dir");
        let mut run = run(runs.path());
        let position = Position { step: 3, ..Position::default() };
        let weights = run.path.join("checkpoints/step-3/weights");
        run.save(&position, &Number(99), (1, 9)).expect("saves");
        assert_eq!(std::fs::read_to_string(&weights).expect("reads"), "30");
        std::fs::write(&weights, "31").expect("writes");
        run.save(&position, &Number(30), (1, 9)).expect("saves");
        let mut learner = Number(0);
        let position = run.restore(&mut learner).expect("restores").expect("has one");
        assert_eq!((position.step, learner.0), (3, 30));
        assert!(!run.path.join("checkpoints/step-3.removed").exists());
    }

    #[test]
    fn where_all_are_damaged_the_newest_says_why_and_nothing_is_renamed() {
        let runs = tempfile::tempdir().expect("temp dir");
        let mut run = run(runs.path());
        let checkpoints = run.path.join("checkpoints");
        for step in [1, 2, 3] {
            std::fs::write(checkpoints.join(format!("step-{step}/weights")), "x").expect("writes");
        }
        let e = run.restore(&mut Number(0)).expect_err("is damaged");
        assert!(e.to_string().contains("step-3"), "{e}");
        assert!(checkpoints.join("step-3").is_dir());
    }

    #[test]
    fn a_rollback_passes_over_a_damaged_checkpoint() {
        let runs = tempfile::tempdir().expect("temp dir");
        let mut run = run(runs.path());
        std::fs::write(run.path.join("checkpoints/step-3/weights"), "31").expect("writes");
        let mut learner = Number(0);
        let position = run.roll_back(1, true, &mut learner).expect("restores").expect("has one");
        assert_eq!((position.step, learner.0), (2, 20));
        let position = run.roll_back(1, false, &mut learner).expect("restores").expect("has one");
        assert_eq!((position.step, learner.0), (1, 10));
    }

    #[test]
    fn checkpoints_of_earlier_versions_have_no_checksums() {
        let runs = tempfile::tempdir().expect("temp dir");
        let mut run = run(runs.path());
        std::fs::remove_file(run.path.join("checkpoints/step-3/checksums.json")).expect("removes");
        let mut learner = Number(0);
        run.restore(&mut learner).expect("restores");
        assert_eq!(learner.0, 30);
    }
}

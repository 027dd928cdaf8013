//! `runs/RUN_ID/`: all files of a run. The run writes a file whole and renames it, or appends full
//! lines.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use artgpt_art::Split;
use artgpt_base::files::{append_json_line, read_text};
use image::RgbImage;
use serde::Serialize;

use crate::blocks::{BLOCKS, Look};
use crate::events::EventFile;
use crate::listing::NAME;
use crate::samples::{PICTURES, SAMPLES, Sample, Samples};
use crate::status::STATUS;
use crate::{
    MARKS, Mark, MarkKind, Metrics, Result, RunError, RunState, Status, TrainConfig, io,
    write_json, write_whole,
};

/// The hash of the base model's weights.
const BASE: &str = "base.json";
/// The held-out paintings.
const SPLIT: &str = "split.json";
/// Bytes of the largest configuration, and of the largest record, that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
const MAX_JSON_BYTES: u64 = 16 << 20;
/// [`RunDir::is_open`] holds the lock for a moment, so [`RunDir::open`] retries.
const LOCK_TRIES: usize = 10;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// The open folder of a run.
pub struct RunDir {
    /// The folder.
    pub path: PathBuf,
    pub(crate) metrics: File,
    /// Created with the first metrics.
    pub(crate) events: Option<EventFile>,
    /// Steps done before this process.
    pub(crate) restored: usize,
    /// The run's lock, so that no second process writes. `None` in a follower, a further process of
    /// the same distributed run, which writes nothing.
    lock: Option<File>,
}

impl RunDir {
    /// Creates a run in the folder `runs`; call [`Self::begin`] before it trains.
    ///
    /// # Errors
    /// [`RunError::Io`], and [`RunError::Busy`] if the run is open.
    pub fn create(runs: &Path, id: &str, config: &TrainConfig) -> Result<Self> {
        let path = runs.join(id);
        let checkpoints = path.join("checkpoints");
        std::fs::create_dir_all(&checkpoints).map_err(io(&checkpoints))?;
        let run = Self::open(&path)?;
        run.set_config(config)?;
        Ok(run)
    }

    /// Gives the run a name.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn set_name(&self, name: &str) -> Result<()> {
        write_json(&self.path.join(NAME), &name)
    }

    /// Records the split and `base`, the hash of the base model, for every later start of the run.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn begin(&self, split: &Split, base: &str) -> Result<()> {
        write_json(&self.path.join(BASE), &base)?;
        write_json(&self.path.join(SPLIT), split)
    }

    /// Whether the run has started; a queued one has not.
    pub fn has_begun(&self) -> bool {
        self.path.join(SPLIT).is_file()
    }

    /// Compares `base` with the recorded hash; runs of earlier versions have none.
    ///
    /// # Errors
    /// [`RunError::OtherBase`] if they differ.
    pub fn check_base(&self, base: &str) -> Result<()> {
        if !self.path.join(BASE).is_file() {
            return Ok(());
        }
        match self.read_json::<String>(BASE)? == base {
            true => Ok(()),
            false => Err(RunError::OtherBase(self.path.display().to_string())),
        }
    }

    /// Writes the resolved configuration; a resumed run may change it.
    ///
    /// # Errors
    /// [`RunError::Config`] if TOML cannot express it, [`RunError::Io`].
    pub fn set_config(&self, config: &TrainConfig) -> Result<()> {
        let text = toml::to_string(config).map_err(|e| RunError::Config(e.to_string()))?;
        write_whole(&self.path.join("config.toml"), text.as_bytes())
    }

    /// Opens a run for writing and takes its lock.
    ///
    /// # Errors
    /// [`RunError::Busy`] if another process holds the lock, [`RunError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let lock_path = path.join(".lock");
        let lock = File::create(&lock_path).map_err(io(&lock_path))?;
        let mut tries = 1;
        while let Err(e) = lock.try_lock() {
            // A file system without locks: two processes could train the run at once.
            if let TryLockError::Error(e) = e {
                return Err(io(&lock_path)(e));
            }
            if tries == LOCK_TRIES {
                return Err(RunError::Busy(path.display().to_string()));
            }
            tries += 1;
            std::thread::sleep(LOCK_WAIT);
        }
        let log = path.join("metrics.jsonl");
        let metrics = OpenOptions::new().create(true).append(true).open(&log).map_err(io(&log))?;
        Ok(Self { path: path.to_path_buf(), metrics, events: None, restored: 0, lock: Some(lock) })
    }

    /// Whether a process has the run at `path` open.
    pub fn is_open(path: &Path) -> bool {
        File::open(path.join(".lock"))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Opens a run that another process writes, as a follower.
    ///
    /// # Errors
    /// [`RunError::Io`] if the run has no metrics file.
    pub fn follow(path: &Path) -> Result<Self> {
        let log = path.join("metrics.jsonl");
        let metrics = File::open(&log).map_err(io(&log))?;
        Ok(Self { path: path.to_path_buf(), metrics, events: None, restored: 0, lock: None })
    }

    /// Whether this process is a follower, which writes nothing.
    pub fn follows(&self) -> bool {
        self.lock.is_none()
    }

    /// The run's configuration.
    ///
    /// # Errors
    /// [`RunError::Io`], and [`RunError::Config`] if it does not parse.
    pub fn config(&self) -> Result<TrainConfig> {
        let path = self.path.join("config.toml");
        let text = read_text(&path, MAX_CONFIG_BYTES).map_err(io(&path))?;
        toml::from_str(&text).map_err(|e| RunError::Config(e.message().to_string()))
    }

    /// The held-out split.
    ///
    /// # Errors
    /// [`RunError::Io`], and [`RunError::Checkpoint`] if it does not parse.
    pub fn split(&self) -> Result<Split> {
        self.read_json(SPLIT)
    }

    /// The state and progress.
    ///
    /// # Errors
    /// [`RunError::Io`], and [`RunError::Checkpoint`] if it does not parse.
    pub fn status(&self) -> Result<Status> {
        self.read_json(STATUS)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path.join(name);
        let text = read_text(&path, MAX_JSON_BYTES).map_err(io(&path))?;
        serde_json::from_str(&text).map_err(|e| RunError::Checkpoint {
            path: path.display().to_string(),
            reason: e.to_string(),
        })
    }

    /// Appends a line to `metrics.jsonl` and an event for TensorBoard.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn log(&mut self, metrics: &Metrics) -> Result<()> {
        if self.follows() {
            return Ok(());
        }
        let mut line = serde_json::to_vec(metrics).map_err(|e| io(&self.path)(e.into()))?;
        line.push(b'\n');
        self.metrics.write_all(&line).map_err(io(&self.path.join("metrics.jsonl")))?;
        let events = match &mut self.events {
            Some(events) => events,
            None => self.events.insert(EventFile::create(&self.path, self.restored)?),
        };
        events.log(metrics)
    }

    /// Appends a line to `log.txt`. Ignores a line that cannot be written.
    pub fn note(&self, text: &str) {
        if self.follows() {
            return;
        }
        let line = format!("{} {text}\n", jiff::Timestamp::now());
        let log = OpenOptions::new().create(true).append(true).open(self.path.join("log.txt"));
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }

    /// Appends an event, such as a warning, to the log and to the marks; see [`Mark`].
    pub fn mark(&self, step: usize, kind: MarkKind, text: &str) {
        self.note(&format!("step {step}: {text}"));
        let mark = Mark { step, kind, text: text.to_string(), at: jiff::Timestamp::now() };
        self.append(MARKS, &mark);
    }

    /// Appends the norms of each block.
    pub fn look(&self, look: &Look) {
        self.append(BLOCKS, look);
    }

    /// Appends the answers of a checkpoint, and saves the pictures the first time.
    pub fn keep_samples(&self, step: usize, samples: Vec<(Sample, RgbImage)>) {
        let folder = self.path.join(PICTURES);
        for (i, (_, picture)) in samples.iter().enumerate() {
            let path = folder.join(format!("{i}.png"));
            if !path.is_file() {
                // A picture that cannot be saved must not end the run.
                let _ = std::fs::create_dir_all(&folder);
                let _ = picture.save(&path);
            }
        }
        let answers = samples.into_iter().map(|(sample, _)| sample).collect();
        self.append(SAMPLES, &Samples { step, answers });
    }

    /// Appends a JSON line. Ignores a line that cannot be written.
    fn append(&self, name: &str, value: &impl Serialize) {
        if self.follows() {
            return;
        }
        let _ = append_json_line(&self.path.join(name), value);
    }

    /// Writes `status.json`; `why` tells why the run ended.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn set_status(
        &self,
        state: RunState,
        step: usize,
        total: usize,
        why: Option<String>,
    ) -> Result<()> {
        if self.follows() {
            return Ok(());
        }
        Status::now(state, step, total, why).write(&self.path)
    }

    /// Sets the phase of a run before its next step. Ignores a status that cannot be written.
    pub fn set_phase(&self, total: usize, phase: &str) {
        if self.follows() {
            return;
        }
        let step = self.status().map_or(0, |status| status.step);
        let now = Status::now(RunState::Running, step, total, None);
        let _ = Status { phase: Some(phase.into()), ..now }.write(&self.path);
    }
}

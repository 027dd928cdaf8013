//! `runs/RUN_ID/`: everything a run leaves behind. Files are written whole and then renamed, or
//! appended a full line at a time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use artgpt_art::Split;
use artgpt_base::files::append_json_line;
use image::RgbImage;
use serde::Serialize;

use crate::blocks::{BLOCKS, Look};
use crate::events::EventFile;
use crate::listing::NAME;
use crate::samples::{PICTURES, SAMPLES, Sample, Samples};
use crate::{
    MARKS, Mark, MarkKind, Metrics, Result, RunError, RunState, Status, TrainConfig, io,
    write_json, write_whole,
};

/// The hash of the base model's weights.
const BASE: &str = "base.json";
/// Which paintings are held out.
const SPLIT: &str = "split.json";
const STATUS: &str = "status.json";
/// Who looks whether a run is open holds its lock for a moment; who opens it tries again.
const LOCK_TRIES: usize = 10;
const LOCK_WAIT: Duration = Duration::from_millis(50);

pub struct RunDir {
    pub path: PathBuf,
    pub(crate) metrics: File,
    /// Begun with the first metrics.
    pub(crate) events: Option<EventFile>,
    /// Steps before this process.
    pub(crate) restored: usize,
    /// Held while the run is open, so that no second process writes into it. A process that follows
    /// another one of the same run writes nothing.
    lock: Option<File>,
}

impl RunDir {
    /// Makes a new run below `runs`; [`Self::begin`] follows when it trains.
    pub fn create(runs: &Path, id: &str, config: &TrainConfig) -> Result<Self> {
        let path = runs.join(id);
        let checkpoints = path.join("checkpoints");
        std::fs::create_dir_all(&checkpoints).map_err(io(&checkpoints))?;
        let run = Self::open(&path)?;
        run.set_config(config)?;
        Ok(run)
    }

    /// What people call it.
    pub fn set_name(&self, name: &str) -> Result<()> {
        write_json(&self.path.join(NAME), &name)
    }

    /// Keeps what every later start of the run must find again.
    ///
    /// `base` is the hash of the frozen base model.
    pub fn begin(&self, split: &Split, base: &str) -> Result<()> {
        write_json(&self.path.join(BASE), &base)?;
        write_json(&self.path.join(SPLIT), split)
    }

    /// A run that waits for its turn has not begun.
    pub fn has_begun(&self) -> bool {
        self.path.join(SPLIT).is_file()
    }

    /// Refuses another base model than the run began with. Runs of earlier versions do not know.
    pub fn check_base(&self, base: &str) -> Result<()> {
        if !self.path.join(BASE).is_file() {
            return Ok(());
        }
        match self.read_json::<String>(BASE)? == base {
            true => Ok(()),
            false => Err(RunError::OtherBase(self.path.display().to_string())),
        }
    }

    /// Writes the configuration as resolved; again when a resumed run changes it.
    pub fn set_config(&self, config: &TrainConfig) -> Result<()> {
        let text = toml::to_string(config).map_err(|e| RunError::Config(e.to_string()))?;
        write_whole(&self.path.join("config.toml"), text.as_bytes())
    }

    pub fn open(path: &Path) -> Result<Self> {
        let lock_path = path.join(".lock");
        let lock = File::create(&lock_path).map_err(io(&lock_path))?;
        let mut tries = 1;
        while lock.try_lock().is_err() {
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
        File::open(path.join(".lock")).is_ok_and(|lock| {
            matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
        })
    }

    /// A run that another process writes.
    pub fn follow(path: &Path) -> Result<Self> {
        let log = path.join("metrics.jsonl");
        let metrics = File::open(&log).map_err(io(&log))?;
        Ok(Self { path: path.to_path_buf(), metrics, events: None, restored: 0, lock: None })
    }

    pub fn follows(&self) -> bool {
        self.lock.is_none()
    }

    pub fn config(&self) -> Result<TrainConfig> {
        let path = self.path.join("config.toml");
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        toml::from_str(&text).map_err(|e| RunError::Config(e.message().to_string()))
    }

    pub fn split(&self) -> Result<Split> {
        self.read_json(SPLIT)
    }

    pub fn status(&self) -> Result<Status> {
        self.read_json(STATUS)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path.join(name);
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        serde_json::from_str(&text).map_err(|e| RunError::Checkpoint {
            path: path.display().to_string(),
            reason: e.to_string(),
        })
    }

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

    /// Adds a line to `log.txt`. A log that cannot be written stops no run.
    pub fn note(&self, text: &str) {
        if self.follows() {
            return;
        }
        let line = format!("{} {text}\n", jiff::Timestamp::now());
        let log = OpenOptions::new().create(true).append(true).open(self.path.join("log.txt"));
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }

    /// Notes what a chart shows at a step, such as a warning; see [`Mark`].
    pub fn mark(&self, step: usize, kind: MarkKind, text: &str) {
        self.note(&format!("step {step}: {text}"));
        let mark = Mark { step, kind, text: text.to_string(), at: jiff::Timestamp::now() };
        self.append(MARKS, &mark);
    }

    /// Keeps what a step did to each block.
    pub fn look(&self, look: &Look) {
        self.append(BLOCKS, look);
    }

    /// Keeps what was said at a checkpoint; the pictures once.
    pub fn keep_samples(&self, step: usize, samples: Vec<(Sample, RgbImage)>) {
        let folder = self.path.join(PICTURES);
        for (i, (_, picture)) in samples.iter().enumerate() {
            let path = folder.join(format!("{i}.png"));
            if !path.is_file() {
                // A picture that cannot be kept stops no run.
                let _ = std::fs::create_dir_all(&folder);
                let _ = picture.save(&path);
            }
        }
        let answers = samples.into_iter().map(|(sample, _)| sample).collect();
        self.append(SAMPLES, &Samples { step, answers });
    }

    /// Adds a line. Like a log's, one that cannot be written stops no run.
    fn append(&self, name: &str, value: &impl Serialize) {
        if self.follows() {
            return;
        }
        let _ = append_json_line(&self.path.join(name), value);
    }

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

    /// Says what a run does that has not come to its next step yet. It is no fault if nobody hears it.
    pub fn set_phase(&self, total: usize, phase: &str) {
        if self.follows() {
            return;
        }
        let step = self.status().map_or(0, |status| status.step);
        let now = Status::now(RunState::Running, step, total, None);
        let _ = Status { phase: Some(phase.into()), ..now }.write(&self.path);
    }
}

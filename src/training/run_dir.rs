//! `runs/RUN_ID/`: everything a run leaves behind. Files are written whole and then renamed, or
//! appended a full line at a time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::blocks::{BLOCKS, Look};
use super::learner::Learner;
use super::meter::Used;
use super::samples::{Asked, PICTURES, SAMPLES, Samples};
use super::tensorboard::EventFile;
use super::{Result, TrainConfig, TrainError, Watch, io, unwritten};
use crate::art::Split;

/// The hash of the base model's weights.
const BASE: &str = "base.json";
/// Which paintings are held out.
const SPLIT: &str = "split.json";
const NAME: &str = "name.json";
const STATUS: &str = "status.json";
/// What [`RunDir::mark`] writes.
pub const MARKS: &str = "marks.jsonl";
/// Who looks whether a run is open holds its lock for a moment; who opens it tries again.
const LOCK_TRIES: usize = 10;
const LOCK_WAIT: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Queued,
    Running,
    Paused,
    Finished,
    Failed,
    Stopped,
}

/// `status.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub state: RunState,
    pub pid: u32,
    pub step: usize,
    pub total_steps: usize,
    /// RFC 3339, of the last write.
    pub heartbeat: String,
    pub exit_reason: Option<String>,
    /// What it does before its first step, such as loading the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

impl Status {
    /// What this process says of a run.
    pub fn now(state: RunState, step: usize, total_steps: usize, why: Option<String>) -> Self {
        Self {
            state,
            pid: std::process::id(),
            step,
            total_steps,
            heartbeat: jiff::Timestamp::now().to_string(),
            exit_reason: why,
            phase: None,
        }
    }

    /// That of the run in a folder, where it has one.
    pub fn read(run: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(run.join(STATUS)).ok()?).ok()
    }

    pub fn write(&self, run: &Path) -> Result<()> {
        write_json(&run.join(STATUS), self)
    }
}

/// Notes what happened to a run that nobody has open; one that cannot be noted stops nothing.
pub fn note_mark(run: &Path, step: usize, kind: MarkKind, text: &str) {
    let mark = Mark { step, kind, text: text.to_string(), at: jiff::Timestamp::now() };
    append_line(&run.join(MARKS), &mark);
}

fn append_line(path: &Path, value: &impl Serialize) {
    let Ok(mut line) = serde_json::to_vec(value) else { return };
    line.push(b'\n');
    let file = OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| file.write_all(&line));
}

/// What the run in a folder was called when `train` began it.
pub fn run_name(run: &Path) -> Option<String> {
    let path = run.join(NAME);
    // A larger one, or a device, is none of ours.
    if !path.metadata().is_ok_and(|about| about.is_file() && about.len() <= 4096) {
        return None;
    }
    let name: String = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some(name).filter(|name| !name.is_empty())
}

/// One line of `marks.jsonl`: something that happened at a step. Steps that a rollback takes back keep
/// theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub step: usize,
    pub kind: MarkKind,
    pub text: String,
    pub at: jiff::Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    Checkpoint,
    Warning,
    Rollback,
    /// It begins, goes on, or ends.
    Turn,
}

impl MarkKind {
    /// Whether somebody should look at the run.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Warning | Self::Rollback)
    }
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub step: usize,
    /// Passes over the training paintings.
    pub epoch: f64,
    pub stage: String,
    /// `train` or `held_out`.
    pub split: String,
    pub loss: f64,
    pub lr: f64,
    /// Before clipping.
    pub grad_norm: f64,
    pub tokens_per_second: f64,
    pub samples_per_second: f64,
    pub elapsed_s: f64,
    /// Seconds since 1970; 0 in runs of earlier versions.
    #[serde(default)]
    pub wall_time: f64,
    /// Share of the step's time in which it waited for its views.
    #[serde(default)]
    pub data_share: f64,
    /// Largest resident memory of the process so far, bytes, where the system tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Size of the update beside the size of the weights, over all that trains; every
    /// [`super::LOOK_EVERY`] steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_ratio: Option<f64>,
    /// What the process used of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Used>,
    /// Share of closed questions the query tokens answer (align stage).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

pub struct RunDir {
    pub path: PathBuf,
    metrics: File,
    /// Begun with the first metrics.
    events: Option<EventFile>,
    /// Steps before this process.
    restored: usize,
    /// Held while the run is open, so that no second process writes into it. A process that follows
    /// another one of the same run writes nothing.
    lock: Option<File>,
}

/// `checkpoints/step-N/state.json`: where the run stood. The data order follows from it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Position {
    pub step: usize,
    pub elapsed_s: f64,
    #[serde(default)]
    pub watch: Watch,
    /// The best validation so far, where the run may end early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// A validation that no later one has bettered yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: usize,
    pub loss: f64,
    /// Validations since then.
    pub stale: usize,
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
    /// `base` is [`crate::model::manifest::Model::base_hash`].
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
            false => Err(TrainError::OtherBase(self.path.display().to_string())),
        }
    }

    /// Writes the configuration as resolved; again when a resumed run changes it.
    pub fn set_config(&self, config: &TrainConfig) -> Result<()> {
        let text = toml::to_string(config).map_err(|e| TrainError::Config(e.to_string()))?;
        write_whole(&self.path.join("config.toml"), text.as_bytes())
    }

    pub fn open(path: &Path) -> Result<Self> {
        let lock_path = path.join(".lock");
        let lock = File::create(&lock_path).map_err(io(&lock_path))?;
        let mut tries = 1;
        while lock.try_lock().is_err() {
            if tries == LOCK_TRIES {
                return Err(TrainError::Busy(path.display().to_string()));
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
        toml::from_str(&text).map_err(|e| TrainError::Config(e.message().to_string()))
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
        serde_json::from_str(&text).map_err(|e| TrainError::Checkpoint {
            path: path.display().to_string(),
            reason: e.to_string(),
        })
    }

    pub fn log(&mut self, metrics: &Metrics) -> Result<()> {
        if self.follows() {
            return Ok(());
        }
        let mut line =
            serde_json::to_vec(metrics).map_err(|e| TrainError::Config(e.to_string()))?;
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
    pub fn keep_samples(&self, step: usize, asked: &[Asked]) {
        let folder = self.path.join(PICTURES);
        for (i, one) in asked.iter().enumerate() {
            let path = folder.join(format!("{i}.png"));
            if !path.is_file() {
                // A picture that cannot be kept stops no run.
                let _ = std::fs::create_dir_all(&folder);
                let _ = one.picture.save(&path);
            }
        }
        let answers = asked.iter().map(|one| one.sample.clone()).collect();
        self.append(SAMPLES, &Samples { step, answers });
    }

    /// Adds a line. Like a log's, one that cannot be written stops no run.
    fn append(&self, name: &str, value: &impl Serialize) {
        if self.follows() {
            return;
        }
        append_line(&self.path.join(name), value);
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

    /// Saves a checkpoint of where the run stands, and drops all but the last `keep` of the regular
    /// ones, which are `every` steps apart. One that a stop left goes with the next regular one.
    pub fn save(
        &self,
        position: &Position,
        learner: &Learner,
        (every, keep): (usize, usize),
    ) -> Result<()> {
        if self.follows() {
            return Ok(());
        }
        let root = self.path.join("checkpoints");
        let step = position.step;
        let target = root.join(format!("step-{step}"));
        if target.exists() {
            // The run stands where it stood, but perhaps with lower rates since it went back there.
            return write_json(&target.join("state.json"), position);
        }
        let staging = root.join(format!(".step-{step}.partial"));
        let _ = std::fs::remove_dir_all(&staging);
        let write = || {
            std::fs::create_dir_all(&staging).map_err(io(&staging))?;
            learner.save(&staging).map_err(unwritten(&staging))?;
            write_json(&staging.join("state.json"), position)?;
            std::fs::rename(&staging, &target).map_err(io(&target))
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
        old.map(|(_, path)| path).try_for_each(|path| remove(path))
    }

    /// Restores the newest checkpoint, and says where it stood. With none the run begins anew.
    ///
    /// Metrics after the checkpoint are cut off: they will be written again.
    pub fn restore(&mut self, learner: &mut Learner) -> Result<Option<Position>> {
        match self.checkpoints()?.pop() {
            Some((_, path)) => self.restore_from(&path, learner).map(Some),
            None => self.cut_metrics(0).map(|()| None),
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
    pub fn restore_step(&mut self, step: usize, learner: &mut Learner) -> Result<Position> {
        self.restore_from(&self.path.join(format!("checkpoints/step-{step}")), learner)
    }

    /// Goes back to the newest regular checkpoint, or to the one before it where that one is not
    /// `trusted`; later ones go. `None` if there is none.
    pub fn go_back(
        &mut self,
        every: usize,
        trusted: bool,
        learner: &mut Learner,
    ) -> Result<Option<Position>> {
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

    fn restore_from(&mut self, path: &Path, learner: &mut Learner) -> Result<Position> {
        let bad =
            |reason: String| TrainError::Checkpoint { path: path.display().to_string(), reason };
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

/// A run's id: its folder's name.
pub fn run_id(run: &Path) -> String {
    run.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What lies in a folder of runs, in the order of their ids. Names that begin with a dot are no runs:
/// locks, notes, and runs on their way out.
pub fn run_folders(runs: &Path) -> Vec<PathBuf> {
    let entries = runs.read_dir().into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|path| !run_id(path).starts_with('.')).collect();
    all.sort();
    all
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

pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|e| TrainError::Config(e.to_string()))?;
    write_whole(path, &bytes)
}

pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(io(path))?;
    file.write_all(bytes).map_err(io(path))?;
    file.as_file().sync_all().map_err(io(path))?;
    file.persist(path).map_err(|e| io(path)(e.error))?;
    Ok(())
}

//! One training run in this process.
//!
//! [`train`] joins the other processes of the run (MPI), finds or makes the run directory, loads the
//! base model and trains until the end or until it is stopped.

mod parts;
mod peers;
mod resume;
mod start;

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::conversations;
use super::models::ready;
use super::overrides::Override;
use super::{App, AppError, Event, Result};
use artgpt_art::{Paintings, Split};
use artgpt_jobs::Job;
use artgpt_model::device;
use artgpt_model::manifest::Model;
use artgpt_rundir::{RunDir, RunState, TrainConfig, run_id};
use artgpt_train::data::{Conversations, Feed};
use artgpt_train::{
    CaptionTask, MuseumTask, Network, Outcome, Peers, TalkTask, Task, TrainEvent, Trainer,
    open_feed, outcome,
};
use parts::Parts;
use start::Start;

/// Why a run cannot start or resume in this process.
#[derive(Debug, thiserror::Error)]
pub enum ForegroundError {
    /// No configuration is named.
    #[error("no configuration is named")]
    NoConfiguration,
    /// A path is no training run of ours.
    #[error("{} is no training run of ours", path.display())]
    NotOurs {
        /// The file or directory.
        path: PathBuf,
        /// Where our runs are.
        runs: PathBuf,
    },
    /// A job does not train in the foreground.
    #[error("{0} is a job")]
    IsJob(String),
    /// The given configuration is not the run's own.
    #[error("{} has another configuration: {}", run.display(), differences.join(", "))]
    OtherConfiguration {
        /// The run's directory.
        run: PathBuf,
        /// Keys that differ, with both values.
        differences: Vec<String>,
    },
    /// Keys that a resumed run may not change.
    #[error("a run cannot be resumed with another {}", .0.join(", "))]
    Fixed(Vec<String>),
    /// The base model lacks a part.
    #[error("{model} has no {part}")]
    Incomplete {
        /// The model.
        model: String,
        /// The missing section of its manifest.
        part: &'static str,
    },
    /// Several processes were started, and this build has no MPI.
    #[error("this program was built without MPI")]
    NoMpi,
    /// Several processes were started that cannot find each other.
    #[error("srun started several processes that do not know of each other")]
    NotJoined,
    /// The configuration names no data.
    #[error("there is nothing to learn from")]
    NoData,
}

/// A run to start or to resume.
#[derive(Debug, Clone, Default)]
pub struct TrainRequest {
    /// The configuration.
    pub config_file: Option<PathBuf>,
    /// Replaces values of the configuration.
    pub set: Vec<Override>,
    /// A run's ID, a unique prefix of it, its name or its directory.
    pub resume: Option<String>,
    /// The configuration's file name where it is `None`.
    pub name: Option<String>,
    /// The supervisor of jobs started this process, which leads a session of its own.
    pub as_job: bool,
}

/// How training ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trained {
    /// The run is finished.
    Finished {
        /// The run's directory.
        run: PathBuf,
        /// The trained weights.
        weights: PathBuf,
    },
    /// A process other than the first has nothing to report.
    Followed,
    /// The run was stopped, and can be resumed.
    Stopped {
        /// The run's directory.
        run: PathBuf,
        /// Whether it is a job.
        is_job: bool,
    },
}

/// Trains one run. `abort` is called where this process fails while others of the run wait for it; it
/// must end the process, because MPI's own end would wait for the others, and they for this one.
pub fn train(
    app: &App,
    request: &TrainRequest,
    stopped: &dyn Fn() -> bool,
    abort: &dyn Fn(&AppError),
) -> Result<Trained> {
    if request.as_job {
        // A process that leads a group already (a shell's job) has no session to leave.
        let _ = rustix::process::setsid();
    }
    // A process without a device must not leave the others waiting: it joins them first.
    let device = device::open(&app.settings.device);
    let peers = peers::join(stopped, device.as_ref().ok())?;
    let peers = peers.as_ref();
    let trained = device
        .map_err(AppError::from)
        .and_then(|device| train_on(app, request, &device, peers, stopped));
    if let Err(error) = &trained
        && peers.size() > 1
    {
        abort(error);
    }
    trained
}

fn train_on(
    app: &App,
    request: &TrainRequest,
    device: &Device,
    peers: &dyn Peers,
    stopped: &dyn Fn() -> bool,
) -> Result<Trained> {
    let Start { config, mut run, name } = start::resolve(app, request, peers)?;
    let total = config.total_steps();
    let session = Session { app, config, device, peers, stopped };
    let ended = session.run(&mut run, &name);
    // The run's status tells why it failed, too.
    if let (Err(error), Some(run)) = (&ended, &run) {
        let step = run.status().map_or(0, |status| status.step);
        let _ = run.set_status(RunState::Failed, step, total, Some(super::explain(error)));
    }
    ended
}

/// What a run learns from.
struct Sources<'n> {
    paintings: Option<&'n Paintings>,
    feed: Option<Feed>,
    conversations: Option<Conversations>,
}

/// What one run trains with.
struct Session<'a> {
    app: &'a App,
    config: TrainConfig,
    device: &'a Device,
    peers: &'a dyn Peers,
    stopped: &'a dyn Fn() -> bool,
}

impl Session<'_> {
    /// Trains to the end, or until stopped; a new run with this name where none is given.
    fn run(&self, known: &mut Option<RunDir>, name: &str) -> Result<Trained> {
        let (app, config) = (self.app, &self.config);
        config.check()?;
        // Wrong data is reported before a model is loaded.
        let feed = open_feed(config)?;
        let conversations = conversations::open(app, config)?;
        let mut model = ready(app, &config.model)?;
        let base = model.base_hash()?;
        let paintings = match conversations::museum(app, &config.data)? {
            Some(folder) => Some(Paintings::open(&folder)?),
            None => None,
        };
        let split = |paintings: &Paintings| conversations::split(paintings, config);
        if let (None, Some(paintings)) = (&known, &paintings) {
            // Nor does a run remain that could not begin.
            split(paintings)?;
        }
        let run = self.directory(known, name, &base)?;
        // A resumed run keeps its split, whatever has changed since.
        let split = match (run.has_begun(), &paintings) {
            (true, _) => run.split()?,
            (false, Some(paintings)) => split(paintings)?,
            (false, None) => Split { seed: config.seed, ..Split::default() },
        };
        self.begin(run, &split, &base, &model)?;
        let parts = Parts::load(&model, config, self.device)?;
        // An end before the first step loses nothing.
        if self.peers.any((self.stopped)())? {
            let step = run.status().map_or(0, |status| status.step);
            let (total, why) = (config.total_steps(), Some("asked to stop".into()));
            run.set_status(RunState::Stopped, step, total, why)?;
            return Ok(stopped(run));
        }
        parts.dress(&mut model.manifest, config);
        let network = parts.network(config, self.device);
        let sources = Sources { paintings: paintings.as_ref(), feed, conversations };
        let task = self.task(network, sources, split)?;
        let outcome = self.steps(run, &parts, task.as_ref())?;
        match outcome {
            Outcome::Finished if self.peers.rank() != 0 => Ok(Trained::Followed),
            Outcome::Finished => {
                let weights = run.path.join(outcome::WEIGHTS);
                let manifest = outcome::manifest(&model, config, &run_id(&run.path));
                outcome::leave(&run.path, &manifest, config, &config.model)?;
                Ok(Trained::Finished { run: run.path.clone(), weights })
            }
            Outcome::Stopped => Ok(stopped(run)),
        }
    }

    /// The run's directory: the known one, if it has the same base model, or a new one.
    fn directory<'k>(
        &self,
        known: &'k mut Option<RunDir>,
        name: &str,
        base: &str,
    ) -> Result<&'k mut RunDir> {
        let (config, peers) = (&self.config, self.peers);
        if let Some(run) = known {
            run.check_base(base)?;
            if !run.follows() {
                run.set_config(config)?;
            }
            return Ok(run);
        }
        let runs = self.app.paths.runs();
        let id = peers::common_id(peers)?;
        let own = match peers.rank() {
            0 => Some(RunDir::create(&runs, &id, config)?),
            _ => None,
        };
        if let Some(run) = &own {
            run.set_name(name)?;
        }
        peers.total(0.0)?; // the directory exists
        Ok(known.insert(match own {
            Some(run) => run,
            None => RunDir::follow(&runs.join(&id))?,
        }))
    }

    /// Writes that the run has begun.
    fn begin(&self, run: &mut RunDir, split: &Split, base: &str, model: &Model) -> Result<()> {
        let peers = self.peers;
        peers.total(0.0)?; // all have looked
        if !run.follows() {
            artgpt_rundir::job::begun(&run.path);
        }
        if !run.has_begun() && !run.follows() {
            run.begin(split, base)?;
        }
        if peers.rank() == 0 {
            self.app.tell(&Event::RunStarted(&run.path));
            self.app.tell(&Event::Loading(&model.manifest.name));
            artgpt_engine::unused(model).iter().for_each(|n| self.app.tell(&Event::Model(n)));
        }
        if peers.size() > 1 {
            run.note(&format!("{} processes train together", peers.size()));
        }
        let loading = format!("loading {}", model.manifest.name);
        run.set_phase(self.config.total_steps(), &loading);
        Ok(())
    }

    fn task<'n>(
        &self,
        network: Network<'n>,
        sources: Sources<'n>,
        split: Split,
    ) -> Result<Box<dyn Task + 'n>> {
        let config = &self.config;
        let Sources { paintings, feed, conversations } = sources;
        if let Some(data) = conversations {
            let museum = conversations::museum(self.app, &config.data)?;
            let task = TalkTask::new(network, config, data, paintings, &split)?;
            return Ok(Box::new(task.with_museum_files(museum)));
        }
        Ok(match (paintings, feed) {
            (Some(paintings), _) => {
                let cache = config.cache_mb << 20;
                Box::new(MuseumTask::new(network, paintings, split, config.view_pool, cache)?)
            }
            (None, Some(feed)) => Box::new(CaptionTask::new(network, config, feed)?),
            (None, None) => return Err(ForegroundError::NoData.into()),
        })
    }

    fn steps(&self, run: &mut RunDir, parts: &Parts, task: &dyn Task) -> Result<Outcome> {
        let trainer = Trainer {
            threads: artgpt_train::thread_pool(&self.config)?,
            params: parts.params.clone(),
            task,
            peers: self.peers,
            config: self.config.clone(),
        };
        let (first, total) = (self.peers.rank() == 0, self.config.total_steps());
        Ok(trainer.run(run, self.stopped, |event| match event {
            TrainEvent::Metrics(metrics) if first => {
                self.app.tell(&Event::Step { metrics, total });
            }
            TrainEvent::Metrics(_) => {}
            TrainEvent::Warning { step, text } => self.app.tell(&Event::Warning { step, text }),
        })?)
    }
}

fn stopped(run: &RunDir) -> Trained {
    let is_job = Job::read(&run.path).is_some();
    Trained::Stopped { run: run.path.clone(), is_job }
}

/// Whether these are the data folder's runs that the user gets without `--data-dir`.
pub fn is_default_data(data: &Path) -> bool {
    crate::settings::Paths::new(None, None).is_some_and(|paths| paths.data == data)
}

//! The training configuration: `train CONFIG.toml`.

use serde::{Deserialize, Serialize};

use crate::{DataConfig, Guard, Result, RunError, Stage, StageKind};
use artgpt_manifest::Method;

/// A run's configuration. Every field has a default but `model`, `data` and `stage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The manifest of the base model.
    pub model: String,
    /// The training data.
    pub data: DataConfig,
    /// Initial weights (a `bridge.safetensors`); tensors that it lacks start with new values, and
    /// tensors of another method are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<std::path::PathBuf>,
    /// RNG seed of new weights, of the order of the data, and of crops.
    #[serde(default = "seed")]
    pub seed: u64,
    /// RNG seed of the held-out split; by default `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Paintings of a museum held out from training; `data.held_out` is the share of `[data]`.
    #[serde(default = "held_out")]
    pub held_out: usize,
    /// More paintings that conversations do not train on, chosen by `split_seed` among those that
    /// are left; with them it is these whose loss the run validates.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub set_aside: usize,
    /// Replaces keys of the base manifest's `[prompt]`, in training and in the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptConfig>,
    /// What trains in the language model.
    #[serde(default)]
    pub method: Method,
    /// Train the norms that the reference trains: every block's post-attention norm, and the
    /// input norm of even blocks. By default with the methods `adapter`, `norms` and `full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_norms: Option<bool>,
    /// What trains of the bridge between picture and language model.
    #[serde(default)]
    pub bridge: BridgeParts,
    /// AdamW's decay rates of the first and second moment.
    #[serde(default = "betas")]
    pub betas: (f64, f64),
    /// AdamW's weight decay, for tensors of two or more dimensions only.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Max global gradient norm; larger gradients are clipped to it.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Steps between checkpoints.
    #[serde(default = "every")]
    pub checkpoint_every: usize,
    /// Regular checkpoints to keep; older ones are removed.
    #[serde(default = "keep")]
    pub checkpoints_kept: usize,
    /// Held-out pictures that the model answers about at each checkpoint (answer and caption stages).
    #[serde(default = "few")]
    pub samples: usize,
    /// Steps between validations on held-out paintings; 0 turns validation off.
    #[serde(default = "every")]
    pub validate_every: usize,
    /// What follows a bad step.
    #[serde(default)]
    pub guard: Guard,
    /// Number format of products with frozen matrices. Trained tensors stay f32.
    #[serde(default)]
    pub precision: TrainPrecision,
    /// Threads that compute views; 0 is one per core.
    #[serde(default)]
    pub threads: usize,
    /// Views of a museum that are drawn once and reused; 0 draws new ones at every step. A view takes
    /// 150 kB with the default encoder.
    #[serde(default)]
    pub view_pool: usize,
    /// Size of the cache for outputs of frozen parts, MB.
    #[serde(default = "cache_mb")]
    pub cache_mb: usize,
    /// Micro-batches of captions whose pictures are prefetched.
    #[serde(default = "prefetch")]
    pub prefetch: usize,
    /// Decay of an exponential moving average of the weights; the run validates and leaves the
    /// average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Early stopping: end after this many validations without a better loss, and leave the best
    /// weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<usize>,
    /// Resources to request from Slurm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<Resources>,
    /// Stages, in order.
    pub stage: Vec<Stage>,
}

/// `[prompt]`: how conversations with the model are written from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptConfig {
    /// The system prompt if the user gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Whether a line of a picture's measured features stands behind its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<bool>,
}

/// `[slurm]`: options of `sbatch`; the cluster's defaults apply to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// `sbatch --partition`.
    pub partition: Option<String>,
    /// `sbatch --account`.
    pub account: Option<String>,
    /// `sbatch --qos`.
    pub qos: Option<String>,
    /// `sbatch --time`, such as `1-12:00:00`.
    pub time: Option<String>,
    /// Memory per node, such as `32G`.
    pub memory: Option<String>,
    /// `sbatch --nodes`.
    pub nodes: Option<u32>,
    /// Processes that train together; more than one needs a build with MPI.
    pub tasks: Option<u32>,
    /// `sbatch --cpus-per-task`.
    pub cpus_per_task: Option<u32>,
    /// `sbatch --gpus-per-task`.
    pub gpus_per_task: Option<u32>,
    /// The `srun --mpi` plugin, such as `pmix`.
    pub mpi: Option<String>,
    /// Seconds before the time limit at which the job gets a signal to write its checkpoint; by
    /// default 120.
    pub notice: Option<u32>,
    /// More options, such as `--constraint=a100`.
    pub extra: Vec<String>,
}

impl Resources {
    /// Checks that each value is one line of text: it becomes a line of the job script.
    ///
    /// # Errors
    /// [`RunError::Config`] with the key of the first that is not.
    pub fn check(&self) -> Result<()> {
        let Self {
            partition,
            account,
            qos,
            time,
            memory,
            nodes: _,
            tasks: _,
            cpus_per_task: _,
            gpus_per_task: _,
            mpi,
            notice: _,
            extra,
        } = self;
        let named = [
            ("partition", partition),
            ("account", account),
            ("qos", qos),
            ("time", time),
            ("memory", memory),
            ("mpi", mpi),
        ];
        let named = named.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let mut all = named.chain(extra.iter().map(|value| ("extra", value)));
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        match all.find(|(_, value)| value.contains(breaks)) {
            Some((key, value)) => Err(RunError::Config(format!(
                "slurm.{key} = {value:?} holds a line break or another control character"
            ))),
            None => match extra.iter().find(|value| !value.trim_start().starts_with('-')) {
                Some(value) => Err(RunError::Config(format!(
                    "slurm.extra: {value:?} is not an option of sbatch, such as \"--exclusive\""
                ))),
                None => Ok(()),
            },
        }
    }
}

/// Number format in which frozen matrices multiply. Sums are f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPrecision {
    /// 32 bits.
    #[default]
    F32,
    /// bf16 if the device multiplies it faster than f32, f32 otherwise.
    Bf16,
    /// Quantised matrices stay quantised on the CPU, which needs the least memory; all others are f32.
    Stored,
}

/// Parts of the bridge between picture and language model that train.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BridgeParts {
    /// Q-Former and projection.
    #[default]
    All,
    /// The projection alone, as in the paper and in MiniGPT-4.
    Projection,
    /// The bridge is frozen.
    Nothing,
}

impl TrainConfig {
    /// Checks ranges and combinations of all values.
    ///
    /// # Errors
    /// [`RunError::Config`] with the first problem.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(RunError::Config(what));
        if self.stage.is_empty() {
            return wrong("there is no [[stage]]".into());
        }
        for (i, stage) in self.stage.iter().enumerate() {
            if let Some(problem) = stage.problem(&self.data) {
                return wrong(format!("stage {i}: {problem}"));
            }
        }
        if self.set_aside > 0 && !matches!(self.data, DataConfig::Conversations(_)) {
            return wrong("set_aside is for conversations about a museum's paintings".into());
        }
        self.slurm.as_ref().map_or(Ok(()), Resources::check)?;
        self.method.check().or_else(wrong)?;
        if self.bridge == BridgeParts::Nothing
            && self.stage.iter().any(|s| s.kind == StageKind::Align)
        {
            return wrong("an align stage trains the bridge alone, and bridge is nothing".into());
        }
        if let Some(problem) = self.guard.problem() {
            return wrong(problem);
        }
        if self.clip <= 0.0 {
            return wrong("clip must be above 0".into());
        }
        if self.ema.is_some_and(|keep| !(0.0..1.0).contains(&keep)) {
            return wrong("ema must be from 0 up to but not 1, such as 0.999".into());
        }
        if self.early_stop.is_some() && self.stage.len() > 1 {
            return wrong("early_stop compares losses of one stage; make each stage a run".into());
        }
        if self.early_stop == Some(0) || self.early_stop.is_some() && self.validate_every == 0 {
            return wrong("early_stop counts validations: both must be above 0".into());
        }
        if self.checkpoint_every == 0 || self.checkpoints_kept == 0 {
            return wrong("checkpoint_every and checkpoints_kept must be above 0".into());
        }
        Ok(())
    }

    /// Whether the norms that the reference trains are trainable.
    pub fn opens_norms(&self) -> bool {
        self.train_norms.unwrap_or(self.method.opens_norms())
    }

    /// # Errors
    /// [`RunError::Config`] if `trainable` is empty.
    pub fn check_trains<T>(&self, trainable: &[T]) -> Result<()> {
        match trainable {
            [] => Err(RunError::Config(format!(
                "nothing trains: the method is {}, and bridge is nothing",
                self.method.kind()
            ))),
            _ => Ok(()),
        }
    }

    /// Whether a tensor of this name trains.
    pub fn trains(&self, name: &str) -> bool {
        let projection = name.starts_with("llama_proj.");
        match self.bridge {
            _ if name.starts_with(VISION_NORM) => false,
            _ if name.starts_with("llama_model.") => true,
            BridgeParts::All => true,
            BridgeParts::Projection => projection,
            BridgeParts::Nothing => false,
        }
    }

    /// RNG seed of the held-out split.
    pub fn split_drawn_by(&self) -> u64 {
        self.split_seed.unwrap_or(self.seed)
    }

    /// Samples drawn before a step (from 0).
    pub fn samples_before(&self, step: usize) -> usize {
        let mut left = step;
        let of = |stage: &Stage| {
            let here = left.min(stage.steps);
            left -= here;
            here * stage.batch * stage.accumulate
        };
        self.stage.iter().map(of).sum()
    }

    /// Steps of all stages.
    pub fn total_steps(&self) -> usize {
        self.stage.iter().map(|s| s.steps).sum()
    }

    /// The stage of a step (from 0), its index, and the step within it.
    pub fn stage_at(&self, step: usize) -> Option<(usize, &Stage, usize)> {
        let mut start = 0;
        for (i, stage) in self.stage.iter().enumerate() {
            if step < start + stage.steps {
                return Some((i, stage, step - start));
            }
            start += stage.steps;
        }
        None
    }
}

/// Name prefix of tensors that a run measures and never trains: mean and standard deviation of each
/// channel of the image tokens.
pub const VISION_NORM: &str = "vision_norm.";

fn few() -> usize {
    2
}

fn cache_mb() -> usize {
    1024
}
fn prefetch() -> usize {
    2
}
fn seed() -> u64 {
    7
}
fn held_out() -> usize {
    35
}
fn betas() -> (f64, f64) {
    (0.9, 0.999)
}
fn weight_decay() -> f64 {
    0.05
}
fn clip() -> f64 {
    1.0
}
fn every() -> usize {
    200
}
fn keep() -> usize {
    2
}
fn is_zero(n: &usize) -> bool {
    *n == 0
}

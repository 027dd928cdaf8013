//! What a run is told: `train CONFIG.toml`.

use serde::{Deserialize, Serialize};

use crate::{Captions, DataConfig, Guard, Result, RunError};
use artgpt_art::Question;
use artgpt_manifest::Method;

/// A run's configuration. Every field has a default but `model`, `data` and `stage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The manifest whose frozen parts are used.
    pub model: String,
    pub data: DataConfig,
    /// Start from these weights (a `bridge.safetensors`); tensors it lacks start as new ones, and
    /// those of another method are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<std::path::PathBuf>,
    #[serde(default = "seed")]
    pub seed: u64,
    /// Draws the paintings that are kept out; by default the seed does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Paintings of a museum kept out of training; of [data] a share is, `data.held_out`.
    #[serde(default = "held_out")]
    pub held_out: usize,
    /// What trains in the language model.
    #[serde(default)]
    pub method: Method,
    /// Train the norms that the reference trains: every block's post-attention norm, and the
    /// input norm of even blocks. By default with adapters, and where the method is just that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_norms: Option<bool>,
    /// What trains of the bridge between picture and language model.
    #[serde(default)]
    pub bridge: BridgeParts,
    #[serde(default = "betas")]
    pub betas: (f64, f64),
    /// On tensors of two or more dimensions only.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Largest global gradient norm.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Steps between checkpoints.
    #[serde(default = "every")]
    pub checkpoint_every: usize,
    /// Checkpoints kept; older ones go.
    #[serde(default = "keep")]
    pub checkpoints_kept: usize,
    /// Held-out pictures that the model is asked about at each checkpoint (answer and caption stages).
    #[serde(default = "few")]
    pub samples: usize,
    /// Steps between losses on held-out paintings; 0 is never.
    #[serde(default = "every")]
    pub validate_every: usize,
    /// What happens when a step goes wrong.
    #[serde(default)]
    pub guard: Guard,
    /// In what frozen matrices multiply. What trains stays f32.
    #[serde(default)]
    pub precision: TrainPrecision,
    /// Views computed at the same time; 0 is one a core.
    #[serde(default)]
    pub threads: usize,
    /// Views of a museum drawn once and then used again; 0 draws new ones at every step. A view
    /// takes 150 kB with the default encoder.
    #[serde(default)]
    pub view_pool: usize,
    /// Room for outputs of frozen parts that come again, MB.
    #[serde(default = "cache_mb")]
    pub cache_mb: usize,
    /// Micro-batches of captions whose pictures are read ahead.
    #[serde(default = "prefetch")]
    pub prefetch: usize,
    /// Keep a running mean of the weights that forgets with this factor a step; it is what is
    /// validated and what the run leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// End after so many validations that bring no better loss; the best weights are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<usize>,
    /// What the run asks of a cluster's queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<Resources>,
    pub stage: Vec<Stage>,
}

/// `[slurm]`: options of `sbatch`; what is left out is the cluster's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    /// As `sbatch --time` reads it, such as `1-12:00:00`.
    pub time: Option<String>,
    /// Of a node, such as `32G`.
    pub memory: Option<String>,
    pub nodes: Option<u32>,
    /// Processes that train together; more than one needs a build with MPI.
    pub tasks: Option<u32>,
    pub cpus_per_task: Option<u32>,
    pub gpus_per_task: Option<u32>,
    /// How `srun --mpi` brings the processes together, such as `pmix`.
    pub mpi: Option<String>,
    /// Seconds before the end of its time at which the job is told to write its checkpoint; 120 if
    /// left out.
    pub notice: Option<u32>,
    /// More options, such as `--constraint=a100`.
    pub extra: Vec<String>,
}

/// In what frozen matrices multiply while gradients pass through them. Sums are f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPrecision {
    /// 32 bits.
    #[default]
    F32,
    /// bf16 where the device multiplies it faster, f32 where not.
    Bf16,
    /// Quantised matrices stay quantised on the CPU, which needs the least memory; all others are
    /// f32.
    Stored,
}

/// Parts of the bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BridgeParts {
    /// Q-Former and projection.
    #[default]
    All,
    /// As in the paper and in MiniGPT-4.
    Projection,
    Nothing,
}

/// One stage: a loss, its length and its learning rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub kind: StageKind,
    pub steps: usize,
    /// Views of a micro-batch.
    pub batch: usize,
    /// Micro-batches whose gradients make one step.
    #[serde(default = "one_batch")]
    pub accumulate: usize,
    /// Learning rate after the warm-up, and at the end of the cosine.
    pub lr: f64,
    #[serde(default)]
    pub min_lr: f64,
    /// Learning rate at the first step.
    #[serde(default)]
    pub warmup_lr: f64,
    #[serde(default)]
    pub warmup_steps: usize,
    /// Factor on the learning rate of Q-Former and projection.
    #[serde(default = "one")]
    pub bridge_lr_scale: f64,
    /// Questions asked of one view (answer stage).
    #[serde(default = "questions")]
    pub questions: usize,
    /// Ask nothing but these question types (answer stage), each as often: a classification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Question>,
    /// Question types that every view is asked besides (answer stage): those that are hard to learn.
    #[serde(default)]
    pub always: Vec<Question>,
    /// Things that every view is asked for besides, yes or no (answer stage).
    #[serde(default)]
    pub presence: usize,
    /// Questions about the label that every view is asked besides, most of them after other rounds
    /// (answer stage).
    #[serde(default)]
    pub labels: usize,
    /// What weighs the same in the loss of a view (answer stage).
    #[serde(default)]
    pub weigh: Weigh,
    /// What becomes of a picture and its caption (caption stage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Captions>,
}

impl Stage {
    pub fn captions(&self) -> Captions {
        self.caption.clone().unwrap_or_default()
    }
}

/// What the loss of a view is the mean of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weigh {
    /// Tokens: a long answer counts for more than a short one.
    #[default]
    Tokens,
    /// Answers: a word that decides a short answer is not lost among those of a long one.
    Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// The projected query tokens are pulled to the language model's embeddings of the true
    /// answers' words; the language model itself does not run.
    Align,
    /// Cross-entropy on the tokens of answers to questions about a museum's paintings.
    Answer,
    /// Cross-entropy on the tokens of a picture's caption.
    Caption,
}

impl StageKind {
    /// As metrics tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Align => "align",
            Self::Answer => "answer",
            Self::Caption => "caption",
        }
    }
}

impl TrainConfig {
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(RunError::Config(what));
        if self.stage.is_empty() {
            return wrong("there is no [[stage]]".into());
        }
        for (i, s) in self.stage.iter().enumerate() {
            if [s.batch, s.questions, s.steps, s.accumulate].contains(&0) {
                return wrong(format!(
                    "stage {i}: steps, batch, accumulate and questions must be above 0"
                ));
            }
            for (name, rate) in [("lr", s.lr), ("min_lr", s.min_lr), ("warmup_lr", s.warmup_lr)] {
                if !(0.0..=HIGHEST_LR).contains(&rate) {
                    return wrong(format!("stage {i}: {name} must be from 0 to {HIGHEST_LR}"));
                }
            }
            if s.lr == 0.0 {
                return wrong(format!("stage {i}: lr must be above 0"));
            }
            let pairs = matches!(self.data, DataConfig::Pairs(_));
            if pairs != (s.kind == StageKind::Caption) {
                return wrong(format!(
                    "stage {i}: caption stages learn from [data] with pictures and captions, align \
                     and answer stages from a museum, such as data = \"met-paintings\""
                ));
            }
            if !s.only.is_empty() && s.kind != StageKind::Answer {
                return wrong(format!("stage {i}: only is for answer stages"));
            }
            // A museum does not know it of every painting, and a view that asks nothing has no loss.
            if !s.only.is_empty() && s.only.iter().all(|q| *q == Question::Kind) {
                return wrong(format!("stage {i}: only needs a type beside kind"));
            }
            if !s.only.is_empty() && s.questions < s.only.len() {
                return wrong(format!("stage {i}: questions must be as many as the types of only"));
            }
            if !s.only.is_empty() && (!s.always.is_empty() || s.presence + s.labels > 0) {
                return wrong(format!(
                    "stage {i}: only leaves no place for always, presence and labels"
                ));
            }
            if let Some(problem) = s.captions().problem() {
                return wrong(format!("stage {i}: caption: {problem}"));
            }
        }
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

    /// Whether the norms of the reference train.
    pub fn opens_norms(&self) -> bool {
        self.train_norms.unwrap_or(self.method.opens_norms())
    }

    /// Refuses a run in which nothing trains.
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

    /// The seed that draws what is kept out of training.
    pub fn split_drawn_by(&self) -> u64 {
        self.split_seed.unwrap_or(self.seed)
    }

    /// Samples that were drawn before a step (from 0).
    pub fn samples_before(&self, step: usize) -> usize {
        let mut left = step;
        let of = |stage: &Stage| {
            let here = left.min(stage.steps);
            left -= here;
            here * stage.batch * stage.accumulate
        };
        self.stage.iter().map(of).sum()
    }

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

/// How the names begin of tensors that are measured once and never trained: mean and deviation of
/// each channel of the image tokens.
pub const VISION_NORM: &str = "vision_norm.";

/// Above this AdamW only diverges.
const HIGHEST_LR: f64 = 1.0;

fn few() -> usize {
    2
}

fn one_batch() -> usize {
    1
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
fn one() -> f64 {
    1.0
}
fn questions() -> usize {
    8
}

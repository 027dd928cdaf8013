//! The interface between the step loop and the data: tasks and batches.

use candle_core::{Device, Tensor};
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::params::name_hash;
use super::samples::SampledAnswer;
use super::{Packed, Result};
use artgpt_art::View;
use artgpt_chat::{PromptStyle, Tokenizer};
use artgpt_kernels::mode::Differentiable;
use artgpt_model::bridge::Bridge;
use artgpt_model::detector::Detector;
use artgpt_model::llama::Llama;
use artgpt_model::vision::VisionEncoder;
use artgpt_rundir::Stage;

/// Draws batches. A draw depends on its arguments and the seed alone.
pub trait Task: Sync {
    /// Micro-batch `micro` of a step, for all processes.
    ///
    /// # Errors
    /// Those of the data and of tensors.
    fn draw<'s>(&'s self, context: StepContext<'s>, micro: usize) -> Result<Box<dyn Batch + 's>>;

    /// The held-out views, always the same; `None` if nothing is held out.
    ///
    /// # Errors
    /// Those of the data and of tensors.
    fn held_out<'s>(&'s self, context: StepContext<'s>) -> Result<Option<Box<dyn Batch + 's>>>;

    /// The model's present answers about the first `count` held-out pictures. Uses no random numbers, so
    /// that samples do not change a run.
    ///
    /// # Errors
    /// Those of the data and of tensors.
    fn samples(&self, _stage: &Stage, _count: usize) -> Result<Vec<SampledAnswer>> {
        Ok(Vec::new())
    }

    /// Vision tokens of `count` training views, (views, tokens, width), for the channel statistics.
    ///
    /// # Errors
    /// Those of the data and of tensors.
    fn views(&self, number: usize, count: usize) -> Result<Tensor>;

    /// Passes over the training data after `samples` samples.
    fn epoch(&self, samples: usize) -> f64;
}

/// A step and its stage.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'s> {
    /// The stage.
    pub stage: &'s Stage,
    /// The number of the stage, from 0.
    pub index: usize,
    /// The step of the run, from 0.
    pub step: usize,
    /// The units of a batch that this process trains on.
    pub share: Share,
}

/// A process's share of a batch: every `of`-th unit, starting with unit `rank`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub rank: usize,
    pub of: usize,
}

impl Share {
    pub const ALL: Self = Self { rank: 0, of: 1 };

    pub fn has(self, unit: usize) -> bool {
        unit % self.of == self.rank
    }
}

/// A batch as units whose losses have graphs of their own, so that they can run side by side.
pub trait Batch: Send + Sync {
    /// The number of units.
    fn units(&self) -> usize;

    /// The weight of a unit's loss in the batch's loss; the sum over all units is 1.
    fn weight(&self, unit: usize) -> f64;

    /// The loss of a unit, with its graph.
    ///
    /// # Errors
    /// Those of the data and of tensors.
    fn loss(&self, unit: usize) -> Result<UnitLoss>;

    /// Omitted samples and why.
    fn remarks(&self) -> &[String] {
        &[]
    }
}

/// The loss of one unit of a batch.
pub struct UnitLoss {
    /// A scalar, with its graph.
    pub loss: Tensor,
    /// Tokens that the unit processed.
    pub tokens: usize,
    /// Share of right answers, 0 to 1, if the stage measures it.
    pub accuracy: Option<f64>,
}

/// The network's parts, tokenizer and seed, which every task uses.
pub struct Network<'a> {
    /// The frozen vision encoder.
    pub vision: &'a dyn VisionEncoder,
    /// The detector, if prompts have measured lines and the base model has one.
    pub detector: Option<&'a Detector>,
    /// Q-Former and projection.
    pub bridge: &'a Bridge,
    /// The language model.
    pub language: &'a Llama<Differentiable>,
    /// The language model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// How its conversations are written.
    pub style: PromptStyle,
    /// The device of all tensors.
    pub device: Device,
    /// The run's RNG seed.
    pub seed: u64,
}

impl Network<'_> {
    /// Vision tokens of a picture, (1, tokens, width), without gradient.
    ///
    /// # Errors
    /// Those of tensors.
    pub fn encode(&self, pixels: &RgbImage) -> Result<Tensor> {
        let side = self.vision.side() as u32;
        let view = View::sized(pixels, side);
        Ok(self.vision.encode(&self.vision.pixels(&[&view], &self.device)?)?.detach())
    }

    /// The RNG of one purpose at one position of the run.
    pub fn rng(&self, what: &str, position: u64) -> ChaCha8Rng {
        rng(self.seed, what, position)
    }

    /// Checks that a sequence fits the model's context.
    ///
    /// # Errors
    /// [`crate::TrainError::Run`].
    pub fn check_fits(&self, packed: &Packed) -> Result<()> {
        let context = self.language.config.context_length;
        match packed.positions.iter().max() {
            Some(last) if *last as usize >= context => Err(crate::config_error(format!(
                "an example takes {} tokens, and the model's context is {context}",
                last + 1
            ))),
            _ => Ok(()),
        }
    }
}

/// The RNG of one purpose at one position, from a seed.
pub(crate) fn rng(seed: u64, what: &str, position: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_hash(what));
    rng.set_stream(position);
    rng
}

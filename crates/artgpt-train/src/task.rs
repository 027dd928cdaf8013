//! What a run learns from, as the step loop sees it.

use candle_core::{Device, Tensor};
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::params::name_hash;
use super::samples::SampledAnswer;
use super::{Packed, Result, TrainError};
use artgpt_art::View;
use artgpt_chat::{Template, Tokenizer};
use artgpt_kernels::mode::Differentiable;
use artgpt_model::bridge::Bridge;
use artgpt_model::llama::Llama;
use artgpt_model::vision::VisionEncoder;
use artgpt_rundir::Stage;

/// Draws what a step learns. What it draws depends on its arguments and the seed alone.
pub trait Task: Sync {
    /// Micro-batch `micro` of a step of the whole run.
    fn draw<'s>(&'s self, context: StepContext<'s>, micro: usize) -> Result<Box<dyn Batch + 's>>;

    /// Always the same held-out views; `None` if nothing is held out.
    fn held_out<'s>(&'s self, context: StepContext<'s>) -> Result<Option<Box<dyn Batch + 's>>>;

    /// What the model says about the first `count` held-out pictures, as it is now. Draws nothing, so
    /// that a run is the same with samples and without.
    fn samples(&self, _stage: &Stage, _count: usize) -> Result<Vec<SampledAnswer>> {
        Ok(Vec::new())
    }

    /// Vision tokens of `count` training views, (views, tokens, width), for channel means.
    fn views(&self, number: usize, count: usize) -> Result<Tensor>;

    /// Passes over the training data after so many samples.
    fn epoch(&self, samples: usize) -> f64;
}

/// A step, and the stage it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'s> {
    pub stage: &'s Stage,
    /// Which stage of the run that is.
    pub index: usize,
    /// From 0.
    pub step: usize,
    /// Units of a batch that are learned here: every `of`-th, from this one on.
    pub share: Share,
}

/// A process's part of the units of a batch.
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
    fn units(&self) -> usize;

    /// Of a unit's loss in the batch's; all add up to 1.
    fn weight(&self, unit: usize) -> f64;

    fn loss(&self, unit: usize) -> Result<UnitLoss>;

    /// What was left out, and why.
    fn remarks(&self) -> &[String] {
        &[]
    }
}

pub struct UnitLoss {
    pub loss: Tensor,
    /// Tokens that were read.
    pub tokens: usize,
    pub accuracy: Option<f64>,
}

/// The parts that every task runs.
pub struct Network<'a> {
    pub vision: &'a dyn VisionEncoder,
    pub bridge: &'a Bridge,
    pub language: &'a Llama<Differentiable>,
    pub tokenizer: &'a Tokenizer,
    pub template: Template,
    pub device: Device,
    pub seed: u64,
}

impl Network<'_> {
    /// Vision tokens of a picture, (1, tokens, width).
    pub fn encode(&self, pixels: &RgbImage) -> Result<Tensor> {
        let side = self.vision.side() as u32;
        let view = View::sized(pixels, side);
        Ok(self.vision.encode(&self.vision.pixels(&[&view], &self.device)?)?.detach())
    }

    /// Random numbers for one purpose at one place of the run.
    pub fn rng(&self, what: &str, position: u64) -> ChaCha8Rng {
        rng(self.seed, what, position)
    }

    /// A sequence must fit the model.
    pub fn check_fits(&self, packed: &Packed) -> Result<()> {
        let context = self.language.config.context_length;
        match packed.positions.iter().max() {
            Some(last) if *last as usize >= context => Err(TrainError::Config(format!(
                "an example takes {} tokens, and the model's context is {context}",
                last + 1
            ))),
            _ => Ok(()),
        }
    }
}

pub fn rng(seed: u64, what: &str, position: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_hash(what));
    rng.set_stream(position);
    rng
}

//! The whole network: from an image to query tokens, and the language model that reads them.

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use image::RgbImage;

use super::bridge::Bridge;
use super::checkpoint::{BLOCKS, Extras, LanguageFile, read_llama};
use super::llama::Llama;
use super::manifest::Model;
use super::peft::Tuning;
use super::source::{RenamedTensors, VisionSource, bridge_source, tuning_source};
use super::vision::VisionEncoder;
use super::{Error, LoadStage, Result};
use artgpt_art::View;
use artgpt_kernels::matrix::TrainPrecision;
use artgpt_kernels::mode::{Fused, Mode};
use artgpt_manifest::Method;

/// The trained parts of a model (an adapter set), without the frozen base. They are small, and one base
/// can switch between several sets.
pub struct Trained {
    bridge: Option<Bridge>,
    /// Of each block of the language model.
    tunings: Vec<Tuning>,
    image_tokens: usize,
}

/// A model ready to run.
pub struct ArtGpt {
    /// The vision encoder; `None` for a text-only model.
    pub vision: Option<Box<dyn VisionEncoder>>,
    /// Q-Former and projection; `None` for a text-only model.
    pub bridge: Option<Bridge>,
    /// The language model with its adapters.
    pub language: Llama<Fused>,
    /// Query tokens per image.
    pub image_tokens: usize,
}

impl ArtGpt {
    /// Loads all parts onto `device`. `file` is the open language model; `progress` gets the part and
    /// its loaded fraction.
    ///
    /// # Errors
    /// A file cannot be read, is damaged, does not fit the network, or is not supported.
    pub fn load(
        model: &Model,
        file: &mut LanguageFile,
        device: &Device,
        mut progress: impl FnMut(LoadStage, f32),
    ) -> Result<Self> {
        let extras = match tuning_source(model)? {
            Some((tensors, method)) => Extras {
                weights: Some(RenamedTensors::same(tensors).builder(device)),
                method,
                train: None,
            },
            None => Extras { weights: None, method: Method::Projection {}, train: None },
        };
        let language = read_llama::<Fused>(file.weights(), &extras, device, &mut progress)?;
        progress(LoadStage::Vision, 0.0);
        let vision = load_vision(model, device)?;
        progress(LoadStage::Bridge, 0.0);
        let bridge = load_bridge(model, vision.is_some(), language.config.hidden_size, device)?;
        progress(LoadStage::Bridge, 1.0);
        Ok(Self { vision, bridge, language, image_tokens: image_tokens(model) })
    }

    /// Loads the trained parts of `model`, which must have the base of this model
    /// ([`Model::base_fingerprint`]).
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn read_trained(&self, model: &Model) -> Result<Trained> {
        let (config, device) = (&self.language.config, self.language.device());
        let blocks = match tuning_source(model)? {
            Some((tensors, method)) => {
                let path = tensors.path.clone();
                let all = RenamedTensors::same(tensors).builder(device);
                let block = |i| Tuning::load(&method, config, &all.pp(format!("{BLOCKS}.{i}")));
                let read = (0..config.num_hidden_layers).map(block);
                read.collect::<candle_core::Result<_>>().map_err(|e| Error::in_part(&path, e))?
            }
            None => vec![Tuning::default(); config.num_hidden_layers],
        };
        let bridge = load_bridge(model, self.vision.is_some(), config.hidden_size, device)?;
        Ok(Trained { bridge, tunings: blocks, image_tokens: image_tokens(model) })
    }

    /// Replaces the trained parts and returns the previous ones.
    pub fn swap_trained(&mut self, mut trained: Trained) -> Trained {
        std::mem::swap(&mut self.bridge, &mut trained.bridge);
        std::mem::swap(&mut self.image_tokens, &mut trained.image_tokens);
        for (block, tuning) in self.language.layers.iter_mut().zip(&mut trained.tunings) {
            std::mem::swap(&mut block.tuning, tuning);
        }
        trained
    }

    /// Encodes an image as projected query tokens, (1, queries, hidden); `None` for a text-only model.
    /// A Q-Former with a text branch reads `instruction`, in tokens of its own tokenizer.
    pub fn encode(&self, image: &RgbImage, instruction: &[u32]) -> Result<Option<Tensor>> {
        match self.see(image)? {
            Some(tokens) => self.query(&tokens, instruction),
            None => Ok(None),
        }
    }

    /// The vision encoder: an image to tokens, (1, tokens, width); `None` for a text-only model.
    pub fn see(&self, image: &RgbImage) -> Result<Option<Tensor>> {
        let Some(vision) = &self.vision else { return Ok(None) };
        let view = View::sized(image, vision.side() as u32);
        let pixels = vision.pixels(&[&view], self.language.device())?;
        Ok(Some(vision.encode(&pixels)?))
    }

    /// The bridge: the encoder's tokens, (1, tokens, width), to query tokens, (1, queries, hidden).
    pub fn query(&self, tokens: &Tensor, instruction: &[u32]) -> Result<Option<Tensor>> {
        let Some(bridge) = &self.bridge else { return Ok(None) };
        Ok(Some(bridge.forward::<Fused>(tokens, instruction)?))
    }
}

/// Loads the vision encoder that the manifest names; `None` for a text-only model.
pub fn load_vision(model: &Model, device: &Device) -> Result<Option<Box<dyn VisionEncoder>>> {
    let Some(source) = VisionSource::of(model)? else { return Ok(None) };
    source.load(|named| named.builder(device)).map(Some)
}

fn image_tokens(model: &Model) -> usize {
    model.manifest.qformer.as_ref().map_or(0, |p| p.config.num_query_tokens)
}

/// `None` for a text-only model.
fn load_bridge(
    model: &Model,
    sees: bool,
    language_width: usize,
    device: &Device,
) -> Result<Option<Bridge>> {
    let Some(part) = model.manifest.qformer.as_ref().filter(|_| sees) else { return Ok(None) };
    let named = bridge_source(model, part)?;
    let damaged = |e| Error::in_part(&model.path(&part.path), e);
    Bridge::load(&part.config, language_width, named.builder(device)).map(Some).map_err(damaged)
}

/// Loads a LLaMA for training; its trainable parts come from `weights`.
pub fn load_trainable<M: Mode>(
    file: &mut LanguageFile,
    weights: VarBuilder,
    method: Method,
    precision: TrainPrecision,
    device: &Device,
    progress: impl FnMut(LoadStage, f32),
) -> Result<Llama<M>> {
    let extras = Extras { weights: Some(weights), method, train: Some(precision) };
    read_llama::<M>(file.weights(), &extras, device, progress)
}

//! The whole network joined: what an image becomes, and the language model that reads it.

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use image::RgbImage;

use super::bridge::Bridge;
use super::checkpoint::{BLOCKS, Extras, LanguageFile, read_llama};
use super::llama::Llama;
use super::manifest::Model;
use super::peft::Tuning;
use super::source::{Named, VisionSource, bridge_source, tuning_source};
use super::vision::VisionEncoder;
use super::{Error, LoadStage, Result};
use artgpt_art::View;
use artgpt_kernels::matrix::TrainPrecision;
use artgpt_kernels::mode::{Fused, Mode};
use artgpt_manifest::Method;

/// What training made of a model, without the frozen base: small beside it, and one base
/// takes different ones in turn.
pub struct Trained {
    bridge: Option<Bridge>,
    /// Of each block.
    tunings: Vec<Tuning>,
    image_tokens: usize,
}

/// A model ready to run.
pub struct ArtGpt {
    pub vision: Option<Box<dyn VisionEncoder>>,
    pub bridge: Option<Bridge>,
    pub language: Llama<Fused>,
    /// Query tokens per image.
    pub image_tokens: usize,
}

impl ArtGpt {
    /// Reads all parts. `file` is the open language model.
    pub fn load(
        model: &Model,
        file: &mut LanguageFile,
        device: &Device,
        mut progress: impl FnMut(LoadStage, f32),
    ) -> Result<Self> {
        let extras = match tuning_source(model)? {
            Some((tensors, method)) => {
                Extras { weights: Some(Named::same(tensors).builder(device)), method, train: None }
            }
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

    /// Reads the trained parts of `model`, which must have this one's base
    /// ([`Model::base_fingerprint`]).
    pub fn read_trained(&self, model: &Model) -> Result<Trained> {
        let (config, device) = (&self.language.config, self.language.device());
        let blocks = match tuning_source(model)? {
            Some((tensors, method)) => {
                let path = tensors.path.clone();
                let all = Named::same(tensors).builder(device);
                let block = |i| Tuning::load(&method, config, &all.pp(format!("{BLOCKS}.{i}")));
                let read = (0..config.num_hidden_layers).map(block);
                read.collect::<candle_core::Result<_>>().map_err(|e| Error::in_part(&path, e))?
            }
            None => vec![Tuning::default(); config.num_hidden_layers],
        };
        let bridge = load_bridge(model, self.vision.is_some(), config.hidden_size, device)?;
        Ok(Trained { bridge, tunings: blocks, image_tokens: image_tokens(model) })
    }

    /// Replaces the trained parts and returns those that were there before.
    pub fn swap_trained(&mut self, mut trained: Trained) -> Trained {
        std::mem::swap(&mut self.bridge, &mut trained.bridge);
        std::mem::swap(&mut self.image_tokens, &mut trained.image_tokens);
        for (block, tuning) in self.language.layers.iter_mut().zip(&mut trained.tunings) {
            std::mem::swap(&mut block.tuning, tuning);
        }
        trained
    }

    /// A picture to its projected query tokens, (1, queries, hidden); `None` for a blind model.
    /// `instruction` is read by a Q-Former that has a text branch.
    pub fn encode(&self, image: &RgbImage, instruction: &[u32]) -> Result<Option<Tensor>> {
        match self.see(image)? {
            Some(tokens) => self.query(&tokens, instruction),
            None => Ok(None),
        }
    }

    /// A picture to the vision encoder's tokens, (1, tokens, width).
    pub fn see(&self, image: &RgbImage) -> Result<Option<Tensor>> {
        let Some(vision) = &self.vision else { return Ok(None) };
        let view = View::sized(image, vision.side() as u32);
        let pixels = vision.pixels(&[&view], self.language.device())?;
        Ok(Some(vision.encode(&pixels)?))
    }

    /// The encoder's tokens to projected query tokens.
    pub fn query(&self, tokens: &Tensor, instruction: &[u32]) -> Result<Option<Tensor>> {
        let Some(bridge) = &self.bridge else { return Ok(None) };
        Ok(Some(bridge.forward::<Fused>(tokens, instruction)?))
    }
}

/// The frozen vision encoder a manifest names.
pub fn load_vision(model: &Model, device: &Device) -> Result<Option<Box<dyn VisionEncoder>>> {
    let Some(source) = VisionSource::of(model)? else { return Ok(None) };
    source.load(|named| named.builder(device)).map(Some)
}

fn image_tokens(model: &Model) -> usize {
    model.manifest.qformer.as_ref().map_or(0, |p| p.config.num_query_tokens)
}

/// `None` for a blind model.
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

/// A LLaMA to train through, with its trainable parts taken from `weights`.
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

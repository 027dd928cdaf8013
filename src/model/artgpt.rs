//! The whole network joined: what an image becomes, and the language model that reads it.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use image::RgbImage;

use super::bridge::Bridge;
use super::checkpoint::hf::{self, HfConfig};
use super::checkpoint::{Extras, LanguageFile, Tensors, read_llama, vit_config};
use super::llama::Llama;
use super::manifest::{Model, QFormerPart, VisionKind, VisionPart};
use super::mode::{Fused, Mode};
use super::vision::VisionEncoder;
use super::vision::efficientnet_lite::{Config, EfficientNetLite};
use super::vision::vit::Vit;
use super::{Error, LoadStage, Result};
use crate::art::View;

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
        let adapters = &model.manifest.adapters;
        let weights = match adapters {
            Some(part) => Some(small_weights(model, &part.path, device)?),
            None => None,
        };
        let extras = Extras { adapters: weights.is_some(), weights, zero_up: true, dense: false };
        let language = read_llama::<Fused>(file.weights(), &extras, device, &mut progress)?;
        progress(LoadStage::Vision, 0.0);
        let vision = load_vision(model, device)?;
        progress(LoadStage::Bridge, 0.0);
        let bridge = match &model.manifest.qformer {
            Some(part) if vision.is_some() => {
                let width = language.config.hidden_size;
                Some(load_bridge(model, part, width, device)?)
            }
            _ => None,
        };
        let image_tokens = model.manifest.qformer.as_ref().map_or(0, |p| p.config.num_query_tokens);
        progress(LoadStage::Bridge, 1.0);
        Ok(Self { vision, bridge, language, image_tokens })
    }

    /// A picture to its projected query tokens, (1, queries, hidden); `None` for a blind model.
    /// `instruction` is read by a Q-Former that has a text branch.
    pub fn encode(&self, image: &RgbImage, instruction: &[u32]) -> Result<Option<Tensor>> {
        let (Some(vision), Some(bridge)) = (&self.vision, &self.bridge) else { return Ok(None) };
        let view = View::sized(image, vision.side() as u32);
        let pixels = vision.pixels(&[&view], self.language.device())?;
        Ok(Some(bridge.forward::<Fused>(&vision.encode(&pixels)?, instruction)?))
    }
}

/// The frozen vision encoder a manifest names.
pub fn load_vision(model: &Model, device: &Device) -> Result<Option<Box<dyn VisionEncoder>>> {
    let Some(part) = &model.manifest.vision else { return Ok(None) };
    let path = model.path(&part.path);
    match part.kind {
        VisionKind::None => Ok(None),
        VisionKind::EfficientnetLite => {
            let vb = Tensors::open(&path)?.builder(str::to_string, device);
            let encoder = EfficientNetLite::load(&Config::lite0(), vb)
                .map_err(|e| Error::corrupt(&path, e))?;
            Ok(Some(Box::new(encoder)))
        }
        VisionKind::EvaVit => Ok(Some(Box::new(load_vit(model, part, &path, device)?))),
        kind @ (VisionKind::Dinov2 | VisionKind::Clip) => Err(Error::Unsupported {
            path: path.display().to_string(),
            what: format!("vision encoder {kind:?}"),
            hint: "this version reads eva_vit and efficientnet_lite".into(),
        }),
    }
}

/// From a Hugging Face folder, or from the originals' files.
fn load_vit(model: &Model, part: &VisionPart, path: &Path, device: &Device) -> Result<Vit> {
    let damaged = |e| Error::corrupt(path, e);
    let tensors = Tensors::open(path)?;
    if path.is_dir() {
        let config = HfConfig::open(path)?
            .vit(path)?
            .ok_or_else(|| Error::corrupt(&path.join("config.json"), "it has no vision_config"))?;
        let vb = tensors.builder(hf::vision_name, device);
        return Vit::load(config, vb.clone(), vb).map_err(damaged);
    }
    let config = vit_config(&tensors, part.num_attention_heads)?;
    // The originals keep the encoder's last norm beside the Q-Former.
    let norm = match &model.manifest.qformer {
        Some(part) => bridge_tensors(model, part)?,
        None => tensors.clone(),
    };
    let vb = tensors.builder(str::to_string, device);
    Vit::load(config, vb, norm.builder(str::to_string, device)).map_err(damaged)
}

fn load_bridge(
    model: &Model,
    part: &QFormerPart,
    language_width: usize,
    device: &Device,
) -> Result<Bridge> {
    let path = model.path(&part.path);
    let vb = if model.has_builtin_weights(&part.path) {
        small_weights(model, &part.path, device)?
    } else if path.is_dir() {
        let text = part.config.text.is_some();
        Tensors::open(&path)?.builder(move |name| hf::bridge_name(name, text), device)
    } else {
        bridge_tensors(model, part)?.builder(str::to_string, device)
    };
    Bridge::load(&part.config, language_width, vb).map_err(|e| Error::corrupt(&path, e))
}

/// The Q-Former's file, with what the projection's and the adapters' files replace in it.
fn bridge_tensors(model: &Model, part: &QFormerPart) -> Result<Tensors> {
    let mut all = Tensors::open(&model.path(&part.path))?;
    let over = [
        model.manifest.projection.as_ref().map(|p| &p.path),
        model.manifest.adapters.as_ref().map(|p| &p.path),
    ];
    for path in over.into_iter().flatten().filter(|p| **p != part.path) {
        all = all.under(&Tensors::open(&model.path(path))?);
    }
    Ok(all)
}

/// A LLaMA to train through, with its trainable parts taken from `weights`.
pub fn load_trainable<M: Mode>(
    file: &mut LanguageFile,
    weights: VarBuilder,
    zero_up: bool,
    device: &Device,
    progress: impl FnMut(LoadStage, f32),
) -> Result<Llama<M>> {
    let extras = Extras { weights: Some(weights), adapters: true, zero_up, dense: true };
    read_llama::<M>(file.weights(), &extras, device, progress)
}

fn small_weights(model: &Model, path: &str, device: &Device) -> Result<VarBuilder<'static>> {
    if !model.has_builtin_weights(path) {
        return Ok(Tensors::open(&model.path(path))?.builder(str::to_string, device));
    }
    let bytes = model.weights(path)?.into_owned();
    VarBuilder::from_buffered_safetensors(bytes, DType::F32, device)
        .map_err(|e| Error::corrupt(&model.path(path), e))
}

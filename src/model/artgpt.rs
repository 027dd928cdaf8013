//! The whole network joined: what an image becomes, and the language model that reads it.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use super::bridge::Bridge;
use super::checkpoint::{Extras, GgufFile, read_legacy_pth};
use super::llama::Llama;
use super::manifest::{Model, VisionKind};
use super::mode::{Fused, Mode};
use super::vision::VisionEncoder;
use super::vision::efficientnet_lite::{Config, EfficientNetLite};
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
    /// Reads all parts. `file` is the open GGUF of the language model.
    pub fn load(
        model: &Model,
        file: &mut GgufFile,
        device: &Device,
        mut progress: impl FnMut(LoadStage, f32),
    ) -> Result<Self> {
        let weights = match &model.manifest.adapters {
            Some(part) => Some(small_weights(model, &part.path, device)?),
            None => None,
        };
        let extras = Extras { adapters: weights.is_some(), weights, zero_up: true, dense: false };
        let language = file.llama::<Fused>(&extras, device, &mut progress)?;
        progress(LoadStage::Vision, 0.0);
        let vision = load_vision(model, device)?;
        progress(LoadStage::Bridge, 0.0);
        let bridge = match &model.manifest.qformer {
            Some(part) if vision.is_some() => {
                let vb = small_weights(model, &part.path, device)?;
                let bridge = Bridge::load(&part.config, language.config.hidden_size, vb);
                Some(bridge.map_err(|e| Error::corrupt(&model.path(&part.path), e))?)
            }
            _ => None,
        };
        let image_tokens = model.manifest.qformer.as_ref().map_or(0, |p| p.config.num_query_tokens);
        progress(LoadStage::Bridge, 1.0);
        Ok(Self { vision, bridge, language, image_tokens })
    }

    /// A view to its projected query tokens, (1, queries, hidden); `None` for a blind model.
    pub fn encode(&self, view: &View) -> Result<Option<Tensor>> {
        let (Some(vision), Some(bridge)) = (&self.vision, &self.bridge) else { return Ok(None) };
        let pixels = vision.pixels(&[view], self.language.device())?;
        Ok(Some(bridge.forward::<Fused>(&vision.encode(&pixels)?)?))
    }
}

/// The frozen vision encoder a manifest names.
pub fn load_vision(model: &Model, device: &Device) -> Result<Option<Box<dyn VisionEncoder>>> {
    let Some(part) = &model.manifest.vision else { return Ok(None) };
    let path = model.path(&part.path);
    match part.kind {
        VisionKind::None => Ok(None),
        VisionKind::EfficientnetLite => {
            let tensors = if path.extension().is_some_and(|e| e == "safetensors") {
                candle_core::safetensors::load(&path, device)
                    .map_err(|e| Error::corrupt(&path, e))?
            } else {
                read_legacy_pth(&path)?
            };
            let vb = VarBuilder::from_tensors(tensors, DType::F32, device);
            let encoder = EfficientNetLite::load(&Config::lite0(), vb)
                .map_err(|e| Error::corrupt(&path, e))?;
            Ok(Some(Box::new(encoder)))
        }
        kind @ (VisionKind::EvaVit | VisionKind::Dinov2 | VisionKind::Clip) => {
            Err(Error::Unsupported {
                path: path.display().to_string(),
                what: format!("vision encoder {kind:?}"),
                hint: "this version reads efficientnet_lite".into(),
            })
        }
    }
}

/// A LLaMA to train through, with its trainable parts taken from `weights`.
pub fn load_trainable<M: Mode>(
    file: &mut GgufFile,
    weights: VarBuilder,
    zero_up: bool,
    device: &Device,
    progress: impl FnMut(LoadStage, f32),
) -> Result<Llama<M>> {
    let extras = Extras { weights: Some(weights), adapters: true, zero_up, dense: true };
    file.llama::<M>(&extras, device, progress)
}

fn small_weights(model: &Model, path: &str, device: &Device) -> Result<VarBuilder<'static>> {
    let bytes = model.weights(path)?.into_owned();
    VarBuilder::from_buffered_safetensors(bytes, DType::F32, device)
        .map_err(|e| Error::corrupt(&model.path(path), e))
}

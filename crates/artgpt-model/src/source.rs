//! Where the parts of a model lie, and under which names: what loading and inspecting share.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Device;
use candle_nn::VarBuilder;

use super::checkpoint::hf::{self, HfConfig};
use super::checkpoint::{TensorInfo, Tensors, vit_config};
use super::manifest::{Model, PeftMethod, QFormerPart, VisionKind};
use super::peft::package;
use super::vision::VisionEncoder;
use super::vision::efficientnet_lite::{Config, EfficientNetLite};
use super::vision::vit::{Vit, VitConfig};
use super::{Error, Result};
use artgpt_manifest::{Method, Target};

/// Tensors, and how a module's name for one becomes the file's.
#[derive(Clone)]
pub struct Named {
    pub tensors: Tensors,
    pub rename: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

impl Named {
    /// The file has the modules' own names.
    pub fn same(tensors: Tensors) -> Self {
        Self { tensors, rename: Arc::new(str::to_string) }
    }

    pub fn builder(&self, device: &Device) -> VarBuilder<'static> {
        let rename = self.rename.clone();
        self.tensors.builder(move |name| rename(name), device)
    }
}

/// A vision encoder, not read yet.
pub enum VisionSource {
    Vit {
        config: VitConfig,
        weights: Named,
        /// The last norm, which the originals keep beside the Q-Former.
        norm: Named,
    },
    EfficientNet(Named),
}

impl VisionSource {
    /// `None` for a blind model.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let Some(part) = &model.manifest.vision else { return Ok(None) };
        let path = model.path(&part.path);
        match part.kind {
            VisionKind::None => Ok(None),
            VisionKind::EfficientnetLite => {
                Ok(Some(Self::EfficientNet(Named::same(Tensors::open(&path)?))))
            }
            VisionKind::EvaVit if path.is_dir() => {
                let config = HfConfig::open(&path)?.vit(&path)?.ok_or_else(|| {
                    Error::corrupt(&path.join("config.json"), "it has no vision_config")
                })?;
                let tensors = Tensors::open(&path)?;
                let weights = Named { tensors, rename: Arc::new(hf::vision_name) };
                Ok(Some(Self::Vit { config, norm: weights.clone(), weights }))
            }
            VisionKind::EvaVit => {
                let weights = Named::same(Tensors::open(&path)?);
                let config = vit_config(&weights.tensors, part.num_attention_heads)?;
                let norm = match &model.manifest.qformer {
                    Some(part) => bridge_source(model, part)?,
                    None => weights.clone(),
                };
                Ok(Some(Self::Vit { config, weights, norm }))
            }
            kind @ (VisionKind::Dinov2 | VisionKind::Clip) => Err(Error::Unsupported {
                path: path.display().to_string(),
                what: format!("vision encoder {kind:?}"),
                hint: "this version reads eva_vit and efficientnet_lite".into(),
            }),
        }
    }

    /// Makes the encoder from what `builder` gives for each file.
    pub fn load(
        &self,
        builder: impl Fn(&Named) -> VarBuilder<'static>,
    ) -> Result<Box<dyn VisionEncoder>> {
        match self {
            Self::Vit { config, weights, norm } => {
                let damaged = |e| Error::in_part(&weights.tensors.path, e);
                let vit = Vit::load(*config, builder(weights), builder(norm)).map_err(damaged)?;
                Ok(Box::new(vit))
            }
            Self::EfficientNet(weights) => {
                let damaged = |e| Error::in_part(&weights.tensors.path, e);
                let config = Config::lite0();
                let encoder = EfficientNetLite::load(&config, builder(weights)).map_err(damaged)?;
                Ok(Box::new(encoder))
            }
        }
    }

    /// The files, the encoder's own first.
    pub fn files(&self) -> Vec<&Named> {
        match self {
            Self::Vit { weights, norm, .. } => vec![weights, norm],
            Self::EfficientNet(weights) => vec![weights],
        }
    }
}

/// Q-Former and projection; what the projection's and the adapters' files hold takes the place of
/// what the Q-Former's holds.
pub fn bridge_source(model: &Model, part: &QFormerPart) -> Result<Named> {
    let path = model.path(&part.path);
    let mut all = model.tensors(&part.path)?;
    let over = [
        model.manifest.projection.as_ref().map(|p| &p.path),
        model.manifest.adapters.as_ref().map(|p| &p.path),
    ];
    let mut replaced = BTreeSet::new();
    for path in over.into_iter().flatten().filter(|p| **p != part.path) {
        let tensors = model.tensors(path)?;
        replaced.extend(tensors.names().map(String::from));
        all = all.under(&tensors);
    }
    if !path.is_dir() {
        return Ok(Named::same(all));
    }
    let text = part.config.text.is_some();
    let rename = move |name: &str| match name {
        name if replaced.contains(name) => name.to_string(),
        name if name.starts_with("ln_vision.") => hf::vision_name(name),
        name => hf::bridge_name(name, text),
    };
    Ok(Named { tensors: all, rename: Arc::new(rename) })
}

/// What fine-tuning made of the language model: its tensors, and by which method.
pub fn tuning_source(model: &Model) -> Result<Option<(Tensors, Method)>> {
    let Some(part) = &model.manifest.adapters else { return Ok(None) };
    let tensors = model.tensors(&part.path)?;
    let method = match part.method {
        PeftMethod::Bottleneck => Method::Adapter { zero_up: true },
        PeftMethod::Bitfit => Method::Bitfit {},
        PeftMethod::Norms => Method::Norms {},
        PeftMethod::Full => Method::Full {},
        PeftMethod::Prefix => {
            let keys = first(&tensors, ".self_attn.prefix.keys")?;
            Method::Prefix { tokens: keys.shape.first().copied().unwrap_or(0) }
        }
        PeftMethod::Lora if model.path(&part.path).join(package::CONFIG).is_file() => {
            package::read_config(&model.path(&part.path))?
        }
        PeftMethod::Lora => {
            let rank = first(&tensors, ".lora_A.weight")?.shape.first().copied().unwrap_or(0);
            let is_target = |t: &Target| {
                let end = format!("{}.lora_A.weight", t.path());
                tensors.names().any(|n| n.ends_with(&end))
            };
            let targets = Target::ALL.into_iter().filter(is_target).collect();
            Method::Lora { rank, alpha: part.alpha.unwrap_or(rank as f64), targets }
        }
    };
    method.check().map_err(|reason| Error::corrupt(&tensors.path, reason))?;
    Ok(Some((tensors, method)))
}

/// The first tensor whose name ends so.
fn first<'a>(tensors: &'a Tensors, end: &str) -> Result<&'a TensorInfo> {
    let name = tensors.names().find(|n| n.ends_with(end));
    let info = name.and_then(|n| tensors.info(n));
    info.ok_or_else(|| Error::corrupt(&tensors.path, format!("it has no tensor ...{end}")))
}

//! The files of a model's parts and the names of their tensors, for loading and inspecting.

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

/// Tensors, and the function from a module's name for one to the file's name.
#[derive(Clone)]
pub struct RenamedTensors {
    /// The tensors of the file or files.
    pub tensors: Tensors,
    /// From a module's name to the file's name.
    pub rename: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

impl RenamedTensors {
    /// Tensors under the modules' own names.
    pub(crate) fn same(tensors: Tensors) -> Self {
        Self { tensors, rename: Arc::new(str::to_string) }
    }

    /// A builder for modules on `device`.
    pub(crate) fn builder(&self, device: &Device) -> VarBuilder<'static> {
        let rename = self.rename.clone();
        self.tensors.builder(move |name| rename(name), device)
    }
}

/// A vision encoder that is not loaded yet.
pub(crate) enum VisionSource {
    Vit {
        config: VitConfig,
        weights: RenamedTensors,
        /// The last norm, which the originals keep in the Q-Former's file.
        norm: RenamedTensors,
    },
    EfficientNet(RenamedTensors),
}

impl VisionSource {
    /// `None` for a text-only model.
    pub(crate) fn of(model: &Model) -> Result<Option<Self>> {
        let Some(part) = &model.manifest.vision else { return Ok(None) };
        let path = model.path(&part.path);
        match part.kind {
            VisionKind::None => Ok(None),
            VisionKind::EfficientnetLite => {
                Ok(Some(Self::EfficientNet(RenamedTensors::same(Tensors::open(&path)?))))
            }
            VisionKind::EvaVit if path.is_dir() => {
                let config = HfConfig::open(&path)?.vit(&path)?.ok_or_else(|| {
                    Error::corrupt(&path.join("config.json"), "it has no vision_config")
                })?;
                let tensors = Tensors::open(&path)?;
                let weights = RenamedTensors { tensors, rename: Arc::new(hf::vision_name) };
                Ok(Some(Self::Vit { config, norm: weights.clone(), weights }))
            }
            VisionKind::EvaVit => {
                let weights = RenamedTensors::same(Tensors::open(&path)?);
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

    /// Loads the encoder; `builder` makes a builder for each file.
    pub(crate) fn load(
        &self,
        builder: impl Fn(&RenamedTensors) -> VarBuilder<'static>,
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

    /// The files; the encoder's own is first.
    pub(crate) fn files(&self) -> Vec<&RenamedTensors> {
        match self {
            Self::Vit { weights, norm, .. } => vec![weights, norm],
            Self::EfficientNet(weights) => vec![weights],
        }
    }
}

/// The tensors of Q-Former and projection. Tensors of the projection's and the adapters' files replace
/// those of the Q-Former's file.
///
/// # Errors
/// A file cannot be read or is damaged.
pub fn bridge_source(model: &Model, part: &QFormerPart) -> Result<RenamedTensors> {
    let path = model.path(&part.path);
    // A manifest states them, too.
    hf::check_qformer(&model.dir.join("manifest.toml"), "qformer", &part.config)?;
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
        return Ok(RenamedTensors::same(all));
    }
    let text = part.config.text.is_some();
    let rename = move |name: &str| match name {
        name if replaced.contains(name) => name.to_string(),
        name if name.starts_with("ln_vision.") => hf::vision_name(name),
        name => hf::bridge_name(name, text),
    };
    Ok(RenamedTensors { tensors: all, rename: Arc::new(rename) })
}

/// The tensors of the language model that fine-tuning trained, and its method; `None` without adapters.
pub(crate) fn tuning_source(model: &Model) -> Result<Option<(Tensors, Method)>> {
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
    check_rank(&tensors, &method)?;
    Ok(Some((tensors, method)))
}

/// The first tensor whose name ends with `end`.
fn first<'a>(tensors: &'a Tensors, end: &str) -> Result<&'a TensorInfo> {
    let name = tensors.names().find(|n| n.ends_with(end));
    let info = name.and_then(|n| tensors.info(n));
    info.ok_or_else(|| Error::corrupt(&tensors.path, format!("it has no tensor ...{end}")))
}

/// The configuration's rank against the factors, before anything is computed with it.
fn check_rank(tensors: &Tensors, method: &Method) -> Result<()> {
    let Method::Lora { rank, targets, .. } = method else { return Ok(()) };
    for target in targets {
        let end = format!("{}.lora_A.weight", target.path());
        let name = tensors.names().find(|n| n.ends_with(&end));
        let Some((name, info)) = name.and_then(|n| Some((n, tensors.info(n)?))) else { continue };
        if info.shape.first() != Some(rank) {
            let reason = format!("the rank is {rank}, and {name} has the shape {:?}", info.shape);
            return Err(Error::corrupt(&tensors.path, reason));
        }
    }
    Ok(())
}

//! The base model, opened to train.

use candle_core::Device;

use super::ForegroundError;
use crate::Result;
use artgpt_chat::{PromptStyle, Tokenizer};
use artgpt_kernels::mode::Differentiable;
use artgpt_manifest::{Manifest, PromptPart};
use artgpt_model::artgpt::{load_trainable, load_vision};
use artgpt_model::bridge::Bridge;
use artgpt_model::checkpoint::{LanguageFile, copy_trained, tokenizer_data};
use artgpt_model::detector::Detector;
use artgpt_model::llama::Llama;
use artgpt_model::manifest::Model;
use artgpt_model::source::bridge_source;
use artgpt_model::vision::VisionEncoder;
use artgpt_rundir::{StageKind, TrainConfig};
use artgpt_train::{Network, Params};

/// What a trainer borrows.
pub(super) struct Parts {
    vision: Box<dyn VisionEncoder>,
    detector: Option<Detector>,
    bridge: Bridge,
    language: Llama<Differentiable>,
    pub(super) params: Params,
    tokenizer: Tokenizer,
    style: PromptStyle,
}

impl Parts {
    pub(super) fn load(model: &Model, config: &TrainConfig, device: &Device) -> Result<Self> {
        let lacks = |part| ForegroundError::Incomplete { model: config.model.clone(), part };
        let manifest = &model.manifest;
        let qformer = manifest.qformer.as_ref().ok_or_else(|| lacks("[qformer]"))?;
        let path = model.language_path().ok_or_else(|| lacks("[language]"))?;
        let mut file = LanguageFile::open(&path)?;
        let chosen = config.clone();
        let params = Params::new(config.seed, device).training(move |name| chosen.trains(name));
        let (method, norms) = (&config.method, config.opens_norms());
        copy_trained(file.weights(), method, norms, |name, t| params.set(name, t), device)?;
        let (weights, precision) = (params.builder(), artgpt_train::precision(config));
        let language =
            load_trainable(&mut file, weights, method.clone(), precision, device, |_, _| {})?;
        let tokenizer = Tokenizer::new(&tokenizer_data(model, &mut file))?;
        let bridge = Bridge::load(&qformer.config, language.config.hidden_size, params.builder())?;
        // What is frozen is the base model's; a base without weights of its own leaves new ones.
        if let Ok(base) = bridge_source(model, qformer) {
            params.freeze_from(&base.tensors, |name| (base.rename)(name))?;
        }
        config.check_trains(&params.trainable())?;
        let vision = load_vision(model, device)?.ok_or_else(|| lacks("[vision]"))?;
        let style = style(config, manifest, &tokenizer)?;
        let detector = Detector::for_prompts(model, style.measured, device)?;
        Ok(Self { vision, detector, bridge, language, params, tokenizer, style })
    }

    /// Writes into a manifest how the run's conversations are written.
    pub(super) fn dress(&self, manifest: &mut Manifest, config: &TrainConfig) {
        if config.prompt.is_some() {
            let prompt = manifest.prompt.get_or_insert_with(|| PromptPart {
                template: self.style.template.name().into(),
                ..PromptPart::default()
            });
            prompt.system.clone_from(&self.style.system);
        }
        if let Some(prompt) = &mut manifest.prompt {
            prompt.measured = self.style.measured;
        }
    }

    pub(super) fn network(&self, config: &TrainConfig, device: &Device) -> Network<'_> {
        Network {
            vision: self.vision.as_ref(),
            detector: self.detector.as_ref(),
            bridge: &self.bridge,
            language: &self.language,
            tokenizer: &self.tokenizer,
            style: self.style.clone(),
            device: device.clone(),
            seed: config.seed,
        }
    }
}

/// How conversations are written: as the base model's manifest says, where the configuration says nothing
/// else.
fn style(config: &TrainConfig, manifest: &Manifest, tokenizer: &Tokenizer) -> Result<PromptStyle> {
    let base = PromptStyle::of(manifest, tokenizer)?;
    // Other stages show pictures without their measured line, and their models must not meet it in a chat.
    let talks = config.stage.iter().any(|stage| stage.kind == StageKind::Talk);
    let own = config.prompt.clone().unwrap_or_default();
    Ok(PromptStyle {
        template: base.template,
        system: own.system.or(base.system),
        measured: own.measured.unwrap_or(base.measured && talks),
    })
}

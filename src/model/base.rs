//! The frozen part of a model, by which two models can share it in memory.

use std::path::PathBuf;

use super::Result;
use super::checkpoint::replaces_base;
use super::manifest::{Model, VisionKind};
use super::source::tuning_source;

/// Equal bases mean equal frozen weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    language: PathBuf,
    vision: Option<(VisionKind, PathBuf)>,
    /// Of a vision encoder whose last norm lies beside the Q-Former.
    norm: Option<PathBuf>,
}

impl Base {
    /// `None` if the model's base is nobody else's: training changed it (full fine-tuning).
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let trained = tuning_source(model)?;
        if trained.is_some_and(|(tensors, _)| tensors.names().any(replaces_base)) {
            return Ok(None);
        }
        let whole = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let Some(language) = model.language_path() else { return Ok(None) };
        let m = &model.manifest;
        let vision = m.vision.as_ref().filter(|v| v.kind != VisionKind::None);
        let beside =
            vision.filter(|v| v.kind == VisionKind::EvaVit && !model.path(&v.path).is_dir());
        let norm = beside.and(m.qformer.as_ref()).map(|q| whole(model.path(&q.path)));
        Ok(Some(Self {
            language: whole(language),
            vision: vision.map(|v| (v.kind, whole(model.path(&v.path)))),
            norm,
        }))
    }
}

//! Models on one frozen base: the active adapter set, and those that were active before.

use std::time::Instant;

use super::{Engine, PromptFormat};
use crate::image_cache::ImageCache;
use crate::measured::MeasuredCache;
use crate::notices::notices;
use crate::{Result, ms};
use artgpt_kernels::matrix::Precision;
use artgpt_model::artgpt::Trained;
use artgpt_model::manifest::Model;

/// Bytes of inactive adapter sets that stay in memory.
const CACHE_BYTES: u64 = 1 << 30;

/// Identifies an adapter set, and says how large it is.
pub(super) struct AdapterId {
    /// [`Model::seeing_fingerprint`].
    pub(super) fingerprint: String,
    /// [`Model::trained_bytes`].
    bytes: u64,
}

impl AdapterId {
    /// `None` if the files cannot be identified; such an adapter set is read again each time.
    pub(super) fn of(model: &Model) -> Option<Self> {
        let fingerprint = model.seeing_fingerprint().ok()?;
        Some(Self { fingerprint, bytes: model.trained_bytes() })
    }
}

/// Inactive adapter sets, newest last.
#[derive(Default)]
pub(super) struct AdapterCache(Vec<(AdapterId, Trained)>);

impl AdapterCache {
    fn take(&mut self, wanted: &AdapterId) -> Option<Trained> {
        let at = self.0.iter().position(|(id, _)| id.fingerprint == wanted.fingerprint)?;
        Some(self.0.remove(at).1)
    }

    /// Adds an adapter set; the oldest ones go until the rest fits into [`CACHE_BYTES`].
    fn insert(&mut self, id: AdapterId, trained: Trained) {
        self.0.push((id, trained));
        while self.0.iter().map(|(id, _)| id.bytes).sum::<u64>() > CACHE_BYTES {
            self.0.remove(0);
        }
    }
}

impl Engine {
    /// Activates the adapter set of `model` without reading the frozen base again. Returns false,
    /// and changes nothing, if `model` has another base.
    ///
    /// # Errors
    /// What reading the adapter set's files reports; the engine is then as before.
    pub fn switch(&mut self, model: &Model) -> Result<bool> {
        if self.base.is_none() || model.base_fingerprint()? != self.base {
            return Ok(false);
        }
        let wanted = AdapterId::of(model);
        if let (Some(active), Some(wanted)) = (&self.active_adapter, &wanted)
            && active.fingerprint == wanted.fingerprint
        {
            // Two manifests may name the same files and write prompts in another way.
            let format = PromptFormat::of(model, &self.tokenizer)?;
            if let Some(measured) = self.other_lines(model, &format)? {
                self.measured = measured;
            }
            self.format = format;
            self.name.clone_from(&model.manifest.name);
            self.notices = notices(model, &self.rows);
            return Ok(true);
        }
        let started = Instant::now();
        let format = PromptFormat::of(model, &self.tokenizer)?;
        let measured = self.other_lines(model, &format)?;
        let trained = match wanted.as_ref().and_then(|id| self.inactive_adapters.take(id)) {
            Some(trained) => trained,
            None => self.model.read_trained(model)?,
        };
        let before = self.model.swap_trained(trained);
        if let Some(id) = std::mem::replace(&mut self.active_adapter, wanted) {
            self.inactive_adapters.insert(id, before);
        }
        self.name.clone_from(&model.manifest.name);
        self.notices = notices(model, &self.rows);
        self.format = format;
        if let Some(measured) = measured {
            self.measured = measured;
        }
        // Both caches hold the other adapter set's results.
        self.rewind(&[], Precision::Fast);
        self.images = ImageCache::default();
        if let Some(folder) = self.embedding_folder.take() {
            self.open_embeddings(&folder);
        }
        self.load_ms = ms(started);
        Ok(true)
    }

    /// The measured lines of `model`, if its detector is another one.
    fn other_lines(&self, model: &Model, format: &PromptFormat) -> Result<Option<MeasuredCache>> {
        let measured = format.style.measured;
        if self.measured.serves(model, measured) {
            return Ok(None);
        }
        MeasuredCache::of(model, measured, self.model.language.device()).map(Some)
    }
}

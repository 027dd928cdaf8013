//! Image tokens: from memory, from disk, or computed.

use std::sync::Arc;

use candle_core::Tensor;

use super::Engine;
use crate::{InferenceError, Picture, Result};

impl Engine {
    /// Returns the image tokens of a picture, (1, queries, hidden), and whether they had to be
    /// computed. `key` is the picture's [`query_key`] with `instruction`.
    pub(super) fn encode(
        &mut self,
        picture: &Picture,
        key: &Arc<str>,
        instruction: &[u32],
    ) -> Result<(Tensor, bool)> {
        if let Some(tokens) = self.known_tokens(key) {
            return Ok((tokens, false));
        }
        let encoded = match instruction.is_empty() {
            true => self.see(picture)?,
            // Another instruction needs the Q-Former again, but not the vision encoder.
            false => {
                let key: Arc<str> = format!("{} seen", picture.key).into();
                match self.known_tokens(&key) {
                    Some(encoded) => encoded,
                    None => {
                        let encoded = self.see(picture)?;
                        self.remember(key, &encoded);
                        encoded
                    }
                }
            }
        };
        let tokens = self.model.query(&encoded, instruction)?.ok_or_else(|| self.no_vision())?;
        self.remember(key.clone(), &tokens);
        Ok((tokens, true))
    }

    /// Runs the vision encoder, (1, tokens, width).
    fn see(&self, picture: &Picture) -> Result<Tensor> {
        self.model.see(&picture.image)?.ok_or_else(|| self.no_vision())
    }

    /// What memory or disk holds for `key`.
    fn known_tokens(&mut self, key: &Arc<str>) -> Option<Tensor> {
        if let Some(tokens) = self.images.get(key) {
            return Some(tokens);
        }
        let tokens = self.embeddings.as_ref()?.get(key, self.model.language.device())?;
        self.images.insert(key.clone(), tokens.clone());
        Some(tokens)
    }

    fn remember(&mut self, key: Arc<str>, tokens: &Tensor) {
        if let Some(embeddings) = &self.embeddings {
            embeddings.insert(&key, tokens);
        }
        self.images.insert(key, tokens.clone());
    }

    fn no_vision(&self) -> InferenceError {
        InferenceError::NoVision(self.name.clone())
    }
}

/// Identifies the query tokens of a picture (by its key) that are made with an instruction: equal
/// keys mean equal tokens.
pub(super) fn query_key(picture: &Arc<str>, instruction: &[u32]) -> Arc<str> {
    if instruction.is_empty() {
        return picture.clone();
    }
    let ids: Vec<String> = instruction.iter().map(u32::to_string).collect();
    format!("{picture} {}", ids.join(",")).into()
}

//! The prompt goes through the network, without the part that the KV cache holds.

use candle_core::Tensor;

use super::Engine;
use super::prepare::PreparedPrompt;
use crate::prefix::{Position, reusable};
use crate::{Cancel, Result};
use artgpt_chat::Piece;
use artgpt_kernels::matrix::Precision;

/// Positions in one forward pass; between passes a request can be cancelled.
const PREFILL_CHUNK: usize = 256;

impl Engine {
    /// Shortens the cache to the positions that the prompt begins with; returns their number. What was
    /// computed in another precision is forgotten.
    pub(super) fn rewind(&mut self, prompt: &[Position], precision: Precision) -> usize {
        let same = std::mem::replace(&mut self.cached_precision, precision) == precision;
        let keep = if same { reusable(&self.cached, prompt) } else { 0 };
        self.cached.truncate(keep);
        self.cache.truncate(keep);
        keep
    }

    /// Adds the prompt's positions from `from` on to the cache, which holds those before. Returns
    /// the output at the last position, (1, 1, hidden); `None` when cancelled.
    pub(super) fn prefill(
        &mut self,
        prompt: &PreparedPrompt,
        from: usize,
        cancel: &Cancel,
        precision: Precision,
    ) -> Result<Option<Tensor>> {
        let embedded = self.embed_from(prompt, from)?; // (1, positions - from, hidden)
        let mut last = None;
        for new in prompt.positions[from..].chunks(PREFILL_CHUNK) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let x = embedded.narrow(1, self.cached.len() - from, new.len())?;
            let y = self.model.language.extend(&x, &mut self.cache, precision)?;
            self.cached.extend_from_slice(new);
            last = Some(y.narrow(1, new.len() - 1, 1)?);
        }
        Ok(last)
    }

    /// Embeds the prompt's positions from `from` on, (1, positions - from, hidden).
    pub(super) fn embed_from(&self, prompt: &PreparedPrompt, from: usize) -> Result<Tensor> {
        let mut parts = Vec::new();
        let mut skip = from;
        for piece in &prompt.pieces {
            let image = |i: usize| prompt.images.get(i)?.as_ref();
            let length = match piece {
                Piece::Tokens(ids) => ids.len(),
                Piece::Image(i) => image(*i).map_or(Ok(0), |tokens| tokens.dim(1))?,
            };
            let skipped = skip.min(length);
            skip -= skipped;
            if skipped == length {
                continue;
            }
            match piece {
                Piece::Tokens(ids) => parts.push(self.model.language.embed(&ids[skipped..])?),
                Piece::Image(i) => {
                    if let Some(tokens) = image(*i) {
                        parts.push(tokens.narrow(1, skipped, length - skipped)?);
                    }
                }
            }
        }
        Ok(Tensor::cat(&parts, 1)?)
    }
}

//! Log-probabilities of an answer that is given.

use candle_core::{D, Tensor};

use super::Engine;
use crate::{Cancel, InferenceError, Picture, Prompt, Result};
use artgpt_chat::ChatError;
use artgpt_kernels::matrix::Precision;

/// Log-probabilities of a given answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The answer's tokens.
    pub token_ids: Vec<u32>,
    /// Natural logarithms, one for each token.
    pub logprobs: Vec<f32>,
}

impl Engine {
    /// Computes the log-probabilities of `answer` after `prompt`, in full precision.
    ///
    /// # Errors
    /// [`InferenceError::EmptyAnswer`], [`ChatError::TooLong`], and those of
    /// [`Engine::generate`].
    pub fn score(&mut self, prompt: &Prompt, pictures: &[Picture], answer: &str) -> Result<Score> {
        let token_ids = match prompt {
            Prompt::Raw(_) => self.tokenizer.encode_with_special(answer)?,
            Prompt::Chat { .. } => self.tokenizer.encode(answer)?,
        };
        let Some((_, given)) = token_ids.split_last() else {
            return Err(InferenceError::EmptyAnswer);
        };
        let prepared = self.prepare(prompt, pictures, token_ids.len())?;
        let total = prepared.positions.len() + token_ids.len();
        let context = self.context_of(prompt);
        if total > context {
            return Err(ChatError::TooLong { tokens: total, context }.into());
        }
        let cached = self.rewind(&prepared.positions, Precision::Exact);
        let last = self.prefill(&prepared, cached, &Cancel::default(), Precision::Exact)?;
        let mut outputs = Vec::from_iter(last);
        if !given.is_empty() {
            let x = self.model.language.embed(given)?;
            outputs.push(self.model.language.extend(&x, &mut self.cache, Precision::Exact)?);
        }
        let hidden = Tensor::cat(&outputs, 1)?; // (1, answer tokens, hidden)
        let logits = self.model.language.logits(&hidden, Precision::Exact)?.squeeze(0)?;
        let rows = candle_nn::ops::log_softmax(&logits, D::Minus1)?; // (answer tokens, vocabulary)
        let index = Tensor::new(token_ids.as_slice(), rows.device())?.unsqueeze(1)?;
        let logprobs: Vec<f32> = rows.gather(&index, 1)?.flatten_all()?.to_vec1()?;
        // The prompt stays for the next score; the answer goes.
        self.cache.truncate(self.cached.len());
        if logprobs.iter().any(|l| l.is_nan()) {
            return Err(InferenceError::NotFinite(self.name.clone()));
        }
        Ok(Score { token_ids, logprobs })
    }
}

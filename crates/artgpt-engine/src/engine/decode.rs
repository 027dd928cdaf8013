//! Sampling one token after another.

use candle_core::Tensor;

use super::text_stream::TextStream;
use super::{Engine, Generated};
use crate::prefix::Position;
use crate::{Cancel, GenerateEvent, Prompt, Request, Result};
use artgpt_chat::FinishReason;
use artgpt_kernels::matrix::Precision;
use artgpt_model::sampling::{Sampler, TokenHistory};

impl Engine {
    /// Samples tokens until an end token, a stop string, a loop where the model's manifest says so, a limit or
    /// `cancel`. `output` is the network's output at the prompt's last position, (1, 1, hidden); `None` after a cancel.
    /// `penalised` are the prompt's tokens that the repetition penalty counts.
    pub(super) fn generate_tokens(
        &mut self,
        mut output: Option<Tensor>,
        request: &Request,
        penalised: &[u32],
        cancel: &Cancel,
        on_event: &mut impl FnMut(GenerateEvent),
    ) -> Result<Generated> {
        let context = self.context_of(&request.prompt);
        let ends = self.end_tokens(&request.prompt);
        let is_chat = matches!(request.prompt, Prompt::Chat { .. });
        let mut sampler = Sampler::new(&request.sampling);
        let stop_loops = is_chat && self.format.stop_loops;
        let mut stream = TextStream::new(self.stop_strings(request), stop_loops);
        let mut ids = Vec::new();
        let mut finish_reason = FinishReason::Length;
        while let Some(last) = output.take() {
            if cancel.is_cancelled() || ids.len() >= request.max_new_tokens {
                break;
            }
            let logits = self.model.language.logits(&last, Precision::Fast)?.flatten_all()?; // (vocabulary)
            let history = TokenHistory { prompt: penalised, answer: &ids };
            let id = sampler.next(&logits, history, &ends).map_err(|e| self.sampling_error(e))?;
            if ends.contains(&id) {
                finish_reason = FinishReason::Stop;
                break;
            }
            ids.push(id);
            let new = stream.push(id, &self.tokenizer);
            if !new.is_empty() {
                on_event(GenerateEvent::Text(&new, Some(ids.len())));
            }
            if stream.is_stopped() {
                finish_reason = FinishReason::Stop;
                break;
            }
            if self.cache.len() < context && ids.len() < request.max_new_tokens {
                let x = self.model.language.embed(&[id])?;
                let y = self.model.language.extend(&x, &mut self.cache, Precision::Fast)?;
                output = Some(y);
                self.cached.push(Position::Token(id));
            }
        }
        let (text, rest) = stream.finish(&self.tokenizer);
        if !rest.is_empty() {
            on_event(GenerateEvent::Text(&rest, Some(ids.len())));
        }
        Ok(Generated { token_ids: ids, text, finish_reason })
    }
}

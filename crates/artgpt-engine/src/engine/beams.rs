//! Beam search over the network. Which beams go on is decided in `inference::beam`.

use candle_core::Tensor;

use super::{Engine, Generated};
use crate::beam::BeamSearch;
use crate::{Cancel, GenerateEvent, InferenceError, Request, Result};
use artgpt_chat::{FinishReason, StopFilter};
use artgpt_kernels::matrix::Precision;
use artgpt_model::sampling::{TokenHistory, adjusted};

/// The best answer of a beam search.
struct BestBeam {
    ids: Vec<u32>,
    /// Whether an end token or a stop string ended it.
    ended: bool,
}

impl Engine {
    /// Generates the answer that a beam search finds; all its text comes as one event. `output` is
    /// the network's output at the prompt's last position, (1, 1, hidden).
    pub(super) fn generate_beams(
        &mut self,
        output: &Tensor,
        request: &Request,
        penalised: &[u32],
        cancel: &Cancel,
        on_event: &mut impl FnMut(GenerateEvent),
    ) -> Result<Generated> {
        let best = self.beam_search(output, request, penalised, cancel)?;
        let mut stops = StopFilter::new(self.stop_strings(request));
        let (mut text, stopped) = stops.push(&self.tokenizer.decode(&best.ids));
        if !stopped {
            text.push_str(&stops.finish());
        }
        on_event(GenerateEvent::Text(&text, Some(best.ids.len())));
        let finish_reason =
            if stopped || best.ended { FinishReason::Stop } else { FinishReason::Length };
        Ok(Generated { token_ids: best.ids, text, finish_reason })
    }

    /// Searches for the most probable whole answer after what the cache holds. The beams share the
    /// prompt's keys and values: each keeps only those of its own tokens.
    fn beam_search(
        &mut self,
        output: &Tensor,
        request: &Request,
        penalised: &[u32],
        cancel: &Cancel,
    ) -> Result<BestBeam> {
        let ends = self.end_tokens(&request.prompt);
        let context = self.context_of(&request.prompt);
        let sampling = &request.sampling;
        let prompt = self.cache.len();
        let stop_strings = self.stop_strings(request);
        let mut search = BeamSearch::new(sampling.beams, sampling.length_penalty, ends.clone());
        let mut outputs = vec![output.clone()];
        let mut tails = vec![Vec::new()];
        for generated in 0..request.max_new_tokens {
            if cancel.is_cancelled() {
                break;
            }
            let mut rows = Vec::with_capacity(outputs.len());
            for (output, ids) in outputs.iter().zip(search.open()) {
                let history = TokenHistory { prompt: penalised, answer: ids };
                rows.push(self.beam_logprobs(output, request, history, &ends)?);
            }
            let stops = |ids: &[u32]| {
                let text = self.tokenizer.decode(ids);
                stop_strings.iter().any(|s| text.contains(s.as_str()))
            };
            let next = search.step(&rows, &stops);
            let full = prompt + generated + 1 >= context;
            if search.is_done() || generated + 1 == request.max_new_tokens || full {
                break;
            }
            outputs.clear();
            let mut new_tails = Vec::with_capacity(next.len());
            for beam in &next {
                self.cache.set_tail(prompt, &tails[beam.from])?;
                let x = self.model.language.embed(&[beam.token])?;
                outputs.push(self.model.language.extend(&x, &mut self.cache, Precision::Fast)?);
                new_tails.push(self.cache.tail(prompt)?);
            }
            tails = new_tails;
        }
        // Only the prompt is the same for the next request.
        self.cache.truncate(prompt);
        let (ids, ended) = search.best();
        Ok(BestBeam { ids, ended })
    }

    /// Log-probabilities of one beam's next token after the penalties, one for each token of the
    /// vocabulary.
    fn beam_logprobs(
        &self,
        output: &Tensor,
        request: &Request,
        history: TokenHistory,
        ends: &[u32],
    ) -> Result<Vec<f32>> {
        let logits = self.model.language.logits(output, Precision::Fast)?.flatten_all()?; // (vocabulary)
        let row = candle_nn::ops::log_softmax(&logits, 0)?;
        let row =
            adjusted(&request.sampling, &row, history, ends).map_err(|e| self.sampling_error(e))?;
        match row.iter().any(|l| l.is_finite()) {
            true => Ok(row),
            false => Err(InferenceError::NotFinite(self.name.clone())),
        }
    }
}

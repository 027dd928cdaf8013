//! A request's prompt as positions: text tokenised, images encoded, old turns dropped.

use std::sync::Arc;
use std::time::Instant;

use candle_core::Tensor;

use super::Engine;
use super::encode::query_key;
use crate::prefix::{Position, positions};
use crate::{Picture, Prompt, Result, ms};
use artgpt_chat::{Budget, ChatError, IMAGE_MARKER, Piece, Role, Turn, fit, raw_prompt};

/// A prompt ready for the network.
pub(super) struct PreparedPrompt {
    pub(super) positions: Vec<Position>,
    /// The image tokens of each picture that the prompt shows, (1, queries, hidden).
    pub(super) images: Vec<Option<Tensor>>,
    pub(super) pieces: Vec<Piece>,
    /// See `TokenHistory::prompt`.
    pub(super) penalised: Vec<u32>,
    pub(super) encode_ms: f64,
    pub(super) image_tokens: usize,
    pub(super) dropped_turns: usize,
}

impl Engine {
    /// Renders a prompt and encodes its images.
    pub(super) fn prepare(
        &mut self,
        prompt: &Prompt,
        pictures: &[Picture],
        max_new_tokens: usize,
    ) -> Result<PreparedPrompt> {
        let (pieces, dropped_turns) = self.render(prompt, pictures, max_new_tokens)?;
        let queries = self.model.image_tokens;
        let instruction = self.instruction(prompt)?;
        let keys: Vec<Arc<str>> =
            pictures.iter().map(|p| query_key(&p.key, &instruction)).collect();
        let started = Instant::now();
        let mut images = vec![None; pictures.len()];
        let mut image_tokens = 0;
        let mut encoded = false;
        for piece in &pieces {
            let Piece::Image(i) = piece else { continue };
            let Some(picture) = pictures.get(*i) else { continue };
            image_tokens += queries;
            if images[*i].is_none() {
                let (tensor, new) = self.encode(picture, &keys[*i], &instruction)?;
                images[*i] = Some(tensor);
                encoded |= new;
            }
        }
        let encode_ms = if encoded { ms(started) } else { 0.0 };
        let positions = positions(&pieces, &keys, queries);
        let penalised = tokens_alone(&pieces);
        Ok(PreparedPrompt {
            positions,
            images,
            pieces,
            penalised,
            encode_ms,
            image_tokens,
            dropped_turns,
        })
    }

    /// Renders the prompt, and drops old turns of a chat that do not fit. Returns the pieces and
    /// the number of dropped turns.
    fn render(
        &mut self,
        prompt: &Prompt,
        pictures: &[Picture],
        max_new_tokens: usize,
    ) -> Result<(Vec<Piece>, usize)> {
        let context = self.context_of(prompt);
        // The answer gets half the window at most, so that a question always has room.
        let answer = max_new_tokens.clamp(1, (context / 2).max(1));
        let budget = Budget { context, answer, image: self.model.image_tokens };
        match prompt {
            Prompt::Chat { system, turns, measured } => {
                let no_images = turns.iter().all(|t| t.images.is_empty());
                let turns: &[Turn] = match turns.split_last() {
                    Some((last, _)) if no_images && self.format.alone_without_picture => {
                        std::slice::from_ref(last)
                    }
                    _ => turns,
                };
                let measured = match *measured && self.format.style.measured {
                    true => self.measured.lines(turns, pictures)?,
                    false => Vec::new(),
                };
                let (style, tokenizer) = (&self.format.style, &self.tokenizer);
                let render =
                    |turns: &[Turn]| style.render(system.as_deref(), turns, &measured, tokenizer);
                Ok(fit(turns, budget, render)?)
            }
            Prompt::Raw(text) => {
                let pieces = raw_prompt(text, pictures.len(), &self.tokenizer)?;
                let tokens = budget.count(&pieces);
                if tokens >= context {
                    return Err(ChatError::TooLong { tokens, context }.into());
                }
                Ok((pieces, 0))
            }
        }
    }

    /// What the Q-Former reads besides the image: the prompt without its markers, in a chat the
    /// last question. Empty for a Q-Former without a text branch.
    fn instruction(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let limit = self.model.bridge.as_ref().and_then(|b| b.instruction_limit());
        let (Some(tokenizer), Some(limit)) = (&self.format.instructions, limit) else {
            return Ok(Vec::new());
        };
        let text = match prompt {
            Prompt::Raw(text) => text.as_str(),
            Prompt::Chat { turns, .. } => {
                let question = turns.iter().rev().find(|t| t.role == Role::User);
                question.map_or("", |t| t.text.as_str())
            }
        };
        Ok(tokenizer.encode(&text.replace(IMAGE_MARKER, ""), limit)?)
    }
}

/// The prompt's tokens; none if it has an image, as transformers penalises no such prompt.
fn tokens_alone(pieces: &[Piece]) -> Vec<u32> {
    let tokens = |p: &Piece| match p {
        Piece::Tokens(ids) => Some(ids.clone()),
        Piece::Image(_) => None,
    };
    let all = pieces.iter().map(tokens).collect::<Option<Vec<_>>>();
    all.unwrap_or_default().concat()
}

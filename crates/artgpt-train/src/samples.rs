//! The model's answers about the same held-out artworks at each checkpoint.

use artgpt_rundir::Sample;
use candle_core::{D, Tensor};
use image::RgbImage;

use super::Result;
use super::task::Network;
use artgpt_chat::Piece;
use artgpt_kernels::matrix::Precision;

/// A sample and the picture that it is about.
pub struct SampledAnswer {
    pub sample: Sample,
    pub picture: RgbImage,
}

impl Network<'_> {
    /// Decodes greedily the answer to a prompt whose picture is `image`, (1, queries, hidden), up to
    /// the token sequence `end`, or `most` tokens.
    pub fn greedy_answer(
        &self,
        prompt: &[Piece],
        image: &Tensor,
        end: &[u32],
        most: usize,
    ) -> Result<String> {
        let language = self.language;
        let mut parts = Vec::new();
        for piece in prompt {
            match piece {
                Piece::Tokens(ids) if ids.is_empty() => {}
                Piece::Tokens(ids) => parts.push(language.embed(ids)?.detach()),
                Piece::Image(_) => parts.push(image.detach()),
            }
        }
        let mut cache = language.new_cache()?;
        let mut x = Tensor::cat(&parts, 1)?; // (1, tokens, hidden)
        let mut answer = Vec::new();
        while answer.len() < most {
            let hidden = language.extend(&x.detach(), &mut cache, Precision::Exact)?;
            let last = hidden.narrow(1, hidden.dim(1)? - 1, 1)?;
            let logits = language.logits(&last, Precision::Exact)?;
            let token = logits.flatten_all()?.argmax(D::Minus1)?.to_scalar::<u32>()?;
            answer.push(token);
            if answer.ends_with(end) {
                answer.truncate(answer.len() - end.len());
                break;
            }
            x = language.embed(&[token])?;
        }
        Ok(self.tokenizer.decode(&answer).trim().to_string())
    }
}

//! What the model says about the same held-out artworks at each checkpoint.

use artgpt_rundir::Sample;
use candle_core::{D, Tensor};
use image::RgbImage;

use super::Result;
use super::task::Network;
use artgpt_chat::Piece;
use artgpt_kernels::matrix::Precision;

/// Tokens after which an answer is cut.
const MOST: usize = 48;

/// A sample with what was looked at.
pub struct Asked {
    pub sample: Sample,
    pub picture: RgbImage,
}

impl Network<'_> {
    /// The likeliest answer to a prompt whose picture is `image`, (1, queries, hidden), up to one of
    /// the tokens that `end` it.
    pub fn say(&self, prompt: &[Piece], image: &Tensor, end: &[u32]) -> Result<String> {
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
        let mut said = Vec::new();
        while said.len() < MOST {
            let hidden = language.extend(&x.detach(), &mut cache, Precision::Exact)?;
            let last = hidden.narrow(1, hidden.dim(1)? - 1, 1)?;
            let logits = language.logits(&last, Precision::Exact)?;
            let token = logits.flatten_all()?.argmax(D::Minus1)?.to_scalar::<u32>()?;
            said.push(token);
            if said.ends_with(end) {
                said.truncate(said.len() - end.len());
                break;
            }
            x = language.embed(&[token])?;
        }
        Ok(self.tokenizer.decode(&said).trim().to_string())
    }
}

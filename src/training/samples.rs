//! What the model says about the same held-out artworks at each checkpoint.

use std::path::Path;

use candle_core::{D, Tensor};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::Result;
use super::task::Network;
use crate::chat::Piece;
use crate::model::matrix::Precision;

/// Where a run keeps its samples, a checkpoint a line; the pictures are beside it.
pub const SAMPLES: &str = "samples.jsonl";
/// Pictures of samples, `0.png` and so on.
pub const PICTURES: &str = "samples";
/// Tokens after which an answer is cut.
const MOST: usize = 48;

/// The answers at one checkpoint, in the order of the pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub step: usize,
    pub answers: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub artwork: String,
    /// Empty where captions have no prompt.
    pub question: String,
    pub answer: String,
}

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

/// All samples of a run, the oldest first; of lines that cannot be read none.
pub fn samples(run: &Path) -> Vec<Samples> {
    let text = std::fs::read_to_string(run.join(SAMPLES)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

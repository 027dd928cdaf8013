//! `samples.jsonl`: what the model answered about the same held-out artworks at each checkpoint.

use std::path::Path;

use artgpt_base::files::read_json_lines;
use serde::{Deserialize, Serialize};

/// Where a run keeps its samples, a checkpoint a line; the pictures are beside it.
pub const SAMPLES: &str = "samples.jsonl";
/// Pictures of samples, `0.png` and so on.
pub const PICTURES: &str = "samples";
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

/// All samples of a run, the oldest first; lines that cannot be read are skipped.
pub fn samples(run: &Path) -> Vec<Samples> {
    read_json_lines(&run.join(SAMPLES))
}

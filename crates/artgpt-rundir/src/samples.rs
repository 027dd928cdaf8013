//! `samples.jsonl`: the model's answers about the same held-out artworks at each checkpoint.

use std::path::Path;

use artgpt_base::files::read_json_lines;
use serde::{Deserialize, Serialize};

/// The file of samples in a run's folder, a line per checkpoint; [`PICTURES`] holds the pictures.
pub const SAMPLES: &str = "samples.jsonl";
/// The folder of the samples' pictures, `0.png` and so on.
pub const PICTURES: &str = "samples";

/// The answers at one checkpoint, in the order of the pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Steps done.
    pub step: usize,
    /// One for each picture.
    pub answers: Vec<Sample>,
}

/// An answer about one artwork.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The artwork's title, or the picture's name.
    pub artwork: String,
    /// The question; empty if captions have no prompt.
    pub question: String,
    /// The model's answer, decoded greedily.
    pub answer: String,
}

/// All samples of a run, the oldest first; lines that cannot be read are skipped.
pub fn samples(run: &Path) -> Vec<Samples> {
    read_json_lines(&run.join(SAMPLES))
}

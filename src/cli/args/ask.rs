//! `ask` and `score`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Continue and store the session with this ID or unique ID prefix; `new` starts one
    #[arg(long, value_name = "ID", conflicts_with = "raw_prompt")]
    pub session: Option<String>,
    /// Replace the template's system text
    #[arg(long, value_name = "TEXT", conflicts_with = "raw_prompt")]
    pub system: Option<String>,
    /// Take the most likely token at each step (temperature 0)
    #[arg(long, conflicts_with_all = ["temperature", "top_p", "top_k", "min_p"])]
    pub greedy: bool,
    /// Sampling temperature; 0 is greedy [default: the setting `sampling.temperature`]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Nucleus sampling: sample from the smallest set of tokens with this total probability
    /// [default: the setting `sampling.top_p`]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// Sample from this many most likely tokens; 0 is no limit [default: the setting
    /// `sampling.top_k`]
    #[arg(long, value_name = "N")]
    pub top_k: Option<usize>,
    /// Drop tokens less likely than this fraction of the most likely one; 0 is off [default: the
    /// setting `sampling.min_p`]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub min_p: Option<f64>,
    /// Repetition penalty; 1 is off, or the model's own where its manifest has one [default: the setting
    /// `sampling.repetition_penalty`]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub repetition_penalty: Option<f32>,
    /// Presence penalty, subtracted from the logit of each token that the answer already has; 0 is
    /// off [default: the setting `sampling.presence_penalty`]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub presence_penalty: Option<f32>,
    /// Beam search with this many beams; the answer is printed when it is complete
    #[arg(long, value_name = "N", conflicts_with_all = ["temperature", "top_p", "top_k", "min_p", "seed"])]
    pub beams: Option<usize>,
    /// Length penalty of beam search; above 0 favours longer answers, below 0 shorter ones
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub length_penalty: Option<f64>,
    /// Min length of the answer in tokens
    #[arg(long, value_name = "N")]
    pub min_new_tokens: Option<usize>,
    /// Stop string, which ends the answer; repeat the option for several
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// RNG seed: the same seed gives the same answer
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Max length of the answer in tokens [default: the setting `max_new_tokens`, or 300]
    #[arg(long, value_name = "N")]
    pub max_new_tokens: Option<usize>,
    /// Question; `-` reads it from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Prompt before the answer; `-` reads it from stdin
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// Answer to score
    #[arg(long, value_name = "TEXT")]
    pub answer: String,
}

/// What `ask` and `score` read besides the prompt.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Model name, manifest, directory, run, or `openai:URL#NAME` [default: the setting `model`]
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Image file; repeat the option for several
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// Skip the chat template; `<image>` in the text marks the position of each image
    #[arg(long)]
    pub raw_prompt: bool,
}

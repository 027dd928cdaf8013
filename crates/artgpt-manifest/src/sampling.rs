//! Sampling settings.

use serde::{Deserialize, Serialize};

/// More beams than this are a mistake.
pub const MAX_BEAMS: usize = 64;

/// How the next token is chosen. `temperature` 0 is greedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingConfig {
    pub temperature: f64,
    pub top_p: f64,
    /// 0 is no limit.
    pub top_k: usize,
    /// Leaves out tokens less likely than this share of the likeliest; 0 is none.
    pub min_p: f64,
    /// 1 is none; it applies to all that is [`Said`].
    pub repetition_penalty: f32,
    /// Taken once from the logit of each token that the answer has already; 0 is none.
    pub presence_penalty: f32,
    /// An answer does not end before it has this many tokens.
    pub min_new_tokens: usize,
    /// Texts that end an answer, besides the template's.
    pub stop: Vec<String>,
    /// Above 1, the likeliest whole answers are sought side by side instead of drawing tokens.
    pub beams: usize,
    /// Exponent on the length by which a beam's log-probability is divided; above 0 favours
    /// longer answers.
    pub length_penalty: f64,
    /// Drawn anew for each answer when absent.
    pub seed: Option<u64>,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 0.9,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            min_new_tokens: 0,
            stop: Vec::new(),
            beams: 1,
            length_penalty: 1.0,
            seed: None,
        }
    }
}

impl SamplingConfig {
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// What is out of range, in words.
    pub fn problem(&self) -> Option<String> {
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return Some(format!("temperature {} must be 0 or more", self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Some(format!("top-p {} must be above 0 and at most 1", self.top_p));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Some(format!("min-p {} must be from 0 to 1", self.min_p));
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return Some(format!("repetition penalty {} must be above 0", self.repetition_penalty));
        }
        if !self.presence_penalty.is_finite() {
            return Some("the presence penalty must be a number".into());
        }
        if !(1..=MAX_BEAMS).contains(&self.beams) {
            return Some(format!("beams {} must be from 1 to {MAX_BEAMS}", self.beams));
        }
        if !self.length_penalty.is_finite() {
            return Some("the length penalty must be a number".into());
        }
        None
    }

    /// Whether the most likely token is always taken.
    pub fn is_greedy(&self) -> bool {
        self.temperature < 1e-6
    }
}

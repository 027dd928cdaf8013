//! Sampling settings.

use serde::{Deserialize, Serialize};

/// Upper bound of [`SamplingConfig::beams`].
pub const MAX_BEAMS: usize = 64;

/// How decoding chooses tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingConfig {
    /// Sampling temperature; 0 is greedy decoding.
    pub temperature: f64,
    /// Nucleus sampling: keep the most likely tokens up to this total probability; 1 = off.
    pub top_p: f64,
    /// Keep only this many of the most likely tokens; 0 = off.
    pub top_k: usize,
    /// Drop tokens below this share of the highest probability; 0 = off.
    pub min_p: f64,
    /// Repetition penalty on tokens of the prompt and the answer; 1 = off.
    pub repetition_penalty: f32,
    /// Presence penalty: subtracted from the logit of each token in the answer; 0 = off.
    pub presence_penalty: f32,
    /// Minimum length of an answer in tokens.
    pub min_new_tokens: usize,
    /// Stop strings besides the template's.
    pub stop: Vec<String>,
    /// Beam search with this many beams instead of sampling; 1 = off.
    pub beams: usize,
    /// Length penalty of beam search: the exponent of the length that divides a beam's
    /// log-probability. Above 0 favours longer answers.
    pub length_penalty: f64,
    /// RNG seed; `None` = a new seed for each answer.
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
    /// Greedy decoding.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// A message about the first option that is out of range.
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

    /// Whether decoding always takes the most likely token.
    pub fn is_greedy(&self) -> bool {
        self.temperature < 1e-6
    }
}

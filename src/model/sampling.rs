//! From logits to the next token.

use candle_core::{Result, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::utils::apply_repeat_penalty;
use serde::{Deserialize, Serialize};

/// How the next token is chosen. `temperature` 0 is greedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplingConfig {
    pub temperature: f64,
    pub top_p: f64,
    /// 0 is no limit.
    pub top_k: usize,
    /// 1 is none; it applies to the last [`PENALTY_WINDOW`] tokens.
    pub repetition_penalty: f32,
    /// Drawn anew for each answer when absent.
    pub seed: Option<u64>,
}

/// How far back the repetition penalty looks.
pub const PENALTY_WINDOW: usize = 64;

impl Default for SamplingConfig {
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 0.9, top_k: 0, repetition_penalty: 1.0, seed: None }
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
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return Some(format!("repetition penalty {} must be above 0", self.repetition_penalty));
        }
        None
    }
}

/// Draws tokens for one answer.
pub struct Sampler {
    processor: LogitsProcessor,
    repetition_penalty: f32,
}

impl Sampler {
    pub fn new(config: &SamplingConfig) -> Self {
        let seed = config.seed.unwrap_or_else(rand::random);
        let (temperature, p, k) = (config.temperature, config.top_p, config.top_k);
        let sampling = match (temperature, k) {
            (t, _) if t < 1e-6 => Sampling::ArgMax,
            (temperature, 0) => Sampling::TopP { p, temperature },
            (temperature, k) => Sampling::TopKThenTopP { k, p, temperature },
        };
        Self {
            processor: LogitsProcessor::from_sampling(seed, sampling),
            repetition_penalty: config.repetition_penalty,
        }
    }

    /// `logits` is (vocabulary); `history` is what the penalty counts.
    pub fn next(&mut self, logits: &Tensor, history: &[u32]) -> Result<u32> {
        if (self.repetition_penalty - 1.0).abs() < f32::EPSILON {
            return self.processor.sample(logits);
        }
        let window = &history[history.len().saturating_sub(PENALTY_WINDOW)..];
        self.processor.sample(&apply_repeat_penalty(logits, self.repetition_penalty, window)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn limits_keep_the_likely_and_the_seed_repeats() -> Result<()> {
        let logits = Tensor::new(&[0f32, 5.0, 4.9, -3.0], &Device::Cpu)?;
        let config = SamplingConfig { top_k: 2, seed: Some(7), ..SamplingConfig::default() };
        let draw = |config: &SamplingConfig| -> Result<Vec<u32>> {
            let mut sampler = Sampler::new(config);
            (0..50).map(|_| sampler.next(&logits, &[])).collect()
        };
        let first = draw(&config)?;
        assert!(first.contains(&1) && first.contains(&2));
        assert!(first.iter().all(|t| [1, 2].contains(t)));
        assert_eq!(first, draw(&config)?);
        assert!(draw(&SamplingConfig::greedy())?.iter().all(|t| *t == 1));
        Ok(())
    }

    #[test]
    fn the_penalty_turns_away_from_what_was_said() -> Result<()> {
        let logits = Tensor::new(&[0f32, 5.0, 4.9], &Device::Cpu)?;
        let config = SamplingConfig { repetition_penalty: 1.3, ..SamplingConfig::greedy() };
        assert_eq!(Sampler::new(&config).next(&logits, &[1])?, 2);
        Ok(())
    }
}

//! Sampling parameters of one question, over those of the settings.

use artgpt_manifest::SamplingConfig;

/// What a question asks for; `None` keeps the settings' value.
#[derive(Debug, Clone, Default)]
pub struct SamplingRequest {
    /// Temperature 0.
    pub greedy: bool,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sample from so many tokens.
    pub top_k: Option<usize>,
    /// Min probability relative to the most likely token.
    pub min_p: Option<f64>,
    /// Repetition penalty; 1 is off.
    pub repetition_penalty: Option<f32>,
    /// Presence penalty; 0 is off.
    pub presence_penalty: Option<f32>,
    /// Beams of a beam search.
    pub beams: Option<usize>,
    /// Length penalty of a beam search.
    pub length_penalty: Option<f64>,
    /// Min length of the answer in tokens.
    pub min_new_tokens: Option<usize>,
    /// Added to the settings' stop strings.
    pub stop: Vec<String>,
    /// RNG seed.
    pub seed: Option<u64>,
}

impl SamplingRequest {
    /// These parameters over the settings'.
    pub fn over(self, settings: &SamplingConfig) -> SamplingConfig {
        let mut sampling = settings.clone();
        if self.greedy {
            sampling.temperature = 0.0;
        }
        // A parameter of the distribution, or a seed, asks for sampling.
        let samples = self.top_p.is_some()
            || self.top_k.is_some()
            || self.min_p.is_some()
            || self.seed.is_some();
        if samples && self.temperature.is_none() && !self.greedy && sampling.temperature == 0.0 {
            sampling.temperature = 1.0;
        }
        sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
        sampling.top_p = self.top_p.unwrap_or(sampling.top_p);
        sampling.top_k = self.top_k.unwrap_or(sampling.top_k);
        sampling.repetition_penalty =
            self.repetition_penalty.unwrap_or(sampling.repetition_penalty);
        sampling.min_p = self.min_p.unwrap_or(sampling.min_p);
        sampling.presence_penalty = self.presence_penalty.unwrap_or(sampling.presence_penalty);
        sampling.beams = self.beams.unwrap_or(sampling.beams);
        sampling.length_penalty = self.length_penalty.unwrap_or(sampling.length_penalty);
        sampling.min_new_tokens = self.min_new_tokens.unwrap_or(sampling.min_new_tokens);
        sampling.stop.extend(self.stop);
        sampling.seed = self.seed.or(sampling.seed);
        sampling
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_asks_for_sampling_and_greedy_refuses_it() {
        let settings = SamplingConfig { temperature: 0.0, ..SamplingConfig::default() };
        let over = |request: SamplingRequest| request.over(&settings);
        assert_eq!(over(SamplingRequest::default()), settings);
        let seeded = over(SamplingRequest { seed: Some(3), ..SamplingRequest::default() });
        assert!((seeded.temperature - 1.0).abs() < 1e-9 && seeded.seed == Some(3));
        let greedy = SamplingRequest { seed: Some(3), greedy: true, ..SamplingRequest::default() };
        assert!(over(greedy).temperature.abs() < 1e-9);
    }
}

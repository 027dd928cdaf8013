//! From logits to the next token, with the options and the order of transformers
//! (`generation/logits_process.py`): penalties, temperature, top-k, top-p, min-p.

pub use artgpt_manifest::{MAX_BEAMS, SamplingConfig};
use candle_core::{DType, Tensor};
use candle_transformers::utils::apply_repeat_penalty;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Why no next token can be sampled.
#[derive(Debug, thiserror::Error)]
pub enum SamplingError {
    /// A logit is NaN, or all are minus infinity: a weight is damaged.
    #[error("the model computed no finite logits")]
    NotFinite,
    /// An operation on the logits failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

type Result<T> = std::result::Result<T, SamplingError>;

/// Applies the penalties to (vocabulary) logits. While the answer is too short, the logits of `ends`
/// become minus infinity.
///
/// # Errors
/// [`SamplingError::NotFinite`] if a logit is NaN.
pub fn adjusted(
    config: &SamplingConfig,
    logits: &Tensor,
    history: TokenHistory,
    ends: &[u32],
) -> Result<Vec<f32>> {
    let index = |id: &u32| *id as usize;
    let answer = history.answer;
    let mut logits: Vec<f32> = if (config.repetition_penalty - 1.0).abs() > f32::EPSILON {
        let all = [history.prompt, answer].concat();
        apply_repeat_penalty(logits, config.repetition_penalty, &all)?.to_vec1()?
    } else {
        logits.to_dtype(DType::F32)?.to_vec1()?
    };
    if logits.iter().any(|l| l.is_nan()) {
        return Err(SamplingError::NotFinite);
    }
    if config.presence_penalty != 0.0 {
        let mut present = answer.to_vec();
        present.sort_unstable();
        present.dedup();
        for id in present.iter().map(index) {
            if let Some(l) = logits.get_mut(id) {
                *l -= config.presence_penalty;
            }
        }
    }
    if answer.len() < config.min_new_tokens {
        for id in ends.iter().map(index) {
            if let Some(l) = logits.get_mut(id) {
                *l = f32::NEG_INFINITY;
            }
        }
    }
    Ok(logits)
}

/// The tokens before the next one.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenHistory<'a> {
    /// The prompt, if it is text only. transformers penalises repetition of its tokens, too, which is
    /// impossible if an image makes the prompt a matrix.
    pub prompt: &'a [u32],
    /// The answer so far.
    pub answer: &'a [u32],
}

/// Samples the tokens of one answer.
pub struct Sampler<'a> {
    config: &'a SamplingConfig,
    rng: ChaCha8Rng,
}

impl<'a> Sampler<'a> {
    /// Seeds the generator; without a seed in `config` it is random.
    pub fn new(config: &'a SamplingConfig) -> Self {
        let seed = config.seed.unwrap_or_else(rand::random);
        Self { config, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next token. `logits` is (vocabulary); `ends` are the EOS tokens.
    ///
    /// # Errors
    /// [`SamplingError::NotFinite`] if no logit is finite or one is NaN.
    pub fn next(&mut self, logits: &Tensor, history: TokenHistory, ends: &[u32]) -> Result<u32> {
        let logits = adjusted(self.config, logits, history, ends)?;
        let best = argmax(&logits)?;
        if self.config.is_greedy() {
            return Ok(best as u32);
        }
        let kept = candidates(&logits, logits[best], self.config);
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        let mut left = self.rng.random::<f64>() * total;
        for (id, p) in &kept {
            left -= p;
            if left <= 0.0 {
                return Ok(*id);
            }
        }
        Ok(kept.last().map_or(best as u32, |(id, _)| *id))
    }
}

/// The index of the largest logit, which must be finite.
fn argmax(logits: &[f32]) -> Result<usize> {
    let best = logits.iter().enumerate().max_by(|a, b| {
        // The first of equals, as PyTorch takes it.
        a.1.total_cmp(b.1).then(b.0.cmp(&a.0))
    });
    match best {
        Some((id, l)) if *l > f32::NEG_INFINITY => Ok(id),
        _ => Err(SamplingError::NotFinite),
    }
}

/// The candidates of sampling, most likely first, with weights relative to the first.
fn candidates(logits: &[f32], best: f32, config: &SamplingConfig) -> Vec<(u32, f64)> {
    let weight = |l: f32| (f64::from(l - best) / config.temperature).exp();
    let mut all: Vec<(u32, f64)> = logits
        .iter()
        .enumerate()
        .map(|(id, l)| (id as u32, weight(*l)))
        .filter(|(_, w)| *w > 0.0)
        .collect();
    let by_weight = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if config.top_k > 0 && config.top_k < all.len() {
        all.select_nth_unstable_by(config.top_k - 1, by_weight);
        all.truncate(config.top_k);
    }
    let total: f64 = all.iter().map(|(_, w)| w).sum();
    let enough = config.top_p * total;
    // Sorting the whole vocabulary costs more than computing a token; nearly always a small head
    // reaches top-p.
    let mut head = 256;
    let mut sorted = loop {
        if head >= all.len() {
            all.sort_unstable_by(by_weight);
            break all;
        }
        all.select_nth_unstable_by(head, by_weight);
        if all[..head].iter().map(|(_, w)| w).sum::<f64>() >= enough && config.top_p < 1.0 {
            all.truncate(head);
            all.sort_unstable_by(by_weight);
            break all;
        }
        head *= 8;
    };
    let mut sum = 0.0;
    let kept = sorted.iter().take_while(|(_, w)| {
        let before = sum;
        sum += w;
        before < enough
    });
    let kept = kept.count().max(1);
    sorted.truncate(kept);
    sorted.retain(|(_, w)| *w >= config.min_p);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn kept(logits: &[f32], config: &SamplingConfig) -> Vec<u32> {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        candidates(logits, best, config).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn each_limit_keeps_what_transformers_keeps() {
        // Probabilities 0.5, 0.25, 0.15, 0.1.
        let logits = [0.25f32, 0.1, 0.5, 0.15].map(f32::ln);
        let config = |f: fn(&mut SamplingConfig)| {
            let mut c = SamplingConfig { top_p: 1.0, ..SamplingConfig::default() };
            f(&mut c);
            kept(&logits, &c)
        };
        assert_eq!(config(|_| {}), [2, 0, 3, 1]);
        assert_eq!(config(|c| c.top_k = 2), [2, 0]);
        // The token that crosses the line stays.
        assert_eq!(config(|c| c.top_p = 0.6), [2, 0]);
        assert_eq!(config(|c| c.min_p = 0.25), [2, 0, 3]);
        // top-p counts within top-k: 0.5 of 0.75 is 0.67.
        assert_eq!(
            config(|c| {
                c.top_k = 2;
                c.top_p = 0.6;
            }),
            [2]
        );
    }

    #[test]
    fn a_large_flat_vocabulary_is_cut_as_a_small_one() {
        let logits: Vec<f32> = (0..20_000).map(|i| (i % 97) as f32 * 0.01).collect();
        let config = SamplingConfig { top_p: 0.5, ..SamplingConfig::default() };
        let n = kept(&logits, &config).len();
        // Half of the integral of e^x from 0 to 0.97 lies above 0.598: 38 % of the tokens.
        assert!((7_600..7_750).contains(&n), "{n}");
    }

    #[test]
    fn limits_keep_the_likely_and_the_seed_repeats() -> Result<()> {
        let logits = Tensor::new(&[0f32, 5.0, 4.9, -3.0], &Device::Cpu)?;
        let config = SamplingConfig { top_k: 2, seed: Some(7), ..SamplingConfig::default() };
        let draw = |config: &SamplingConfig| -> Result<Vec<u32>> {
            let mut sampler = Sampler::new(config);
            (0..50).map(|_| sampler.next(&logits, TokenHistory::default(), &[])).collect()
        };
        let first = draw(&config)?;
        assert!(first.contains(&1) && first.contains(&2));
        assert!(first.iter().all(|t| [1, 2].contains(t)));
        assert_eq!(first, draw(&config)?);
        assert!(draw(&SamplingConfig::greedy())?.iter().all(|t| *t == 1));
        Ok(())
    }

    #[test]
    fn penalties_lower_repeated_tokens_and_eos_waits() -> Result<()> {
        let logits = Tensor::new(&[0f32, 5.0, 4.9], &Device::Cpu)?;
        let next = |config: &SamplingConfig, answer: &[u32]| {
            Sampler::new(config).next(&logits, TokenHistory { prompt: &[], answer }, &[1])
        };
        let greedy = SamplingConfig::greedy;
        assert_eq!(next(&greedy(), &[1])?, 1);
        assert_eq!(next(&SamplingConfig { repetition_penalty: 1.3, ..greedy() }, &[1])?, 2);
        assert_eq!(next(&SamplingConfig { presence_penalty: 0.2, ..greedy() }, &[1])?, 2);
        assert_eq!(next(&SamplingConfig { min_new_tokens: 1, ..greedy() }, &[])?, 2);
        assert_eq!(next(&SamplingConfig { min_new_tokens: 1, ..greedy() }, &[0])?, 1);
        // A token from long ago, or from the prompt, counts like the last one.
        let penalty = SamplingConfig { repetition_penalty: 1.3, ..greedy() };
        let long: Vec<u32> = std::iter::once(1).chain([0; 100]).collect();
        assert_eq!(next(&penalty, &long)?, 2);
        let prompt = TokenHistory { prompt: &[1], answer: &[] };
        assert_eq!(Sampler::new(&penalty).next(&logits, prompt, &[])?, 2);
        // One NaN is enough: a weight is damaged.
        let broken = Tensor::new(&[f32::NAN, 1.0], &Device::Cpu)?;
        let result = Sampler::new(&greedy()).next(&broken, TokenHistory::default(), &[]);
        assert!(matches!(result, Err(SamplingError::NotFinite)));
        Ok(())
    }
}

//! Bootstrap confidence intervals.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap.
const DRAWS: usize = 2000;

/// A statistic and its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The statistic of all items.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// Percentile bootstrap (Efron 1979) of the statistic `figure`. The items must be independent, so
    /// all questions about one painting are one item.
    pub fn bootstrap<T>(items: &[&T], figure: impl Fn(&[&T]) -> f64, rng: &mut impl Rng) -> Self {
        let value = figure(items);
        if items.is_empty() {
            return Self { value, low: value, high: value };
        }
        let mut drawn = Vec::with_capacity(items.len());
        let mut figures: Vec<f64> = (0..DRAWS)
            .map(|_| {
                drawn.clear();
                drawn.extend(items.iter().map(|_| items[rng.random_range(0..items.len())]));
                figure(&drawn)
            })
            .collect();
        figures.sort_by(f64::total_cmp);
        let at = |share: f64| figures[(share * (DRAWS - 1) as f64).round() as usize];
        Self { value, low: at(0.025), high: at(0.975) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_interval_of_a_mean_is_the_one_of_the_textbook() {
        let items: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let refs: Vec<&f64> = items.iter().collect();
        let mean = |x: &[&f64]| x.iter().copied().sum::<f64>() / x.len() as f64;
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let interval = Interval::bootstrap(&refs, mean, &mut rng);
        // Half heads of 400: 0.5 plus and minus 1.96 * sqrt(0.25 / 400) = 0.049.
        assert_eq!(interval.value, 0.5);
        assert!((interval.low - 0.451).abs() < 0.006, "{interval:?}");
        assert!((interval.high - 0.549).abs() < 0.006, "{interval:?}");
    }
}

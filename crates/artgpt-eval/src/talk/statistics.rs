//! What is counted of the answers about one painting in one cell. Counts of several paintings are added, so
//! that a bootstrap over paintings is fast.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Interval;
use crate::caption::{BleuCounts, MeteorCounts};

/// Resamples of a bootstrap.
const DRAWS: usize = 1000;
/// Seed of the resamples: the same for all figures, so that differences are paired.
const SEED: u64 = 7;

/// A part of a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Share {
    pub(super) part: f64,
    pub(super) whole: f64,
}

impl Share {
    pub(super) fn count(&mut self, hit: bool) {
        self.part += f64::from(u8::from(hit));
        self.whole += 1.0;
    }

    fn add(&mut self, other: Self) {
        self.part += other.part;
        self.whole += other.whole;
    }

    /// Not a number where there is nothing to divide by.
    pub(super) fn value(self) -> f64 {
        self.part / self.whole
    }
}

/// The counts of one painting.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) bleu: BleuCounts,
    pub(super) meteor: MeteorCounts,
    pub(super) rouge: Share,
    pub(super) cider: Share,
    /// The sum over tokens, and their number.
    pub(super) logprob: Share,
    pub(super) content: Share,
    pub(super) facts: Share,
    pub(super) contradictions: Share,
    pub(super) repeats: Share,
    /// Numbers of the bigrams of all answers, each as often as it occurs.
    pub(super) bigrams: Vec<usize>,
}

impl Counts {
    fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.bleu.add(&one.bleu);
            sum.meteor.add(&one.meteor);
            sum.rouge.add(one.rouge);
            sum.cider.add(one.cider);
            sum.logprob.add(one.logprob);
            sum.content.add(one.content);
            sum.facts.add(one.facts);
            sum.contradictions.add(one.contradictions);
            sum.repeats.add(one.repeats);
        }
        sum
    }
}

/// The names of all metrics but distinct-2, in the order of reports.
pub(super) const METRICS: [&str; 9] = [
    "bleu-4",
    "rouge-l",
    "cider-d",
    "meteor-es",
    "logprob",
    "content-words",
    "label-facts",
    "contradictions",
    "repeats",
];
/// The metric whose interval is moved; see [`distinct_2`].
pub(super) const DISTINCT_2: &str = "distinct-2";

impl Counts {
    /// The metrics of [`METRICS`].
    fn figures(&self) -> [f64; METRICS.len()] {
        let compared = self.rouge.whole > 0.0;
        let of_corpus = |value: f64| if compared { value } else { f64::NAN };
        [
            of_corpus(self.bleu.scores()[3]),
            self.rouge.value(),
            self.cider.value(),
            of_corpus(self.meteor.score()),
            self.logprob.value(),
            self.content.value(),
            self.facts.value(),
            self.contradictions.value(),
            self.repeats.value(),
        ]
    }
}

/// The metrics of a cell with their intervals, without those that nothing was counted for.
pub(super) fn intervals(paintings: &[Counts]) -> Vec<(&'static str, Interval)> {
    let of = |drawn: &[usize]| Counts::sum(drawn.iter().map(|i| &paintings[*i])).figures();
    let (all, draws) = resampled(paintings.len(), of);
    let metric = |(i, name): (usize, &'static str)| {
        let figures = draws.iter().map(|figures| figures[i]).collect();
        Some((name, percentiles(all[i], figures)?))
    };
    let mut out: Vec<_> = METRICS.into_iter().enumerate().filter_map(metric).collect();
    out.extend(distinct_2(paintings).map(|interval| (DISTINCT_2, interval)));
    out
}

/// Distinct bigrams over all bigrams. A painting that is drawn twice adds no new bigram, so resamples are less
/// varied than the paintings are: the interval is moved by the difference of their median from the value.
fn distinct_2(paintings: &[Counts]) -> Option<Interval> {
    let ids = paintings.iter().flat_map(|p| &p.bigrams).max().map_or(0, |most| most + 1);
    let of = |drawn: &[usize]| {
        let mut seen = vec![false; ids];
        let (mut distinct, mut all) = (0usize, 0usize);
        for bigram in drawn.iter().flat_map(|i| &paintings[*i].bigrams) {
            distinct += usize::from(!std::mem::replace(&mut seen[*bigram], true));
            all += 1;
        }
        distinct as f64 / all as f64
    };
    let (value, draws) = resampled(paintings.len(), of);
    let mut sorted = draws.clone();
    sorted.sort_by(f64::total_cmp);
    let shift = value - sorted.get(sorted.len() / 2)?;
    percentiles(value, draws.iter().map(|figure| figure + shift).collect())
}

/// The difference of a share between two cells over the same paintings, with its paired interval.
pub(super) fn difference(
    first: &[Counts],
    second: &[Counts],
    share: impl Fn(&Counts) -> Share,
) -> Option<Interval> {
    let mean = |counts: &[Counts], drawn: &[usize]| {
        let mut sum = Share::default();
        drawn.iter().for_each(|i| sum.add(share(&counts[*i])));
        sum.value()
    };
    let of = |drawn: &[usize]| mean(first, drawn) - mean(second, drawn);
    let (value, draws) = resampled(first.len().min(second.len()), of);
    percentiles(value, draws)
}

/// A figure of all paintings, and of resamples of them.
fn resampled<F>(paintings: usize, figure: impl Fn(&[usize]) -> F) -> (F, Vec<F>) {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let all: Vec<usize> = (0..paintings).collect();
    let draws = (0..DRAWS).map(|_| {
        let drawn: Vec<usize> = all.iter().map(|_| rng.random_range(0..paintings)).collect();
        figure(&drawn)
    });
    let draws = draws.collect();
    (figure(&all), draws)
}

/// The value with the 2.5th and the 97.5th percentile of the draws in which it is defined.
fn percentiles(value: f64, mut draws: Vec<f64>) -> Option<Interval> {
    draws.retain(|figure| figure.is_finite());
    draws.sort_by(f64::total_cmp);
    let last = draws.len().checked_sub(1)?;
    let at = |share: f64| draws[(share * last as f64).round() as usize];
    value.is_finite().then(|| Interval { value, low: at(0.025), high: at(0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paintings(count: usize, hits: impl Fn(usize) -> f64) -> Vec<Counts> {
        let one = |i| Counts { repeats: Share { part: hits(i), whole: 1.0 }, ..Counts::default() };
        (0..count).map(one).collect()
    }

    fn metric(all: &[(&str, Interval)], name: &str) -> Interval {
        all.iter().find(|(n, _)| *n == name).expect("is there").1
    }

    #[test]
    fn the_interval_of_a_share_is_the_one_of_the_textbook() {
        let all = intervals(&paintings(400, |i| (i % 2) as f64));
        let interval = metric(&all, "repeats");
        // Half of 400: 0.5 plus and minus 1.96 * sqrt(0.25 / 400) = 0.049.
        assert_eq!(interval.value, 0.5);
        assert!((interval.low - 0.451).abs() < 0.008, "{interval:?}");
        assert!((interval.high - 0.549).abs() < 0.008, "{interval:?}");
        // Nothing else was counted.
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn a_paired_difference_is_narrower_than_its_parts() {
        let first = paintings(100, |i| 0.1 + (i % 2) as f64);
        let second = paintings(100, |i| (i % 2) as f64);
        let interval = difference(&first, &second, |c| c.repeats).expect("is defined");
        assert!((interval.value - 0.1).abs() < 1e-12, "{interval:?}");
        assert!((interval.low - 0.1).abs() < 1e-9 && (interval.high - 0.1).abs() < 1e-9);
        assert!(difference(&first, &second, |c| c.logprob).is_none());
    }

    #[test]
    fn the_interval_of_distinct_bigrams_holds_the_value() {
        let one = |i: usize| Counts { bigrams: vec![0, 1, 2 + i], ..Counts::default() };
        let all: Vec<Counts> = (0..30).map(one).collect();
        let interval = metric(&intervals(&all), DISTINCT_2);
        assert!((interval.value - 32.0 / 90.0).abs() < 1e-12);
        assert!(interval.low < interval.value && interval.value < interval.high, "{interval:?}");
    }
}

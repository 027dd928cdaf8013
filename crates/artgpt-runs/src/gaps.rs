//! Where the values of a curve are not finite.

use std::ops::Range;

use super::chunks::Chunks;

/// Edges in a chunk.
const EDGES: usize = 128;

/// The stretches of a curve whose values are NaN or infinite. A curve of finite values takes no room,
/// and a long stretch takes no more than a short one.
#[derive(Debug, Clone, Default)]
pub(super) struct Gaps {
    /// The indices at which finite values end and begin again, in turn.
    edges: Chunks<Vec<usize>, EDGES>,
    /// Points so far.
    len: usize,
    /// Those whose values are not finite.
    count: usize,
}

impl Gaps {
    pub(super) fn push(&mut self, value: f64) {
        let inside = self.edges.len() % 2 == 1;
        if value.is_finite() == inside {
            self.edges.push(self.len);
        }
        self.len += 1;
        self.count += usize::from(!value.is_finite());
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.count -= self.within(len..self.len).map(|gap| gap.len()).sum::<usize>();
        self.edges.truncate(self.edges.partition_point(|edge| edge < len));
        self.len = len;
    }

    /// How many values are not finite.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The stretches within a range, cut at its ends.
    pub(super) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        let end = range.end.min(self.len);
        // The stretch that contains the first index, or the next one.
        let first = self.edges.partition_point(|edge| edge <= range.start);
        let gaps = (first / 2 * 2..).step_by(2).map_while(move |edge| {
            let from = self.edges.get(edge)?;
            let to = self.edges.get(edge + 1).unwrap_or(self.len);
            let (from, to) = (from.max(range.start), to.min(end));
            (from < end).then_some(from..to)
        });
        gaps.filter(|gap| !gap.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_gaps_of_any_range_are_those_of_its_values() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..200 {
            let (mut gaps, mut values) = (Gaps::default(), Vec::new());
            let often = rng.random_range(0.0..1.0);
            for _ in 0..rng.random_range(0..400) {
                if rng.random_bool(0.02) {
                    let len = rng.random_range(0..=values.len());
                    gaps.truncate(len);
                    values.truncate(len);
                }
                let value = if rng.random_bool(often) { f64::NAN } else { 1.0 };
                gaps.push(value);
                values.push(value);
            }
            let wrong = |range: Range<usize>| -> Vec<usize> {
                range.filter(|i| values.get(*i).is_some_and(|v| v.is_nan())).collect()
            };
            assert_eq!(gaps.count(), wrong(0..values.len()).len());
            for _ in 0..20 {
                let from = rng.random_range(0..=values.len());
                let to = rng.random_range(from..=values.len() + 3);
                let found: Vec<usize> = gaps.within(from..to).flatten().collect();
                assert_eq!(found, wrong(from..to), "{from}..{to} of {values:?}");
            }
        }
    }

    #[test]
    fn a_long_stretch_takes_two_numbers() {
        let mut gaps = Gaps::default();
        (0..1_000).for_each(|i| gaps.push(if (10..900).contains(&i) { f64::NAN } else { 0.0 }));
        assert_eq!((gaps.edges.len(), gaps.count()), (2, 890));
        assert_eq!(gaps.within(0..1_000).next(), Some(10..900));
        assert_eq!(gaps.within(0..1_000).count(), 1);
        assert_eq!(gaps.within(20..30).next(), Some(20..30));
        assert_eq!(gaps.within(900..1_000).count(), 0);
    }
}

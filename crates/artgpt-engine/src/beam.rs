//! Beam search: which answers go on, and which are done.
//!
//! The rules are those of transformers' `_beam_search` with `early_stopping=False`: of the best
//! `2 * beams` continuations (more, if there are several end tokens), those that end are hypotheses,
//! scored by log-probability over length to the power of the length penalty; the best `beams`
//! others go on.

/// A continuation: the beam that it comes from, its next token, its log-probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Continuation {
    pub(crate) from: usize,
    pub(crate) token: u32,
    pub(crate) sum: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Hypothesis {
    ids: Vec<u32>,
    score: f64,
}

/// The state of the search for one prompt.
#[derive(Debug)]
pub(crate) struct BeamSearch {
    beams: usize,
    length_penalty: f64,
    ends: Vec<u32>,
    /// Answers that are not finished, with their log-probability, best first.
    open: Vec<(Vec<u32>, f64)>,
    done: Vec<Hypothesis>,
}

impl BeamSearch {
    pub(crate) fn new(beams: usize, length_penalty: f64, ends: Vec<u32>) -> Self {
        let open = vec![(Vec::new(), 0.0)];
        Self { beams, length_penalty, ends, open, done: Vec::new() }
    }

    /// Token ids of the unfinished answers.
    pub(crate) fn open(&self) -> impl Iterator<Item = &[u32]> {
        self.open.iter().map(|(ids, _)| ids.as_slice())
    }

    /// Takes the log-probabilities of the next token, one row for each open answer; returns how
    /// the new open answers follow from the old ones.
    ///
    /// `stops` says whether an answer's tokens hold a stop string, which ends it, too.
    pub(crate) fn step(
        &mut self,
        rows: &[Vec<f32>],
        stops: &dyn Fn(&[u32]) -> bool,
    ) -> Vec<Continuation> {
        let width = (self.ends.len() + 1).max(2) * self.beams;
        let mut best: Vec<Continuation> = Vec::new();
        for (from, (row, (_, sum))) in rows.iter().zip(&self.open).enumerate() {
            best.extend(top(row, width).into_iter().map(|(token, logprob)| Continuation {
                from,
                token,
                sum: sum + f64::from(logprob),
            }));
        }
        best.sort_by(|a, b| b.sum.total_cmp(&a.sum).then(a.from.cmp(&b.from)));
        best.truncate(width);
        let mut next = Vec::with_capacity(self.beams);
        for (rank, candidate) in best.into_iter().enumerate() {
            if self.ends.contains(&candidate.token) {
                // An end that is not among the best `beams` is no hypothesis.
                if rank < self.beams {
                    let ids = self.open[candidate.from].0.clone();
                    let length = ids.len() + 1; // the end counts
                    self.finish(ids, candidate.sum, length);
                }
            } else if next.len() < self.beams {
                let mut ids = self.open[candidate.from].0.clone();
                ids.push(candidate.token);
                if stops(&ids) {
                    if rank < self.beams {
                        let length = ids.len();
                        self.finish(ids, candidate.sum, length);
                    }
                } else {
                    next.push(candidate);
                }
            }
        }
        self.open = next
            .iter()
            .map(|n: &Continuation| {
                let mut ids = self.open[n.from].0.clone();
                ids.push(n.token);
                (ids, n.sum)
            })
            .collect();
        next
    }

    fn finish(&mut self, ids: Vec<u32>, sum: f64, length: usize) {
        let score = sum / (length.max(1) as f64).powf(self.length_penalty);
        self.done.push(Hypothesis { ids, score });
        self.done.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.done.truncate(self.beams);
    }

    /// Whether no open answer can still beat the hypotheses.
    pub(crate) fn is_done(&self) -> bool {
        let Some((ids, sum)) = self.open.first() else { return true };
        let attainable = sum / (ids.len().max(1) as f64).powf(self.length_penalty);
        self.done.len() >= self.beams && self.done.last().is_some_and(|w| w.score >= attainable)
    }

    /// The best answer, and whether it ended by itself.
    pub(crate) fn best(mut self) -> (Vec<u32>, bool) {
        let ended: Vec<Vec<u32>> = self.done.iter().map(|h| h.ids.clone()).collect();
        if !self.is_done() {
            for (ids, sum) in std::mem::take(&mut self.open) {
                let length = ids.len();
                self.finish(ids, sum, length);
            }
        }
        let best = self.done.into_iter().next().map(|h| h.ids).unwrap_or_default();
        let by_itself = ended.contains(&best);
        (best, by_itself)
    }
}

/// The `count` largest, largest first.
fn top(row: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = row
        .iter()
        .enumerate()
        .filter(|(_, l)| l.is_finite())
        .map(|(id, l)| (id as u32, *l))
        .collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count < all.len() {
        all.select_nth_unstable_by(count, order);
        all.truncate(count);
    }
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Token 0 ends. The greedy first token (1) leads nowhere good; the second best (2) does.
    fn row(ids: &[u32]) -> Vec<f32> {
        let probabilities: [f32; 3] = match ids {
            [] => [0.01, 0.55, 0.44],
            [1, ..] => [0.34, 0.33, 0.33],
            _ => [0.98, 0.01, 0.01],
        };
        probabilities.map(f32::ln).to_vec()
    }

    fn run(beams: usize, length_penalty: f64) -> (Vec<u32>, bool) {
        let mut search = BeamSearch::new(beams, length_penalty, vec![0]);
        for _ in 0..4 {
            let rows: Vec<_> = search.open().map(row).collect();
            search.step(&rows, &|_| false);
            if search.is_done() {
                break;
            }
        }
        search.best()
    }

    #[test]
    fn two_beams_find_what_one_misses() {
        assert_eq!(run(1, 1.0), (vec![1], true));
        assert_eq!(run(2, 1.0), (vec![2], true));
    }

    #[test]
    fn an_answer_that_never_ends_is_still_an_answer() {
        let mut search = BeamSearch::new(2, 1.0, vec![9]);
        search.step(&[row(&[])], &|_| false);
        let (ids, ended) = search.best();
        assert_eq!((ids, ended), (vec![1], false));
    }
}

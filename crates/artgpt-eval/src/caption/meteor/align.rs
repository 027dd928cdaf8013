//! The alignment of two texts: as many exact matches as possible, in as few chunks as possible, by a beam
//! search over the words of the reference.
//!
//! Two peculiarities of METEOR 1.5 are kept, since scores depend on them: the search gives a stemmed match no
//! weight, and the distance of an alternative is added to those that are tried after it.

/// States that each step of the search looks at.
const BEAM: usize = 40;

/// An exact match.
const EXACT: usize = 0;
/// A match of the stems of two different words.
const STEM: usize = 1;

/// A text as the alignment needs it.
pub(super) struct Text {
    pub(super) words: Vec<String>,
    pub(super) stems: Vec<String>,
    /// Which words are function words.
    pub(super) function: Vec<bool>,
}

/// Which words match.
pub(super) struct Alignment {
    /// Index in the reference, index in the candidate, and 0 for an exact match, 1 for a stemmed one.
    pub(super) pairs: Vec<(usize, usize, usize)>,
    /// Runs of matches that are contiguous in both texts.
    pub(super) chunks: usize,
}

/// A candidate word that a reference word may match.
#[derive(Clone, Copy)]
struct Match {
    to: usize,
    kind: usize,
}

/// An alignment of the first words of the reference.
#[derive(Clone)]
struct State {
    matches: Vec<Option<Match>>,
    /// Words of the candidate that are matched.
    used: Vec<bool>,
    exact: usize,
    chunks: usize,
    /// The candidate word behind the last match, where that match was at the word before.
    next: Option<usize>,
    distance: usize,
}

/// Aligns `candidate` with `reference`.
pub(super) fn align(candidate: &Text, reference: &Text) -> Alignment {
    let options = options(candidate, reference);
    let mut start = State {
        matches: vec![None; reference.words.len()],
        used: vec![false; candidate.words.len()],
        exact: 0,
        chunks: 0,
        next: None,
        distance: 0,
    };
    let mut coverage = vec![0; candidate.words.len()];
    options.iter().flatten().for_each(|option| coverage[option.to] += 1);
    let fixed: Vec<Option<Match>> = options
        .iter()
        .map(|options| match options[..] {
            [only] if coverage[only.to] == 1 => Some(only),
            _ => None,
        })
        .collect();
    fixed.iter().flatten().for_each(|m| start.used[m.to] = true);
    let mut states = vec![start];
    for (at, options) in options.iter().enumerate() {
        sort(&mut states);
        states.truncate(BEAM);
        let mut next = Vec::new();
        for mut state in states {
            if let Some(m) = fixed[at] {
                state.take(at, m);
                state.distance += at.abs_diff(m.to);
                next.push(state);
                continue;
            }
            for m in options {
                if !state.used[m.to] {
                    let mut other = state.clone();
                    other.used[m.to] = true;
                    other.take(at, *m);
                    next.push(other);
                    state.distance += at.abs_diff(m.to);
                }
            }
            state.close();
            next.push(state);
        }
        states = next;
    }
    sort(&mut states);
    states.truncate(BEAM);
    states.iter_mut().for_each(State::close);
    sort(&mut states);
    states.into_iter().next().map_or(Alignment { pairs: Vec::new(), chunks: 0 }, |best| {
        let pairs = best.matches.iter().enumerate();
        let pairs = pairs.filter_map(|(at, m)| m.map(|m| (at, m.to, m.kind))).collect();
        Alignment { pairs, chunks: best.chunks }
    })
}

/// The possible matches of each word of the reference.
fn options(candidate: &Text, reference: &Text) -> Vec<Vec<Match>> {
    let same = candidate.words == reference.words;
    let of = |at: usize| {
        let (word, stem) = (&reference.words[at], &reference.stems[at]);
        let equal = candidate.words.iter().map(move |w| w == word).enumerate();
        let exact = equal.clone().filter(|(_, e)| *e).map(|(to, _)| Match { to, kind: EXACT });
        let stemmed = equal.filter(|(to, e)| !same && !e && candidate.stems[*to] == *stem);
        exact.chain(stemmed.map(|(to, _)| Match { to, kind: STEM })).collect()
    };
    (0..reference.words.len()).map(of).collect()
}

/// More exact matches first, then fewer chunks, then a shorter distance.
fn sort(states: &mut [State]) {
    states.sort_by_key(|s| (std::cmp::Reverse(s.exact), s.chunks, s.distance));
}

impl State {
    fn take(&mut self, at: usize, m: Match) {
        self.matches[at] = Some(m);
        self.exact += usize::from(m.kind == EXACT);
        if self.next.is_some_and(|next| next != m.to) {
            self.chunks += 1;
        }
        self.next = Some(m.to + 1);
    }

    /// Ends the current chunk.
    fn close(&mut self) {
        if self.next.take().is_some() {
            self.chunks += 1;
        }
    }
}

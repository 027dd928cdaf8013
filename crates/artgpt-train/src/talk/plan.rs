//! The order in which conversations train: passes over all of them without replacement, in groups that
//! become the views of a picture.
//!
//! A pass depends on seed, stage and pass number alone, so that a resumed run continues alike.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::labels::LabelRule;
use crate::data::conversations::Dialogue;
use crate::task::rng;

/// Most rounds of a conversation that is joined of single ones.
const MOST_JOINED: usize = 4;

/// The conversations of one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The picture, as the data counts them.
    pub picture: usize,
    /// The second picture of its only conversation.
    pub second: Option<usize>,
    /// Each conversation: one, or several of one round that are joined.
    pub talks: Vec<Vec<usize>>,
}

/// How passes are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Order {
    pub seed: u64,
    /// The stage.
    pub stage: usize,
    /// Conversations of a view, on average; a view has at least one.
    pub per_view: f64,
    /// Probability that a conversation of one round goes on with others.
    pub join: f64,
}

impl Order {
    fn rng(&self, pass: u64) -> ChaCha8Rng {
        rng(self.seed, &format!("conversations {}", self.stage), pass)
    }

    /// The groups of a pass over the conversations `chosen` of `all`, in their order.
    pub(super) fn pass(&self, all: &[Dialogue], chosen: &[usize], pass: u64) -> Vec<Group> {
        let mut rng = self.rng(pass);
        let mut groups = Vec::new();
        for ((picture, second, _), mut mine) in by_unit(all, chosen) {
            mine.shuffle(&mut rng);
            let talks = match second {
                Some(_) => mine.into_iter().map(|at| vec![at]).collect(),
                None => self.joined(all, mine, &mut rng),
            };
            let size = if second.is_some() { 1.0 } else { self.per_view.max(1.0) };
            groups.extend(parts(talks, size).map(|talks| Group { picture, second, talks }));
        }
        groups.shuffle(&mut rng);
        groups
    }

    /// Joins some of the conversations of one round about a picture.
    fn joined(
        &self,
        all: &[Dialogue],
        mut left: Vec<usize>,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Vec<usize>> {
        let mut out = Vec::new();
        while let Some(first) = left.pop() {
            let mut talk = vec![first];
            // Drawn for each, so that a long conversation does not shift what follows.
            let joins = rng.random_bool(self.join);
            let most = rng.random_range(2..=MOST_JOINED);
            if joins && all[first].rounds.len() == 1 {
                let mut rule = LabelRule::of(&all[first]);
                while talk.len() < most
                    && let Some((at, both)) = left.iter().enumerate().rev().find_map(|(i, at)| {
                        let single = all[*at].rounds.len() == 1;
                        let both = rule.with(LabelRule::of(&all[*at])).filter(|_| single)?;
                        Some((i, both))
                    })
                {
                    rule = both;
                    talk.push(left.remove(at));
                }
            }
            out.push(talk);
        }
        out
    }
}

/// What conversations of one view must have in common: the first picture, the second one, and the
/// system prompt.
type Unit<'a> = (usize, Option<usize>, Option<&'a str>);

fn by_unit<'a>(all: &'a [Dialogue], chosen: &[usize]) -> BTreeMap<Unit<'a>, Vec<usize>> {
    let mut units: BTreeMap<Unit, Vec<usize>> = BTreeMap::new();
    for &at in chosen {
        let dialogue = &all[at];
        let Some(picture) = dialogue.pictures.first() else { continue };
        let unit = (*picture, dialogue.pictures.get(1).copied(), dialogue.system.as_deref());
        units.entry(unit).or_default().push(at);
    }
    units
}

/// Parts of about `size`, as even as possible.
fn parts<T>(all: Vec<T>, size: f64) -> impl Iterator<Item = Vec<T>> {
    let count = ((all.len() as f64 / size).round() as usize).clamp(1, all.len().max(1));
    let (least, more) = (all.len() / count, all.len() % count);
    let mut rest = all.into_iter();
    (0..count).map(move |i| rest.by_ref().take(least + usize::from(i < more)).collect())
}

/// Validation: all `chosen` conversations, not joined, in the order of the data.
pub(super) fn fixed(all: &[Dialogue], chosen: &[usize], per_view: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    for ((picture, second, _), mine) in by_unit(all, chosen) {
        let size = if second.is_some() { 1 } else { per_view.max(1) };
        groups.extend(mine.chunks(size).map(|part| {
            let talks = part.iter().map(|at| vec![*at]).collect();
            Group { picture, second, talks }
        }));
    }
    groups
}

/// Finds view `n` of a stage: the passes before it are counted once.
#[derive(Debug)]
pub(super) struct Passes {
    order: Order,
    /// The first view of each pass that was counted, and of the one after it; with it the conversations
    /// before that view.
    starts: Vec<(u64, u64)>,
    /// The pass that is in memory: each group, with the conversations of the pass before it.
    held: Option<(u64, Vec<(u64, Group)>)>,
    /// The pass over the conversations without a picture that is in memory.
    texts: Option<(u64, Vec<usize>)>,
}

impl Passes {
    pub(super) fn new(order: Order) -> Self {
        Self { order, starts: vec![(0, 0)], held: None, texts: None }
    }

    /// The group of view `n`, and the numbers of its conversations in the stage; `None` if there are no
    /// conversations.
    pub(super) fn at(
        &mut self,
        all: &[Dialogue],
        chosen: &[usize],
        n: u64,
    ) -> Option<(Group, Range<u64>)> {
        let pass = self.pass_of(all, chosen, n)?;
        if self.held.as_ref().is_none_or(|(held, _)| *held != pass) {
            self.hold(all, chosen, pass);
        }
        let (first, talks) = self.starts.get(pass as usize)?;
        let (before, group) = self.held.as_ref()?.1.get((n - first) as usize)?;
        let start = talks + before;
        Some((group.clone(), start..start + group.talks.len() as u64))
    }

    /// Keeps a pass in memory; returns its views and its conversations.
    fn hold(&mut self, all: &[Dialogue], chosen: &[usize], pass: u64) -> (u64, u64) {
        let mut talks = 0;
        let groups: Vec<(u64, Group)> = self
            .order
            .pass(all, chosen, pass)
            .into_iter()
            .map(|group| {
                let before = talks;
                talks += group.talks.len() as u64;
                (before, group)
            })
            .collect();
        let views = groups.len() as u64;
        self.held = Some((pass, groups));
        (views, talks)
    }

    /// The conversation without a picture that is number `k` of the stage: shuffled passes over `count`.
    pub(super) fn text(&mut self, count: usize, k: u64) -> Option<usize> {
        let count = (count as u64).max(1);
        let pass = k / count;
        if self.texts.as_ref().is_none_or(|(held, _)| *held != pass) {
            let mut all: Vec<usize> = (0..count as usize).collect();
            all.shuffle(&mut rng(self.order.seed, &format!("texts {}", self.order.stage), pass));
            self.texts = Some((pass, all));
        }
        self.texts.as_ref()?.1.get((k % count) as usize).copied()
    }

    /// Passes after `n` views.
    pub(super) fn passes(&mut self, all: &[Dialogue], chosen: &[usize], n: u64) -> f64 {
        let Some(pass) = self.pass_of(all, chosen, n) else { return 0.0 };
        let (start, next) = (self.starts[pass as usize].0, self.starts[pass as usize + 1].0);
        pass as f64 + (n - start) as f64 / (next - start).max(1) as f64
    }

    fn pass_of(&mut self, all: &[Dialogue], chosen: &[usize], n: u64) -> Option<u64> {
        while let Some((view, talk)) = self.starts.last().copied()
            && view <= n
        {
            let (views, talks) = self.hold(all, chosen, self.starts.len() as u64 - 1);
            if views == 0 {
                return None;
            }
            self.starts.push((view + views, talk + talks));
        }
        Some(self.starts.partition_point(|(start, _)| *start <= n) as u64 - 1)
    }
}

/// The numbers of what comes with these conversations of a stage, if `each` comes with one.
pub(super) fn share_of(each: f64, talks: &Range<u64>) -> Range<u64> {
    let before = |talks: u64| (talks as f64 * each).floor() as u64;
    before(talks.start)..before(talks.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::conversations::Round;
    use std::collections::HashSet;

    /// Conversations about `pictures` pictures, 20 each: 19 of one round, and one of three.
    fn dialogues(pictures: usize) -> Vec<Dialogue> {
        let kinds = ["mood", "no-label", "artist", "colour", "subject"];
        (0..pictures * 20)
            .map(|i| Dialogue {
                place: i.to_string(),
                pictures: vec![i / 20],
                second_at: 0,
                kind: Some(kinds[i % 5].into()),
                system: None,
                rounds: vec![
                    Round { asked: "q".into(), said: "a".into() };
                    if i % 20 == 7 { 3 } else { 1 }
                ],
            })
            .collect()
    }

    fn order(join: f64) -> Order {
        Order { seed: 7, stage: 0, per_view: 4.0, join }
    }

    #[test]
    fn a_pass_shows_every_conversation_once_in_another_order_each_time() {
        let all = dialogues(12);
        // Three pictures do not train.
        let chosen: Vec<usize> = (0..180).collect();
        let mut passes = Passes::new(order(0.5));
        let mut seen: Vec<Vec<usize>> = vec![Vec::new(); 3];
        let (mut first_views, mut talks) = (vec![0], 0);
        for n in 0..10_000 {
            let before = passes.passes(&all, &chosen, n);
            let (group, numbers) = passes.at(&all, &chosen, n).expect("a group");
            assert_eq!(numbers, talks..talks + group.talks.len() as u64);
            let pass = before.floor() as usize;
            if pass == 3 {
                break;
            }
            talks = numbers.end;
            if pass == first_views.len() {
                first_views.push(n);
            }
            assert!(group.talks.iter().flatten().all(|at| at / 20 == group.picture));
            seen[pass].extend(group.talks.concat());
        }
        for pass in &seen {
            assert_eq!(pass.iter().copied().collect::<HashSet<_>>().len(), 180);
            assert_eq!(pass.len(), 180);
        }
        assert_ne!(seen[0], seen[1]);
        // A resumed run begins in the middle; one that goes back asks again.
        let mut other = Passes::new(order(0.5));
        for n in [first_views[2] + 3, 1, first_views[1]] {
            assert_eq!(other.at(&all, &chosen, n), passes.at(&all, &chosen, n), "view {n}");
        }
    }

    #[test]
    fn joined_conversations_have_up_to_four_rounds_and_agree_about_the_label() {
        let all = dialogues(9);
        let chosen: Vec<usize> = (0..all.len()).collect();
        let (mut joined, mut longest) = (0, 0);
        for pass in 0..4 {
            for group in order(0.5).pass(&all, &chosen, pass) {
                for talk in group.talks {
                    longest = longest.max(talk.len());
                    let kinds: Vec<_> =
                        talk.iter().filter_map(|at| all[*at].kind.as_deref()).collect();
                    let both = kinds.contains(&"no-label")
                        && (kinds.contains(&"artist") || kinds.contains(&"subject"));
                    assert!(!both, "{kinds:?}");
                    if talk.len() > 1 {
                        joined += talk.len();
                        assert!(talk.iter().all(|at| all[*at].rounds.len() == 1));
                    }
                }
            }
        }
        assert_eq!(longest, 4);
        // Of 720, more than half are in conversations of several rounds, since joining takes others in.
        assert!((400..660).contains(&joined), "{joined}");
        let alone = order(0.0).pass(&all, &chosen, 0);
        assert!(alone.iter().flat_map(|g| &g.talks).all(|talk| talk.len() == 1));
    }

    #[test]
    fn two_pictures_and_another_system_prompt_have_separate_views() {
        let mut all = dialogues(2);
        all[3].pictures = vec![0, 1];
        all[4].system = Some("Be brief.".into());
        let chosen: Vec<usize> = (0..40).collect();
        let groups = order(0.5).pass(&all, &chosen, 0);
        let of = |at: usize| {
            let found = groups.iter().find(|g| g.talks.iter().flatten().any(|x| *x == at));
            found.expect("is there").clone()
        };
        assert_eq!(of(3), Group { picture: 0, second: Some(1), talks: vec![vec![3]] });
        assert_eq!(of(4).talks, [[4]]);
        assert_eq!(fixed(&all, &chosen, 8).iter().map(|g| g.talks.len()).sum::<usize>(), 40);
    }

    #[test]
    fn shares_come_out_even_and_texts_are_not_repeated_within_a_pass() {
        let counts: Vec<usize> = (0..10).map(|n| share_of(1.6, &(n..n + 1)).count()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 16);
        assert!(counts.iter().all(|c| (1..=2).contains(c)), "{counts:?}");
        // Views of one conversation and of many.
        assert_eq!(
            share_of(0.5, &(3..8)).chain(share_of(0.5, &(8..9))).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        let mut passes = Passes::new(order(0.5));
        let mut pass = |first: u64| -> Vec<usize> {
            (first..first + 9).filter_map(|k| passes.text(9, k)).collect()
        };
        assert_eq!(pass(0).iter().collect::<HashSet<_>>().len(), 9);
        assert_eq!(pass(9).iter().collect::<HashSet<_>>().len(), 9);
        assert_ne!(pass(0), pass(9));
    }
}

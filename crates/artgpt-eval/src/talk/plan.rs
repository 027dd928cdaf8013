//! What an evaluation asks: which paintings, which wrong picture, which conversations.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use image::RgbImage;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::corpus::{Conversation, Corpus};
use crate::Shown;
use artgpt_art::{FormalFeatures, Label, Objects, Painting, Paintings, View, measured_view};

/// Seed of the wrong pictures and of the choice of conversations.
const SEED: u64 = 7;
/// The kind of question that is asked as if there were no label.
const NO_LABEL: &str = "no-label";

/// The extent of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Max number of paintings.
    pub paintings: Option<usize>,
    /// Max number of conversations about each painting.
    pub conversations: Option<usize>,
    /// Generate answers.
    pub answers: bool,
    /// Compute log-probabilities of reference answers.
    pub logprobs: bool,
}

/// Why nothing can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The file has no conversation about a painting of the museum.
    #[error("no conversation is about a painting of the museum")]
    NoConversation,
    /// There is no other painting to show as the wrong one.
    #[error("the museum has no second painting to show as the wrong one")]
    NoOther,
}

/// The conversations about one painting, and what they are asked with.
pub struct Task<'a> {
    /// The painting.
    pub painting: &'a Painting,
    /// What is asked, in the order of the file.
    pub conversations: Vec<&'a Conversation>,
    /// The reference answers of questions of one round, by kind; also of those that are not asked.
    /// Questions without a kind have only their own.
    references: BTreeMap<&'a str, Vec<&'a str>>,
    pub(super) features: FormalFeatures,
    pub(super) right: Shown,
    pub(super) wrong: Shown,
    pub(super) right_facts: String,
    pub(super) wrong_facts: String,
    wrong_painting: &'a Painting,
    label: String,
}

/// An evaluation before it begins.
pub struct Plan<'a> {
    /// By painting, ordered by ID.
    pub tasks: Vec<Task<'a>>,
    /// Its extent.
    pub extent: Extent,
}

impl<'a> Plan<'a> {
    /// Chooses what is asked. A smaller extent asks a part of what a larger one asks.
    ///
    /// # Errors
    /// A [`PlanError`] if nothing can be asked.
    pub fn new(
        museum: &'a Paintings,
        corpus: &'a Corpus,
        extent: Extent,
    ) -> Result<Self, PlanError> {
        let mut by_painting: BTreeMap<u64, Vec<&Conversation>> = BTreeMap::new();
        for conversation in &corpus.conversations {
            by_painting.entry(conversation.painting).or_default().push(conversation);
        }
        let all: Vec<(&Painting, Vec<&Conversation>)> = by_painting
            .into_iter()
            .filter_map(|(id, conversations)| Some((museum.get(id)?, conversations)))
            .collect();
        if all.is_empty() {
            return Err(PlanError::NoConversation);
        }
        let wrong = wrong_pictures(museum, &all)?;
        let limit = extent.paintings.unwrap_or(usize::MAX);
        let tasks = all.into_iter().zip(wrong).take(limit);
        let tasks = tasks
            .map(|((painting, conversations), wrong)| {
                Task::new(painting, wrong, conversations, extent.conversations)
            })
            .collect();
        Ok(Self { tasks, extent })
    }

    /// Adds to the facts what a detector finds in the pictures.
    ///
    /// # Errors
    /// Those of `find`.
    pub fn name_objects<E>(
        &mut self,
        mut find: impl FnMut(&RgbImage) -> Result<Objects, E>,
    ) -> Result<(), E> {
        let mut known: BTreeMap<u64, Objects> = BTreeMap::new();
        for task in &mut self.tasks {
            for painting in [task.painting, task.wrong_painting] {
                if let Entry::Vacant(entry) = known.entry(painting.id) {
                    entry.insert(find(&painting.image)?);
                }
            }
            let of = |painting: &Painting| known.get(&painting.id);
            task.right_facts = measured_view(&task.right.view, of(task.painting));
            task.wrong_facts = measured_view(&task.wrong.view, of(task.wrong_painting));
        }
        Ok(())
    }

    /// Questions that are asked in each cell.
    pub fn rounds(&self) -> usize {
        let conversations = self.tasks.iter().flat_map(|task| &task.conversations);
        conversations.map(|conversation| conversation.rounds.len()).sum()
    }
}

/// For each painting another one: of those that are asked about, or of the museum if there is only one.
fn wrong_pictures<'a>(
    museum: &'a Paintings,
    all: &[(&'a Painting, Vec<&Conversation>)],
) -> Result<Vec<&'a Painting>, PlanError> {
    if let [(only, _)] = all {
        let other = museum.all.iter().find(|other| other.id != only.id);
        return Ok(vec![other.ok_or(PlanError::NoOther)?]);
    }
    let others = crate::others(all.len(), &mut ChaCha8Rng::seed_from_u64(SEED));
    Ok(others.into_iter().map(|i| all[i].0).collect())
}

impl<'a> Task<'a> {
    fn new(
        painting: &'a Painting,
        wrong_painting: &'a Painting,
        all: Vec<&'a Conversation>,
        limit: Option<usize>,
    ) -> Self {
        let mut references: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for conversation in &all {
            if let ([round], true) = (&conversation.rounds[..], conversation.pooled) {
                references.entry(&conversation.kind).or_default().push(&round.reference);
            }
        }
        let mut chosen = all;
        chosen.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED ^ painting.id));
        chosen.truncate(limit.unwrap_or(usize::MAX));
        chosen.sort_by_key(|conversation| conversation.line);
        let (right, wrong) = (shown(painting), shown(wrong_painting));
        let features = FormalFeatures::measure(&right.view);
        Self {
            painting,
            conversations: chosen,
            references,
            right_facts: measured_view(&right.view, None),
            wrong_facts: measured_view(&wrong.view, None),
            wrong_painting,
            features,
            right,
            wrong,
            label: Label::as_prompt(Some(&painting.label)),
        }
    }

    /// The references that the answer to a question of one round is compared with.
    pub(super) fn references(&self, asked: &'a Conversation) -> Vec<&'a str> {
        match self.references.get(asked.kind.as_str()) {
            Some(pool) if asked.pooled => pool.clone(),
            _ => asked.rounds.iter().map(|round| round.reference.as_str()).collect(),
        }
    }

    /// The label for a kind of question. Some are asked as if there were none.
    pub(super) fn label(&self, kind: &str) -> String {
        if kind == NO_LABEL { Label::as_prompt(None) } else { self.label.clone() }
    }
}

fn shown(painting: &Painting) -> Shown {
    Shown { key: format!("painting {}", painting.id), view: View::whole(&painting.image) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talk::Round;
    use image::RgbImage;

    fn museum(count: u64) -> Paintings {
        let painting = |id| Painting {
            id,
            image: RgbImage::new(8, 8),
            label: Label::default(),
            tags: vec![],
            kind: None,
        };
        Paintings { all: (1..=count).map(painting).collect() }
    }

    fn corpus(paintings: u64, conversations: usize) -> Corpus {
        let one = |painting: u64, i: usize| Conversation {
            line: painting as usize * 100 + i,
            painting,
            kind: "mood".into(),
            pooled: true,
            rounds: vec![Round { question: "Why?".into(), reference: format!("So {i}.") }],
        };
        let all = (1..=paintings).flat_map(|p| (0..conversations).map(move |i| one(p, i)));
        Corpus { conversations: all.collect(), ..Corpus::default() }
    }

    fn asked(extent: Extent) -> Vec<(u64, String, Vec<usize>)> {
        let (museum, corpus) = (museum(5), corpus(4, 6));
        let plan = Plan::new(&museum, &corpus, extent).expect("is a plan");
        let lines = |t: &Task| t.conversations.iter().map(|c| c.line).collect();
        plan.tasks.iter().map(|t| (t.painting.id, t.wrong.key.clone(), lines(t))).collect()
    }

    const ALL: Extent =
        Extent { paintings: None, conversations: None, answers: true, logprobs: true };

    #[test]
    fn a_smaller_extent_asks_a_part_of_a_larger_one() {
        let all = asked(ALL);
        assert_eq!(all.iter().map(|(_, _, lines)| lines.len()).collect::<Vec<_>>(), [6; 4]);
        let four = asked(Extent { conversations: Some(4), ..ALL });
        let two = asked(Extent { conversations: Some(2), paintings: Some(3), ..ALL });
        assert_eq!(two.len(), 3);
        for (i, (id, wrong, lines)) in two.iter().enumerate() {
            assert_eq!((id, wrong), (&all[i].0, &all[i].1), "the wrong picture is fixed");
            assert!(lines.len() == 2 && lines.iter().all(|line| four[i].2.contains(line)));
        }
        // Not the same kinds for each painting.
        let offsets = |lines: &[usize]| lines.iter().map(|l| l % 100).collect::<Vec<_>>();
        assert!(four.iter().any(|(_, _, lines)| offsets(lines) != offsets(&four[0].2)));
    }

    #[test]
    fn facts_are_the_line_that_prompts_hold() {
        let mut museum = museum(2);
        let gradient = |x: u32, y: u32| image::Rgb([x as u8, y as u8, 40]);
        museum.all[0].image = RgbImage::from_fn(250, 130, gradient);
        let corpus = corpus(2, 1);
        let plan = Plan::new(&museum, &corpus, ALL).expect("is a plan");
        for task in &plan.tasks {
            let other = museum.all.iter().find(|other| other.id != task.painting.id);
            let [right, wrong] = [task.painting, other.expect("has another")]
                .map(|painting| artgpt_art::measured_line(&painting.image, None));
            assert_eq!((&task.right_facts, &task.wrong_facts), (&right, &wrong));
        }
    }

    #[test]
    fn facts_name_what_a_detector_finds_in_each_picture_once() {
        let museum = museum(2);
        let corpus = corpus(2, 1);
        let mut plan = Plan::new(&museum, &corpus, ALL).expect("is a plan");
        let mut looked = 0;
        let find = |_: &RgbImage| -> Result<Objects, PlanError> {
            looked += 1;
            let edges = [0.1, 0.2, 0.2, 0.3];
            let dog = artgpt_art::Found { name: "dog".into(), score: 0.9, edges: Some(edges) };
            Ok(Objects(vec![dog; looked - 1]))
        };
        plan.name_objects(find).expect("finds");
        assert_eq!(looked, 2);
        let (first, second) = ("; no person found", "; no person found; dog, left");
        for (task, (right, wrong)) in plan.tasks.iter().zip([(first, second), (second, first)]) {
            assert!(task.right_facts.ends_with(right), "{}", task.right_facts);
            assert!(task.wrong_facts.ends_with(wrong), "{}", task.wrong_facts);
        }
        let fails = plan.name_objects(|_| Err(PlanError::NoOther));
        assert_eq!(fails, Err(PlanError::NoOther));
    }

    #[test]
    fn only_questions_that_name_their_kind_share_references() {
        let museum = museum(2);
        let mut corpus = corpus(1, 4);
        for (i, conversation) in corpus.conversations.iter_mut().enumerate().skip(2) {
            conversation.pooled = false;
            conversation.kind = ["mood", "other"][i % 2].into();
        }
        let plan = Plan::new(&museum, &corpus, ALL).expect("is a plan");
        let of = |i: usize| plan.tasks[0].references(&corpus.conversations[i]);
        assert_eq!((of(0), of(1)), (vec!["So 0.", "So 1."], vec!["So 0.", "So 1."]));
        assert_eq!((of(2), of(3)), (vec!["So 2."], vec!["So 3."]));
    }

    #[test]
    fn no_painting_is_its_own_wrong_one() {
        for (id, wrong, _) in asked(ALL) {
            assert_ne!(wrong, format!("painting {id}"));
        }
        let one = corpus(1, 1);
        let museums = [museum(1), museum(2)];
        assert_eq!(Plan::new(&museums[0], &one, ALL).err(), Some(PlanError::NoOther));
        let plan = Plan::new(&museums[1], &one, ALL).expect("has another");
        assert_eq!(plan.tasks[0].wrong.key, "painting 2");
        let empty = Corpus::default();
        assert_eq!(Plan::new(&museums[0], &empty, ALL).err(), Some(PlanError::NoConversation));
    }
}

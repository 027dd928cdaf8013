//! The answers compared with the references: nine cells of metrics, and what they say together.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::ask::{Line, Results};
use super::claims::contradicts;
use super::corpus::Conversation;
use super::facts;
use super::plan::{Plan, Task};
use super::repeats::Said;
use super::statistics::{Counts, Share, difference, intervals};
use super::words::{ContentWords, words};
use super::{Cell, Condition, Given};
use crate::Interval;
use crate::caption::{BleuCounts, Cider, Item, Meteor, rouge_l, tokens};

/// The kind of question whose answers speak of other works too, so that no claim in them is judged.
const COMPARISON: &str = "comparison";
/// Why a question is left out of all cells.
const TOO_LONG: &str = "the prompt does not fit into the model's context window";

/// Metrics by name.
pub type CellMetrics = BTreeMap<&'static str, Interval>;

/// Figures by condition, then by what is given.
type ByCell<T> = BTreeMap<&'static str, BTreeMap<&'static str, T>>;

/// The results of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// Number of paintings.
    pub paintings: usize,
    /// Questions that count in each cell, each round for itself.
    pub questions: usize,
    /// Of these, questions of one round, which are compared with references.
    pub single_questions: usize,
    /// Metrics by condition and what is given.
    pub conditions: ByCell<CellMetrics>,
    /// Right minus wrong, by what is given and metric.
    pub differences: BTreeMap<&'static str, CellMetrics>,
    /// Mean words of an answer, by condition, what is given, and kind of question.
    pub lengths: ByCell<BTreeMap<String, f64>>,
    /// Mean words of a reference answer, by kind of question.
    pub reference_lengths: BTreeMap<String, f64>,
    /// Lines of the data and questions that were not used, by reason.
    pub skipped: BTreeMap<&'static str, usize>,
}

/// What all cells share.
struct Tools<'a> {
    results: &'a Results,
    meteor: Meteor,
    content: ContentWords,
    /// The references of the plan as items, by line of the conversation.
    items: &'a HashMap<usize, Item>,
    cider: Cider<'a>,
}

impl Report {
    /// Compares what is known of a plan, and leaves out what its extent does not ask for.
    pub fn new(model: &str, plan: &Plan, lines: &[Line]) -> Self {
        let mut results = Results::of(lines);
        if !plan.extent.answers {
            results.answers.clear();
        }
        if !plan.extent.logprobs {
            results.scores.clear();
        }
        let items: HashMap<usize, Item> = single(plan)
            .filter(|(_, asked)| results.counts(asked.line, 0))
            .map(|(task, asked)| (asked.line, Item::new("", &task.references(asked))))
            .collect();
        let mut tools = Tools {
            results: &results,
            meteor: Meteor::default(),
            content: ContentWords::default(),
            items: &items,
            cider: Cider::of(items.values()),
        };
        let counts: BTreeMap<Cell, Vec<Counts>> =
            Cell::all().map(|cell| (cell, tools.cell(plan, cell))).collect();
        let mut conditions = ByCell::new();
        let mut lengths = ByCell::new();
        for (cell, counts) in &counts {
            let (condition, given) = (cell.condition.name(), cell.given.name());
            let metrics: CellMetrics = intervals(counts).into_iter().collect();
            if !metrics.is_empty() {
                conditions.entry(condition).or_insert_with(BTreeMap::new).insert(given, metrics);
            }
            let of_cell = tools.lengths(plan, *cell);
            if !of_cell.is_empty() {
                lengths.entry(condition).or_insert_with(BTreeMap::new).insert(given, of_cell);
            }
        }
        let conversations = || plan.tasks.iter().flat_map(|task| &task.conversations);
        let questions = conversations().map(|asked| results.counted(asked)).sum();
        let references = conversations().flat_map(|asked| {
            let counted = &asked.rounds[..results.counted(asked)];
            counted.iter().map(|round| (asked.kind.as_str(), round.reference.as_str()))
        });
        let left_out = plan.rounds() - questions;
        Self {
            model: model.into(),
            paintings: plan.tasks.len(),
            questions,
            single_questions: items.len(),
            conditions,
            differences: differences(&counts),
            lengths,
            reference_lengths: mean_lengths(references),
            skipped: (left_out > 0).then_some((TOO_LONG, left_out)).into_iter().collect(),
        }
    }
}

/// The conversations of one round.
fn single<'a>(plan: &'a Plan) -> impl Iterator<Item = (&'a Task<'a>, &'a Conversation)> {
    plan.tasks.iter().flat_map(|task| {
        let single = task.conversations.iter().filter(|asked| asked.rounds.len() == 1);
        single.map(move |asked| (task, *asked))
    })
}

fn differences(counts: &BTreeMap<Cell, Vec<Counts>>) -> BTreeMap<&'static str, CellMetrics> {
    let of = |given: Given| {
        let cell = |condition| counts.get(&Cell { condition, given });
        let (Some(right), Some(wrong)) = (cell(Condition::Right), cell(Condition::Wrong)) else {
            return (given.name(), CellMetrics::new());
        };
        let logprob = difference(right, wrong, |c| c.logprob);
        let content = difference(right, wrong, |c| c.content);
        let metrics = [("logprob", logprob), ("content-words", content)];
        let known = metrics.into_iter().filter_map(|(name, d)| Some((name, d?)));
        (given.name(), known.collect())
    };
    Given::ALL.map(of).into_iter().filter(|(_, metrics)| !metrics.is_empty()).collect()
}

fn mean_lengths<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, f64> {
    let mut lengths: BTreeMap<String, Share> = BTreeMap::new();
    for (kind, text) in texts {
        let length = lengths.entry(kind.to_string()).or_default();
        length.part += words(text).len() as f64;
        length.whole += 1.0;
    }
    lengths.into_iter().map(|(kind, length)| (kind, length.value())).collect()
}

impl Tools<'_> {
    /// The counts of each painting.
    fn cell(&mut self, plan: &Plan, cell: Cell) -> Vec<Counts> {
        let mut vocabulary = HashMap::new();
        plan.tasks.iter().map(|task| self.painting(task, cell, &mut vocabulary)).collect()
    }

    fn painting(
        &mut self,
        task: &Task,
        cell: Cell,
        vocabulary: &mut HashMap<[String; 2], usize>,
    ) -> Counts {
        let (mut counts, mut said) = (Counts::default(), Said::default());
        let asked = cell.asked();
        for conversation in &task.conversations {
            let counted = self.results.counted(conversation);
            for (i, round) in conversation.rounds.iter().enumerate().take(counted) {
                let key = (conversation.line, i, asked);
                if let Some(scored) = self.results.scores.get(&key) {
                    counts.logprob.part += scored.logprob;
                    counts.logprob.whole += scored.tokens as f64;
                }
                let Some(answered) = self.results.answers.get(&key) else { continue };
                let answer = answered.answer.as_str();
                counts.repeats.count(said.repeats(&round.question, answer));
                if conversation.kind != COMPARISON {
                    let wrong = contradicts(&task.features, &round.question, answer);
                    counts.contradictions.count(wrong);
                }
                let words = tokens(answer);
                for pair in words.windows(2) {
                    let next = vocabulary.len();
                    let pair = [pair[0].clone(), pair[1].clone()];
                    counts.bigrams.push(*vocabulary.entry(pair).or_insert(next));
                }
                if conversation.rounds.len() == 1 {
                    self.compare(&mut counts, task, conversation, answer, words);
                }
            }
        }
        counts
    }

    /// Compares the answer to a question of one round with its references.
    fn compare(
        &self,
        counts: &mut Counts,
        task: &Task,
        asked: &Conversation,
        answer: &str,
        candidate: Vec<String>,
    ) {
        let Some(known) = self.items.get(&asked.line) else { return };
        let item = Item { candidate, references: known.references.clone() };
        counts.bleu.add(&BleuCounts::of(&item));
        counts.meteor.add(&self.meteor.counts(&item));
        for (sum, score) in
            [(&mut counts.rouge, rouge_l(&item)), (&mut counts.cider, self.cider.score(&item))]
        {
            sum.part += score;
            sum.whole += 1.0;
        }
        let reference = asked.rounds.first().map_or("", |round| round.reference.as_str());
        let said = self.content.stems(answer);
        for word in self.content.stems(reference) {
            counts.content.count(said.binary_search(&word).is_ok());
        }
        if facts::KINDS.contains(&asked.kind.as_str()) {
            let label = &task.painting.label;
            let (stated, right) = facts::stated(label, reference, answer, &self.content);
            counts.facts.part += right as f64;
            counts.facts.whole += stated as f64;
        }
    }

    fn lengths(&self, plan: &Plan, cell: Cell) -> BTreeMap<String, f64> {
        let cell = cell.asked();
        let all = plan.tasks.iter().flat_map(|task| &task.conversations);
        let answers = all.flat_map(|asked| {
            (0..self.results.counted(asked)).filter_map(|i| {
                let answered = self.results.answers.get(&(asked.line, i, cell))?;
                Some((asked.kind.as_str(), answered.answer.as_str()))
            })
        });
        mean_lengths(answers)
    }
}

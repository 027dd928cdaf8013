//! Asks a model everything that a plan holds. What is known already is not asked again.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::corpus::Conversation;
use super::plan::{Plan, Task};
use super::prompt::{Material, Talker};
use super::{Cell, Condition, Given};

/// An answer of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The painting.
    pub painting: u64,
    /// The line of the conversation in its file.
    pub line: usize,
    /// The round in it, from 0.
    pub round: usize,
    /// The kind of question.
    pub kind: String,
    /// Picture, and what is given of it.
    #[serde(flatten)]
    pub cell: Cell,
    /// The question.
    pub question: String,
    /// The reference answer.
    pub reference: String,
    /// The model's answer.
    pub answer: String,
}

/// The log-probability of a reference answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The painting.
    pub painting: u64,
    /// The line of the conversation in its file.
    pub line: usize,
    /// The round in it, from 0.
    pub round: usize,
    /// Picture, and what is given of it.
    #[serde(flatten)]
    pub cell: Cell,
    /// The natural logarithm, summed over the tokens.
    pub logprob: f64,
    /// Tokens of the reference answer.
    pub tokens: usize,
}

/// A question whose prompt does not fit into the model's context window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The painting.
    pub painting: u64,
    /// The line of the conversation in its file.
    pub line: usize,
    /// The round in it, from 0. Later rounds are left out with it.
    pub round: usize,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Line {
    /// An answer.
    Answer(Answered),
    /// A log-probability.
    Logprob(Scored),
    /// A question that no cell counts, so that all cells hold the same questions.
    Skipped(LeftOut),
}

/// Line, round and cell identify what is asked.
pub(super) type Key = (usize, usize, Cell);

/// Results by what is asked.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) answers: HashMap<Key, Answered>,
    pub(super) scores: HashMap<Key, Scored>,
    /// The first round of a conversation that is left out, by its line.
    left_out: BTreeMap<usize, usize>,
}

impl Results {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut results = Self::default();
        lines.iter().cloned().for_each(|line| results.insert(line));
        results
    }

    fn insert(&mut self, line: Line) {
        match line {
            Line::Answer(a) => {
                self.answers.insert((a.line, a.round, a.cell), a);
            }
            Line::Logprob(s) => {
                self.scores.insert((s.line, s.round, s.cell), s);
            }
            Line::Skipped(LeftOut { line, round, .. }) => {
                let first = self.left_out.entry(line).or_insert(round);
                *first = round.min(*first);
            }
        }
    }

    /// Whether a round counts.
    pub(super) fn counts(&self, line: usize, round: usize) -> bool {
        self.left_out.get(&line).is_none_or(|first| round < *first)
    }

    /// The rounds of a conversation that count.
    pub(super) fn counted(&self, asked: &Conversation) -> usize {
        let first = self.left_out.get(&asked.line).copied();
        asked.rounds.len().min(first.unwrap_or(usize::MAX))
    }
}

/// The cells in the order of asking: prompts with the same picture follow each other, so that a model encodes
/// it once.
const ORDER: [Cell; 8] = [
    Cell { condition: Condition::Right, given: Given::Both },
    Cell { condition: Condition::Right, given: Given::Pixels },
    Cell { condition: Condition::Wrong, given: Given::Both },
    Cell { condition: Condition::Wrong, given: Given::Pixels },
    Cell { condition: Condition::Right, given: Given::Text },
    Cell { condition: Condition::Wrong, given: Given::Text },
    Cell { condition: Condition::None, given: Given::Text },
    Cell { condition: Condition::None, given: Given::Pixels },
];

/// Asks the model. `known` are results of an earlier call; `keep` gets each new one, `progress` the number of
/// paintings done.
///
/// # Errors
/// The first error of the model or of `keep`.
pub fn ask<T: Talker, E: From<T::Error>>(
    model: &mut T,
    plan: &Plan,
    known: Vec<Line>,
    keep: impl FnMut(&Line) -> Result<(), E>,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Line>, E> {
    let results = Results::of(&known);
    let blind = HashMap::new();
    let mut asking = Asking { model, results, lines: known, keep, blind, scored: HashMap::new() };
    for (done, task) in plan.tasks.iter().enumerate() {
        progress(done);
        for cell in ORDER {
            if cell.has_pixels() && !asking.model.sees() {
                continue;
            }
            // All answers first: a log-probability empties the model's cache of the prompt.
            for conversation in task.conversations.iter().filter(|_| plan.extent.answers) {
                asking.answer(task, conversation, cell)?;
            }
            for conversation in task.conversations.iter().filter(|_| plan.extent.logprobs) {
                asking.score(task, conversation, cell)?;
            }
        }
    }
    progress(plan.tasks.len());
    Ok(asking.lines)
}

struct Asking<'a, T, K> {
    model: &'a mut T,
    results: Results,
    lines: Vec<Line>,
    keep: K,
    /// Answers to prompts without image tokens, which several cells may share.
    blind: HashMap<String, String>,
    /// Log-probabilities of answers to such prompts.
    scored: HashMap<(String, String), (f64, usize)>,
}

impl<T: Talker, E: From<T::Error>, K: FnMut(&Line) -> Result<(), E>> Asking<'_, T, K> {
    /// Asks the rounds of a conversation in turn, with the model's own answers before.
    fn answer(&mut self, task: &Task, asked: &Conversation, cell: Cell) -> Result<(), E> {
        let label = task.label(&asked.kind);
        let material = material(task, &label);
        let mut history: Vec<(String, String)> = Vec::new();
        for (i, round) in asked.rounds.iter().enumerate() {
            if !self.results.counts(asked.line, i) {
                break;
            }
            let prompt = material.prompt(cell, &history, &round.question);
            let key = prompt.blind_key();
            let known = self.results.answers.get(&(asked.line, i, cell));
            let answer = match (known, key.as_ref().and_then(|key| self.blind.get(key))) {
                (Some(known), _) => known.answer.clone(),
                (None, Some(same)) => same.clone(),
                (None, None) => match self.model.answer(&prompt)? {
                    Some(answer) => answer,
                    None => return self.leave_out(asked, i),
                },
            };
            if known.is_none() {
                self.keep(Line::Answer(Answered {
                    painting: asked.painting,
                    line: asked.line,
                    round: i,
                    kind: asked.kind.clone(),
                    cell,
                    question: round.question.clone(),
                    reference: round.reference.clone(),
                    answer: answer.clone(),
                }))?;
            }
            if let Some(key) = key {
                self.blind.insert(key, answer.clone());
            }
            history.push((round.question.clone(), answer));
        }
        Ok(())
    }

    /// Scores the references of a conversation, each with the references before.
    fn score(&mut self, task: &Task, asked: &Conversation, cell: Cell) -> Result<(), E> {
        let label = task.label(&asked.kind);
        let material = material(task, &label);
        let mut history: Vec<(String, String)> = Vec::new();
        for (i, round) in asked.rounds.iter().enumerate() {
            if !self.results.counts(asked.line, i) {
                break;
            }
            let prompt = material.prompt(cell, &history, &round.question);
            let key = prompt.blind_key().map(|key| (key, round.reference.clone()));
            if !self.results.scores.contains_key(&(asked.line, i, cell)) {
                let same = key.as_ref().and_then(|key| self.scored.get(key));
                let (logprob, tokens) = match same {
                    Some(same) => *same,
                    None => match self.model.logprob(&prompt, &round.reference)? {
                        Some(score) => score,
                        None => return self.leave_out(asked, i),
                    },
                };
                if let Some(key) = key {
                    self.scored.insert(key, (logprob, tokens));
                }
                let (painting, line) = (asked.painting, asked.line);
                let scored = Scored { painting, line, round: i, cell, logprob, tokens };
                self.keep(Line::Logprob(scored))?;
            }
            history.push((round.question.clone(), round.reference.clone()));
        }
        Ok(())
    }

    fn leave_out(&mut self, asked: &Conversation, round: usize) -> Result<(), E> {
        let (painting, line) = (asked.painting, asked.line);
        self.keep(Line::Skipped(LeftOut { painting, line, round }))
    }

    fn keep(&mut self, line: Line) -> Result<(), E> {
        (self.keep)(&line)?;
        self.results.insert(line.clone());
        self.lines.push(line);
        Ok(())
    }
}

fn material<'a>(task: &'a Task, label: &'a str) -> Material<'a> {
    Material {
        right: &task.right,
        wrong: &task.wrong,
        label,
        right_facts: &task.right_facts,
        wrong_facts: &task.wrong_facts,
    }
}

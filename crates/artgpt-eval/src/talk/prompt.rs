//! What a model is given, and what it must be able to do.

use super::{Cell, Condition, Given};
use crate::Shown;

/// A prompt of the evaluation.
#[derive(Clone)]
pub struct Prompt<'a> {
    /// The picture whose image tokens are given.
    pub picture: Option<&'a Shown>,
    /// The label, as prompts hold it; `None` where no label is given.
    pub label: Option<&'a str>,
    /// The measured facts, as prompts hold them.
    pub facts: Option<&'a str>,
    /// Earlier questions and answers.
    pub history: &'a [(String, String)],
    /// The question.
    pub question: &'a str,
}

/// A model that talks about pictures, greedily.
pub trait Talker {
    /// Why the model cannot answer.
    type Error;

    /// Whether the model takes pictures.
    fn sees(&self) -> bool;

    /// Answers a prompt; `None` if it does not fit into the context window.
    ///
    /// # Errors
    /// Those of the model.
    fn answer(&mut self, prompt: &Prompt) -> Result<Option<String>, Self::Error>;

    /// The log-probability (natural) of `answer`, and its number of tokens; `None` if they do not fit.
    ///
    /// # Errors
    /// Those of the model.
    fn logprob(
        &mut self,
        prompt: &Prompt,
        answer: &str,
    ) -> Result<Option<(f64, usize)>, Self::Error>;
}

/// What prompts about one painting are made of.
pub(super) struct Material<'a> {
    pub(super) right: &'a Shown,
    pub(super) wrong: &'a Shown,
    /// The label of the painting that the question is about.
    pub(super) label: &'a str,
    pub(super) right_facts: &'a str,
    pub(super) wrong_facts: &'a str,
}

impl Material<'_> {
    /// The prompt of a cell.
    pub(super) fn prompt<'b>(
        &'b self,
        cell: Cell,
        history: &'b [(String, String)],
        question: &'b str,
    ) -> Prompt<'b> {
        let shown = match cell.condition {
            Condition::Right => Some((self.right, self.right_facts)),
            Condition::Wrong => Some((self.wrong, self.wrong_facts)),
            Condition::None => None,
        };
        let (pixels, text) = (cell.given != Given::Text, cell.given != Given::Pixels);
        Prompt {
            picture: shown.map(|(picture, _)| picture).filter(|_| pixels),
            label: text.then_some(self.label),
            facts: shown.map(|(_, facts)| facts).filter(|_| text),
            history,
            question,
        }
    }
}

impl Prompt<'_> {
    /// Everything that a prompt without image tokens consists of; `None` with them.
    pub(super) fn blind_key(&self) -> Option<String> {
        let parts = (self.label, self.facts, self.history, self.question);
        self.picture.is_none().then(|| format!("{parts:?}"))
    }
}

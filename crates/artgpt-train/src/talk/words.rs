//! Conversations as tokens.

use super::super::pack::{Segment, end_of};
use crate::data::conversations::Round;
use crate::task::Network;
use crate::{Example, Result};
use artgpt_chat::{Piece, Role, Turn};

/// What a conversation shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// The label of the first picture; `None` without a picture.
    pub label: Option<String>,
    /// The round that shows the second picture, and its label.
    pub second: Option<(usize, String)>,
    /// The line of measured features of each picture, where it is shown.
    pub measured: Vec<Option<String>>,
}

/// Renders conversations for one network.
pub(super) struct Writer<'a> {
    network: &'a Network<'a>,
    /// The tokens that end an answer.
    end: Vec<u32>,
    /// Tokens of an image.
    queries: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(network: &'a Network<'a>) -> Result<Self> {
        let end = end_of(network.style.template.stop_strings()[0], network.tokenizer)?;
        Ok(Self { network, end, queries: network.bridge.query_tokens() })
    }

    /// The conversation in which every answer is scored: one segment, as far as the template writes an
    /// answered round as it was read when it was answered; further ones otherwise.
    pub(super) fn conversation(
        &self,
        rounds: &[&Round],
        shown: &Shown,
        system: Option<&str>,
    ) -> Result<Vec<Segment>> {
        let mut out: Vec<Segment> = Vec::new();
        let mut turns = Vec::new();
        for (i, round) in rounds.iter().enumerate() {
            let mut turn = Turn::new(Role::User, round.asked.as_str());
            if let (0, Some(label)) = (i, &shown.label) {
                turn.images.push((0, label.clone()));
            }
            if let Some((_, label)) = shown.second.as_ref().filter(|(at, _)| *at == i) {
                turn.images.push((1, label.clone()));
            }
            turns.push(turn);
            let mut next = Segment::of(&self.prompt(&turns, shown, system)?, self.queries);
            let continued = out.last().and_then(|last| last.continued(next.clone()));
            if let Some(continued) = continued {
                out.pop();
                next = continued;
            }
            next.answer(&self.answer(&round.said)?);
            out.push(next);
            turns.push(Turn::new(Role::Assistant, round.said.as_str()));
        }
        Ok(out)
    }

    /// A question of an answer stage.
    pub(super) fn example(
        &self,
        example: &Example,
        measured: Option<String>,
        system: Option<&str>,
    ) -> Result<Segment> {
        let shown = Shown { measured: vec![measured], ..Shown::default() };
        let mut segment = Segment::of(&self.prompt(&example.turns, &shown, system)?, self.queries);
        segment.answer(&self.answer(&example.answer)?);
        Ok(segment)
    }

    /// The prompt of a conversation.
    pub(super) fn prompt(
        &self,
        turns: &[Turn],
        shown: &Shown,
        system: Option<&str>,
    ) -> Result<Vec<Piece>> {
        let (style, tokenizer) = (&self.network.style, self.network.tokenizer);
        Ok(style.render(system, turns, &shown.measured, tokenizer)?)
    }

    fn answer(&self, text: &str) -> Result<Vec<u32>> {
        let mut answer = self.network.tokenizer.encode(text)?;
        answer.extend(&self.end);
        Ok(answer)
    }

    /// The tokens that end an answer.
    pub(super) fn end(&self) -> &[u32] {
        &self.end
    }

    /// Tokens that the model's context window holds after a prompt.
    pub(super) fn room(&self, prompt: &[Piece]) -> usize {
        let length = Segment::of(prompt, self.queries).length(self.queries);
        self.network.language.config.context_length.saturating_sub(length)
    }

    /// Whether a segment fits into the model's context window.
    pub(super) fn fits(&self, segment: &Segment) -> bool {
        segment.length(self.queries) <= self.network.language.config.context_length
    }
}

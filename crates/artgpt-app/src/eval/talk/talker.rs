//! A local model that talks about pictures.

use std::sync::Arc;

use crate::AppError;
use artgpt_art::Label;
use artgpt_chat::{Caption, ChatError, FinishReason, Role, Turn};
use artgpt_engine::{Cancel, Engine, InferenceError, Picture, Prompt as EnginePrompt, Request};
use artgpt_eval::talk::{Prompt, Talker};
use artgpt_manifest::SamplingConfig;
use artgpt_model::manifest::Model;

/// The longest answer; the longest reference has about 180.
const MAX_NEW_TOKENS: usize = 256;

/// Answers until it is cancelled.
pub(super) struct Local<'a> {
    engine: &'a mut Engine,
    cancel: &'a Cancel,
    style: Style,
}

/// What the manifest says of prompts.
struct Style {
    /// The engine drops the history of a conversation without a picture.
    alone: bool,
}

impl<'a> Local<'a> {
    pub(super) fn new(engine: &'a mut Engine, model: &Model, cancel: &'a Cancel) -> Self {
        let prompt = model.manifest.prompt.as_ref();
        let style = Style { alone: prompt.is_some_and(|prompt| prompt.alone_without_picture) };
        Self { engine, cancel, style }
    }

    fn check(&self) -> Result<(), AppError> {
        if self.cancel.is_cancelled() { Err(AppError::Interrupted) } else { Ok(()) }
    }
}

impl Talker for Local<'_> {
    type Error = AppError;

    fn sees(&self) -> bool {
        self.engine.sees()
    }

    fn answer(&mut self, prompt: &Prompt) -> Result<Option<String>, AppError> {
        self.check()?;
        let request = Request {
            prompt: self.style.prompt(prompt),
            pictures: pictures(prompt),
            sampling: SamplingConfig::greedy(),
            max_new_tokens: MAX_NEW_TOKENS,
        };
        let answer = match self.engine.generate(&request, self.cancel, |_| {}) {
            Ok(answer) => answer,
            Err(e) if is_too_long(&e) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        match answer.finish_reason {
            // Half an answer must not be counted.
            FinishReason::Cancelled => Err(AppError::Interrupted),
            _ => Ok(Some(answer.text.trim().to_string())),
        }
    }

    fn logprob(&mut self, prompt: &Prompt, answer: &str) -> Result<Option<(f64, usize)>, AppError> {
        self.check()?;
        match self.engine.score(&self.style.prompt(prompt), &pictures(prompt), answer) {
            Ok(score) => {
                let sum = score.logprobs.iter().map(|logprob| f64::from(*logprob)).sum();
                Ok(Some((sum, score.token_ids.len())))
            }
            Err(e) if is_too_long(&e) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

fn pictures(prompt: &Prompt) -> Vec<Picture> {
    let picture = prompt.picture.map(|shown| Picture {
        key: shown.key.as_str().into(),
        image: Arc::new(shown.view.pixels().clone()),
    });
    picture.into_iter().collect()
}

fn is_too_long(e: &InferenceError) -> bool {
    matches!(e, InferenceError::Chat(ChatError::TooLong { .. }))
}

impl Style {
    /// The facts come with the turns, so that cells with and without a picture have the same ones.
    fn prompt(&self, prompt: &Prompt) -> EnginePrompt {
        EnginePrompt::Chat { system: None, turns: self.turns(prompt), measured: false }
    }

    /// Picture, label and facts belong to the first question.
    fn turns(&self, prompt: &Prompt) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (question, answer) in prompt.history {
            turns.push(Turn::new(Role::User, question.as_str()));
            turns.push(Turn::new(Role::Assistant, answer.as_str()));
        }
        turns.push(Turn::new(Role::User, prompt.question));
        let label = prompt.label.map_or_else(|| Label::as_prompt(None), String::from);
        let holder = match prompt.picture {
            None if self.alone => turns.len() - 1,
            _ => 0,
        };
        if prompt.picture.is_some() {
            turns[holder].images = vec![(0, label.clone())];
        }
        if prompt.label.is_some() || prompt.facts.is_some() {
            let measured = prompt.facts.map(String::from);
            turns[holder].caption = Some(Caption { label, measured });
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_art::View;
    use artgpt_eval::Shown;

    fn turns(style: &Style, picture: Option<&Shown>, bare: bool) -> Vec<Turn> {
        let history = [("Who?".to_string(), "Manet.".to_string())];
        let prompt = Prompt {
            picture,
            label: Some("artist: Manet").filter(|_| !bare),
            facts: Some("mostly grey").filter(|_| !bare),
            history: &history,
            question: "Why?",
        };
        style.turns(&prompt)
    }

    #[test]
    fn label_and_facts_are_given_once_with_or_without_a_picture() {
        let shown = Shown { key: "a".into(), view: View::whole(&image::RgbImage::new(8, 8)) };
        let caption =
            Caption { label: "artist: Manet".into(), measured: Some("mostly grey".into()) };
        let (style, alone) = (Style { alone: false }, Style { alone: true });
        let plain = [
            Turn::new(Role::User, "Who?"),
            Turn::new(Role::Assistant, "Manet."),
            Turn::new(Role::User, "Why?"),
        ];
        let with = |at: usize, images: &[(usize, String)]| {
            let mut turns = plain.clone();
            turns[at].images = images.to_vec();
            turns[at].caption = Some(caption.clone());
            turns
        };
        let image = [(0, "artist: Manet".to_string())];
        assert_eq!(turns(&style, Some(&shown), false), with(0, &image));
        assert_eq!(turns(&alone, Some(&shown), false), with(0, &image));
        assert_eq!(turns(&style, None, false), with(0, &[]));
        // Where the engine drops the history, the last question has them.
        assert_eq!(turns(&alone, None, false), with(2, &[]));
        // Pixels alone, and nothing at all.
        let mut pixels = plain.clone();
        pixels[0].images = vec![(0, "none".into())];
        assert_eq!(turns(&style, Some(&shown), true), pixels);
        assert_eq!(turns(&style, None, true), plain);
    }
}

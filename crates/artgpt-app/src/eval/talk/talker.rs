//! A local model that talks about pictures.

use std::sync::Arc;

use crate::AppError;
use artgpt_art::Label;
use artgpt_chat::{ChatError, FinishReason, Role, Turn};
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
    /// The engine writes the measured facts behind a picture's label.
    measured: bool,
    /// The engine drops the history of a conversation without a picture.
    alone: bool,
}

impl<'a> Local<'a> {
    pub(super) fn new(engine: &'a mut Engine, model: &Model, cancel: &'a Cancel) -> Self {
        let prompt = model.manifest.prompt.as_ref();
        let style = Style {
            measured: prompt.is_some_and(|prompt| prompt.measured),
            alone: prompt.is_some_and(|prompt| prompt.alone_without_picture),
        };
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

    fn answer(&mut self, prompt: &Prompt) -> Result<String, AppError> {
        self.check()?;
        let request = Request {
            prompt: self.style.prompt(prompt),
            pictures: pictures(prompt),
            sampling: SamplingConfig::greedy(),
            max_new_tokens: MAX_NEW_TOKENS,
        };
        let answer = self.engine.generate(&request, self.cancel, |_| {})?;
        match answer.finish_reason {
            // Half an answer must not be counted.
            FinishReason::Cancelled => Err(AppError::Interrupted),
            _ => Ok(answer.text.trim().to_string()),
        }
    }

    fn logprob(&mut self, prompt: &Prompt, answer: &str) -> Result<(f64, usize), AppError> {
        self.check()?;
        match self.engine.score(&self.style.prompt(prompt), &pictures(prompt), answer) {
            Ok(score) => {
                let sum = score.logprobs.iter().map(|logprob| f64::from(*logprob)).sum();
                Ok((sum, score.token_ids.len()))
            }
            // A context that is too short for the reference scores none of its tokens.
            Err(InferenceError::Chat(ChatError::TooLong { .. })) => Ok((0.0, 0)),
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

impl Style {
    fn prompt(&self, prompt: &Prompt) -> EnginePrompt {
        let measured = prompt.facts.is_some();
        EnginePrompt::Chat { system: None, turns: self.turns(prompt), measured }
    }

    /// Picture and label belong to the first question.
    fn turns(&self, prompt: &Prompt) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (question, answer) in prompt.history {
            turns.push(Turn::new(Role::User, question.as_str()));
            turns.push(Turn::new(Role::Assistant, answer.as_str()));
        }
        turns.push(Turn::new(Role::User, prompt.question));
        let last = turns.len() - 1;
        match prompt.picture {
            Some(_) => turns[0].images = vec![(0, self.label(prompt))],
            None => {
                let holder = if self.alone { last } else { 0 };
                turns[holder].text = format!("{}{}", header(prompt), turns[holder].text);
            }
        }
        turns
    }

    /// The label of a picture, with the measured facts where the engine does not write them.
    fn label(&self, prompt: &Prompt) -> String {
        let label = prompt.label.map_or_else(|| Label::as_prompt(None), String::from);
        match prompt.facts {
            Some(facts) if !self.measured => format!("{label}\nMeasured: {facts}"),
            _ => label,
        }
    }
}

/// Label and measured facts as the templates write them behind a picture.
fn header(prompt: &Prompt) -> String {
    let line = |name: &str, text: Option<&str>| {
        text.map_or(String::new(), |text| format!("{name}: {text}\n"))
    };
    line("Label", prompt.label) + &line("Measured", prompt.facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_art::View;
    use artgpt_eval::Shown;

    fn turns(style: &Style, picture: Option<&Shown>) -> Vec<(String, Vec<(usize, String)>)> {
        let history = [("Who?".to_string(), "Manet.".to_string())];
        let prompt = Prompt {
            picture,
            label: Some("artist: Manet"),
            facts: Some("mostly grey"),
            history: &history,
            question: "Why?",
        };
        style.turns(&prompt).into_iter().map(|turn| (turn.text, turn.images)).collect()
    }

    #[test]
    fn label_and_facts_are_given_once_with_or_without_a_picture() {
        let shown = Shown { key: "a".into(), view: View::whole(&image::RgbImage::new(8, 8)) };
        let text = |text: &str| (text.to_string(), Vec::new());
        let with = |label: &str| ("Who?".to_string(), vec![(0, label.to_string())]);
        let style = Style { measured: true, alone: false };
        let (answer, question) = (text("Manet."), text("Why?"));
        let expected = [with("artist: Manet"), answer.clone(), question.clone()];
        assert_eq!(turns(&style, Some(&shown)), expected);
        let header = "Label: artist: Manet\nMeasured: mostly grey\n";
        let expected = [text(&format!("{header}Who?")), answer.clone(), question.clone()];
        assert_eq!(turns(&style, None), expected);
        let style = Style { measured: false, alone: true };
        let label = with("artist: Manet\nMeasured: mostly grey");
        assert_eq!(turns(&style, Some(&shown)), [label, answer.clone(), question]);
        // Where the engine drops the history, the last question has them.
        let expected = [text("Who?"), answer, text(&format!("{header}Why?"))];
        assert_eq!(turns(&style, None), expected);
    }
}

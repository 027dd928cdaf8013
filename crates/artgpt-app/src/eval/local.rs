//! A local model as an evaluation sees it.

use std::sync::Arc;

use crate::AppError;
use artgpt_art::Label;
use artgpt_chat::{FinishReason, Role, Turn};
use artgpt_engine::{Cancel, Engine, Picture, Prompt, Request};
use artgpt_eval::{Answerer, Shown};
use artgpt_manifest::SamplingConfig;

/// Answers to closed questions are shorter.
const MAX_NEW_TOKENS: usize = 24;

/// Answers until it is cancelled.
pub(super) struct Local<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) cancel: &'a Cancel,
    /// Writes the measured line behind a picture, if the model's manifest says so, as a chat does.
    pub(super) measured: bool,
}

impl Answerer for Local<'_> {
    type Error = AppError;

    fn answer(&mut self, picture: Option<&Shown>, question: &str) -> Result<String, AppError> {
        let mut turn = Turn::new(Role::User, question);
        turn.images = picture.iter().map(|_| (0, Label::as_prompt(None))).collect();
        let pictures = picture.map(|shown| Picture {
            key: shown.key.as_str().into(),
            image: Arc::new(shown.view.pixels().clone()),
        });
        let request = Request {
            prompt: Prompt::Chat { system: None, turns: vec![turn], measured: self.measured },
            pictures: pictures.into_iter().collect(),
            sampling: SamplingConfig::greedy(),
            max_new_tokens: MAX_NEW_TOKENS,
        };
        let answer = self.engine.generate(&request, self.cancel, |_| {})?;
        match answer.finish_reason {
            // Half an answer must not be counted.
            FinishReason::Cancelled => Err(AppError::Interrupted),
            _ => Ok(answer.text),
        }
    }
}

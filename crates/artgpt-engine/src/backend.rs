//! A model in this process or on a server.

use super::{Cancel, Engine, GenerateEvent, Remote, Request, Result};
use artgpt_chat::Answer;

/// What answers requests.
pub enum Backend {
    /// A model in this process.
    Local(Box<Engine>),
    /// A model on a server.
    Remote(Box<Remote>),
}

impl Backend {
    /// The model's name, or the server's address.
    pub fn name(&self) -> &str {
        match self {
            Self::Local(engine) => &engine.name,
            Self::Remote(remote) => &remote.name,
        }
    }

    /// Whether it takes images. A server refuses one only when it comes.
    pub fn sees(&self) -> bool {
        match self {
            Self::Local(engine) => engine.sees(),
            Self::Remote(_) => true,
        }
    }

    /// The groups of suggested questions that it can answer; all if it is empty.
    pub fn question_groups(&self) -> &[String] {
        match self {
            Self::Local(engine) => engine.question_groups(),
            Self::Remote(_) => &[],
        }
    }

    /// Generates one answer. `on_event` gets the text as it comes.
    ///
    /// # Errors
    /// See [`Engine::generate`] and [`Remote::generate`].
    pub fn generate(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        on_event: impl FnMut(GenerateEvent),
    ) -> Result<Answer> {
        let answer = match self {
            Self::Local(engine) => engine.generate(request, cancel, on_event),
            Self::Remote(remote) => remote.generate(request, cancel, on_event),
        };
        let model = self.name();
        match &answer {
            Ok(answer) => tracing::info!(
                model,
                end = ?answer.finish_reason,
                prompt_tokens = ?answer.usage.prompt_tokens,
                answer_tokens = ?answer.usage.answer_tokens,
                "answered"
            ),
            Err(error) => tracing::warn!(model, %error, "gave no answer"),
        }
        answer
    }
}

//! A model that answers, here or on a server.

use super::{Cancel, Engine, GenerateEvent, Remote, Request, Result};
use artgpt_chat::Answer;

pub enum Backend {
    Local(Box<Engine>),
    Remote(Remote),
}

impl Backend {
    pub fn name(&self) -> &str {
        match self {
            Self::Local(engine) => &engine.name,
            Self::Remote(remote) => &remote.name,
        }
    }

    /// Whether it takes pictures. A server says so only when it gets one.
    pub fn sees(&self) -> bool {
        match self {
            Self::Local(engine) => engine.sees(),
            Self::Remote(_) => true,
        }
    }

    /// Generates one answer. `on_event` gets the text as it comes.
    pub fn generate(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        on_event: impl FnMut(GenerateEvent),
    ) -> Result<Answer> {
        match self {
            Self::Local(engine) => engine.generate(request, cancel, on_event),
            Self::Remote(remote) => remote.generate(request, cancel, on_event),
        }
    }
}

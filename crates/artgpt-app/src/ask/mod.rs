//! One question and its answer, in a stored session or outside any.
//!
//! The order matters: everything that can fail comes before the question is stored; the answer's draft
//! is written once a second; the finished turn is stored last.

mod round;
mod sampling;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use sampling::SamplingRequest;

use super::server::{UnnamedServer, reference_of_session};
use super::{App, AppError, Event, Result, backend};
use artgpt_art::{Artwork, Label};
use artgpt_base::mask::mask_url;
use artgpt_chat::{Answer, Conversation, Role, Turn};
use artgpt_engine::{
    Backend, Cancel, GenerateEvent, Picture, Prompt, Request, Result as InferenceResult,
};
use artgpt_manifest::SamplingConfig;
use artgpt_store::StoreError;
use round::OpenSession;

/// What is wrong with a question.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The question is empty.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// There is no answer to score.
    #[error("the answer is empty")]
    EmptyAnswer,
    /// An answer of no tokens was requested.
    #[error("the length limit of the answer is 0 tokens")]
    NoLength,
    /// A sampling parameter is out of range.
    #[error("{0}")]
    Sampling(String),
    /// A model on a server was named to score with.
    #[error("{0} runs on a server, which gives no log-probabilities")]
    RemoteScore(String),
    /// A session's model is on a server that the user has not named.
    #[error(transparent)]
    UnnamedServer(#[from] UnnamedServer),
}

/// The session that a question belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChoice {
    /// A session that is created now.
    New,
    /// An ID, or a unique prefix of one.
    Existing(String),
}

/// A question.
#[derive(Debug, Clone)]
pub struct AskRequest {
    /// The text of the question.
    pub question: String,
    /// Skips the chat template.
    pub raw: bool,
    /// Image files to show.
    pub images: Vec<PathBuf>,
    /// The session's model or the settings' model where it is `None`.
    pub model: Option<String>,
    /// Nothing is stored where it is `None`.
    pub session: Option<SessionChoice>,
    /// Replaces the system text of the session, the settings or the template.
    pub system: Option<String>,
    /// The sampling parameters.
    pub sampling: SamplingConfig,
    /// Max length of the answer in tokens.
    pub max_new_tokens: usize,
}

/// An answer, and whether it could be stored.
#[derive(Debug)]
pub struct Asked {
    /// The name of the model that answered.
    pub model: String,
    /// The answer.
    pub answer: Answer,
    /// Why the answer or its draft was not stored.
    pub not_saved: Option<StoreError>,
}

/// What generates answers.
pub trait Generate {
    /// The model's name.
    fn name(&self) -> &str;

    /// Generates one answer; `on_event` receives the text as it comes.
    fn generate(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(GenerateEvent<'_>),
    ) -> InferenceResult<Answer>;
}

impl Generate for Backend {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn generate(
        &mut self,
        request: &Request,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(GenerateEvent<'_>),
    ) -> InferenceResult<Answer> {
        Self::generate(self, request, cancel, on_event)
    }
}

/// Asks the model; `on_text` receives the answer as it comes.
pub fn ask(
    app: &App,
    request: &AskRequest,
    cancel: &Cancel,
    on_text: impl FnMut(&str),
) -> Result<Asked> {
    ask_with(app, request, cancel, |model| backend::backend(app, model), on_text)
}

/// The same with any source of answers. `open` gets the name of the model, if one is named.
pub fn ask_with<G: Generate>(
    app: &App,
    request: &AskRequest,
    cancel: &Cancel,
    open: impl FnOnce(Option<&str>) -> Result<G>,
    mut on_text: impl FnMut(&str),
) -> Result<Asked> {
    check(request)?;
    let art = artworks(app, &request.images)?;
    let system = request.system.clone().or_else(|| app.settings.system.clone());
    let session = request.session.as_ref();
    let session = session.map(|choice| OpenSession::open(app, choice, request, &system));
    let session = session.transpose()?;
    let model = model(app, request, session.as_ref())?;
    let mut backend = open(model.as_deref())?;
    if cancel.is_cancelled() {
        return Err(AppError::Interrupted);
    }
    let mut round = session.map(|s| s.question(app, &request.question, &art)).transpose()?;
    let (sampling, max_new_tokens) = (request.sampling.clone(), request.max_new_tokens);
    let to_model = match &round {
        Some(round) => {
            let pictures = round.pictures().to_vec();
            answer_request(round.conversation(), None, pictures, sampling, max_new_tokens)
        }
        None => Request {
            prompt: single_prompt(request.raw, system, &request.question, &art),
            pictures: art.iter().map(Picture::of).collect(),
            sampling,
            max_new_tokens,
        },
    };
    let mut not_saved = None;
    let answer = backend.generate(&to_model, cancel, &mut |event| {
        let GenerateEvent::Text(text, _) = event else { return };
        on_text(text);
        if let Some(Err(e)) = round.as_mut().map(|round| round.draft(text)) {
            not_saved.get_or_insert(e);
        }
    });
    let answer = match (answer, &mut round) {
        (Ok(answer), _) => answer,
        (Err(e), Some(round)) => {
            round.give_up(&e.to_string())?;
            return Err(e.into());
        }
        (Err(e), None) => return Err(e.into()),
    };
    if let Some(Err(e)) = round.as_ref().map(|round| round.finish(&answer)) {
        not_saved = Some(e);
    }
    Ok(Asked { model: mask_url(backend.name()).into_owned(), answer, not_saved })
}

/// The model that answers, if the question or its session names one.
fn model(
    app: &App,
    request: &AskRequest,
    session: Option<&OpenSession>,
) -> std::result::Result<Option<String>, AskError> {
    match (&request.model, &request.session, session) {
        (Some(named), ..) => Ok(Some(named.clone())),
        (None, Some(SessionChoice::Existing(_)), Some(session)) => {
            Ok(Some(reference_of_session(session.model(), &[&app.settings.model])?))
        }
        _ => Ok(None),
    }
}

fn check(request: &AskRequest) -> std::result::Result<(), AskError> {
    if request.question.trim().is_empty() {
        return Err(AskError::EmptyPrompt);
    }
    if request.max_new_tokens == 0 {
        return Err(AskError::NoLength);
    }
    match request.sampling.problem() {
        Some(problem) => Err(AskError::Sampling(problem)),
        None => Ok(()),
    }
}

/// Opens all pictures; remarks go to the observer.
pub fn artworks(app: &App, paths: &[PathBuf]) -> Result<Vec<Artwork>> {
    let open = |path: &PathBuf| {
        let artwork = Artwork::open(path)?;
        artwork.notes.iter().for_each(|note| app.tell(&Event::Artwork(note)));
        Ok(artwork)
    };
    paths.iter().map(open).collect()
}

/// What the model gets for the answer to a turn of a conversation, or to its last question where
/// `parent` is `None`. `pictures` are those of the session, in its order.
pub fn answer_request(
    conversation: &Conversation,
    parent: Option<u64>,
    pictures: Vec<Picture>,
    sampling: SamplingConfig,
    max_new_tokens: usize,
) -> Request {
    let prompt = Prompt::Chat {
        system: conversation.session.system.clone(),
        turns: conversation.template_turns(parent),
        measured: true,
    };
    Request { prompt, pictures, sampling, max_new_tokens }
}

/// A prompt with pictures outside any session.
pub fn single_prompt(raw: bool, system: Option<String>, text: &str, art: &[Artwork]) -> Prompt {
    if raw {
        return Prompt::Raw(text.to_string());
    }
    let mut turn = Turn::new(Role::User, text);
    let labels = art.iter().map(|a| Label::as_prompt(a.label.as_ref()));
    turn.images = labels.enumerate().collect();
    Prompt::Chat { system, turns: vec![turn], measured: true }
}

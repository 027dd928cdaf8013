//! Log-probabilities of a given answer.

use std::path::PathBuf;

use super::ask::{AskError, artworks, single_prompt};
use super::{App, Result, backend};
use artgpt_engine::{Picture, SCHEME};

/// What to score.
#[derive(Debug, Clone)]
pub struct ScoreRequest {
    /// The settings' model where it is `None`.
    pub model: Option<String>,
    /// The text before the answer.
    pub prompt: String,
    /// Skips the chat template.
    pub raw: bool,
    /// Image files of the prompt.
    pub images: Vec<PathBuf>,
    /// The text to score.
    pub answer: String,
}

/// One token of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredToken {
    /// The token's ID.
    pub id: u32,
    /// The token as text.
    pub text: String,
    /// Natural logarithm.
    pub logprob: f32,
}

/// Scores each token of the answer, without sampling.
pub fn score(app: &App, request: &ScoreRequest) -> Result<Vec<ScoredToken>> {
    if request.prompt.trim().is_empty() {
        return Err(AskError::EmptyPrompt.into());
    }
    if request.answer.is_empty() {
        return Err(AskError::EmptyAnswer.into());
    }
    let art = artworks(app, &request.images)?;
    let name = request.model.as_deref().unwrap_or(&app.settings.model);
    if name.starts_with(SCHEME) {
        return Err(AskError::RemoteScore(name.to_string()).into());
    }
    let mut engine = backend::engine(app, name)?;
    let system = app.settings.system.clone();
    let prompt = single_prompt(request.raw, system, &request.prompt, &art);
    let pictures: Vec<Picture> = art.iter().map(Picture::of).collect();
    let score = engine.score(&prompt, &pictures, &request.answer)?;
    let text = |id: u32| engine.tokenizer.decode(&[id]);
    let tokens = score.token_ids.iter().zip(&score.logprobs);
    Ok(tokens
        .map(|(id, logprob)| ScoredToken { id: *id, text: text(*id), logprob: *logprob })
        .collect())
}

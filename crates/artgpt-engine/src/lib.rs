//! The inference task: one thread owns the model; requests go in, a stream of events comes out.

mod backend;
mod beam;
mod embedding_store;
mod engine;
mod image_cache;
mod prefix;
mod remote;
mod worker;

pub use backend::Backend;
pub use engine::{Engine, GenerateEvent, Score};
pub use remote::{Remote, SCHEME};
pub use worker::{Event, Folders, ModelInfo, Worker};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use image::RgbImage;

use artgpt_art::Artwork;
use artgpt_chat::{ChatError, Turn};
use artgpt_manifest::SamplingConfig;

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Fetch(Box<artgpt_fetch::FetchError>),
    #[error("{0} has no vision encoder; name a model that sees, or ask without a picture")]
    Blind(String),
    #[error("{model} has no [{part}] in its manifest; name another model")]
    Incomplete { model: String, part: &'static str },
    #[error("the sampling settings are wrong: {0}; mend the flag or the configuration")]
    Sampling(String),
    #[error("the server at {url} gave no answer: {reason}")]
    Remote { url: String, reason: String },
    #[error("the picture cannot be sent: {0}")]
    Picture(String),
    #[error("the answer is empty; give --answer some text")]
    EmptyAnswer,
    #[error(
        "{0} computes numbers that are not finite: a weight is damaged; `artgpt-tui models verify {0}` names it"
    )]
    NotFinite(String),
    #[error("tensor computation failed: {}; if memory is short, close other programs", artgpt_base::text::first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

impl From<artgpt_fetch::FetchError> for InferenceError {
    fn from(e: artgpt_fetch::FetchError) -> Self {
        Self::Fetch(Box::new(e))
    }
}

pub type Result<T> = std::result::Result<T, InferenceError>;

/// A picture as a request carries it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Names the content: equal keys mean equal pixels.
    pub key: Arc<str>,
    /// The whole picture; each model makes its own view of it.
    pub image: Arc<RgbImage>,
}

impl Picture {
    pub fn of(artwork: &Artwork) -> Self {
        Self { key: artwork.sha256.as_str().into(), image: artwork.image.clone() }
    }
}

/// What the model is to read.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// Through the model's template.
    Chat { system: Option<String>, turns: Vec<Turn> },
    /// As it is, around its `<image>` markers.
    Raw(String),
}

/// One answer to generate.
#[derive(Debug, Clone)]
pub struct Request {
    pub prompt: Prompt,
    /// What the prompt's image numbers refer to.
    pub pictures: Vec<Picture>,
    pub sampling: SamplingConfig,
    pub max_new_tokens: usize,
}

impl Request {
    /// Settings that no model can answer with.
    fn check(&self) -> Result<()> {
        self.sampling.problem().map_or(Ok(()), |problem| Err(InferenceError::Sampling(problem)))
    }
}

/// Milliseconds since.
fn ms(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Stops an answer from another thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

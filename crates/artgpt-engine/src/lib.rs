//! Answers from a model, in this process or on a server: requests go in, a stream of events comes
//! out. A worker thread owns the model, so that the caller never waits.

mod backend;
mod beam;
mod embedding_store;
mod engine;
mod image_cache;
mod measured;
mod notices;
mod prefix;
mod remote;
mod worker;

pub use backend::Backend;
pub use engine::{Engine, GenerateEvent, Score};
pub use notices::{VocabularyRows, unused};
pub use remote::{Remote, RemoteError, SCHEME};
pub use worker::{Explain, Folders, ModelInfo, Worker, WorkerEvent};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use image::RgbImage;

use artgpt_art::Artwork;
use artgpt_chat::{ChatError, Turn};
use artgpt_manifest::SamplingConfig;

/// Why a model cannot be used, or gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The model's files.
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
    /// The prompt or the tokenizer.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The model's installation.
    #[error(transparent)]
    Fetch(Box<artgpt_fetch::FetchError>),
    /// An image for a model (by its name) that takes none.
    #[error("{0} has no vision encoder")]
    NoVision(String),
    /// A section is missing in a manifest.
    #[error("the manifest of {model} has no [{part}]")]
    Incomplete {
        /// The model's name.
        model: String,
        /// The missing section.
        part: &'static str,
    },
    /// A sampling setting is out of range.
    #[error("invalid sampling settings: {0}")]
    Sampling(String),
    /// A server gave no answer.
    #[error("the server at {url} gave no answer: {source}")]
    Remote {
        /// The server's root, safe to print.
        url: String,
        /// What went wrong.
        source: Box<RemoteError>,
    },
    /// An image cannot be encoded as PNG for a server.
    #[error("cannot send the image: {0}")]
    Image(#[source] image::ImageError),
    /// There is nothing to score.
    #[error("the answer is empty")]
    EmptyAnswer,
    /// The network of a model (by its name) computes NaN or infinite logits.
    #[error("{0} computes numbers that are not finite: a weight is damaged")]
    NotFinite(String),
    /// A tensor operation failed.
    #[error("tensor computation failed: {}", artgpt_base::text::first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

impl InferenceError {
    /// What the user can do. `None` where there is no advice, or where a crate below has the error.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Chat(e) => return e.hint(),
            Self::Remote { source, .. } => return source.hint(),
            Self::NotFinite(model) => {
                return Some(format!("`artgpt-tui models verify {model}` names the weight"));
            }
            Self::Model(e) => return e.hint(),
            Self::Fetch(e) => match &**e {
                artgpt_fetch::FetchError::Model(e) => return e.hint(),
                _ => return None,
            },
            Self::Image(_) => return None,
            Self::NoVision(_) => "choose a model with vision, or ask without an image",
            Self::Incomplete { .. } => "choose another model",
            Self::Sampling(_) => "correct the flag or the setting",
            Self::EmptyAnswer => "give --answer some text",
            Self::Tensor(_) => "if memory is short, close other programs",
        };
        Some(hint.into())
    }
}

impl From<artgpt_fetch::FetchError> for InferenceError {
    fn from(e: artgpt_fetch::FetchError) -> Self {
        Self::Fetch(Box::new(e))
    }
}

/// A result whose error is about inference.
pub type Result<T> = std::result::Result<T, InferenceError>;

/// An image as a request carries it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Identifies the content: equal keys mean equal pixels.
    pub key: Arc<str>,
    /// The whole image; each model crops and scales it for itself.
    pub image: Arc<RgbImage>,
}

impl Picture {
    /// The image of an artwork; its key is the file's SHA-256.
    pub fn of(artwork: &Artwork) -> Self {
        Self { key: artwork.sha256.as_str().into(), image: artwork.image.clone() }
    }
}

/// A prompt, before it becomes tokens.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// A conversation, rendered by the model's template.
    Chat {
        /// Replaces the template's system prompt.
        system: Option<String>,
        /// The turns, the question last.
        turns: Vec<Turn>,
        /// Whether each picture's measured features come with it, if the model's manifest says that
        /// its prompts have them. An evaluation can turn them off.
        measured: bool,
    },
    /// Text as given, with an `<image>` marker for each image.
    Raw(String),
}

/// One answer to generate.
#[derive(Debug, Clone)]
pub struct Request {
    /// The prompt.
    pub prompt: Prompt,
    /// The images that the prompt refers to by index.
    pub pictures: Vec<Picture>,
    /// How tokens are chosen.
    pub sampling: SamplingConfig,
    /// The most tokens of the answer.
    pub max_new_tokens: usize,
}

impl Request {
    /// Refuses sampling settings that are out of range.
    fn check(&self) -> Result<()> {
        self.sampling.problem().map_or(Ok(()), |problem| Err(InferenceError::Sampling(problem)))
    }
}

/// Milliseconds since then.
fn ms(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Stops an answer from another thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

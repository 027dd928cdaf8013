//! Evaluation of models. [`Answerer`] and [`talk::Talker`] are the interfaces to a running model.

pub mod caption;
mod interval;
pub mod peft;
mod seeing;
pub mod talk;

pub use interval::Interval;
pub(crate) use seeing::others;
pub use seeing::{Extent, Row, SeeingTable, seeing};

use artgpt_art::{Artwork, View};

/// A picture in a question.
#[derive(Clone)]
pub struct Shown {
    /// Identifies the content, for caches.
    pub key: String,
    /// The pixels.
    pub view: View,
}

impl From<&Artwork> for Shown {
    fn from(artwork: &Artwork) -> Self {
        Self { key: artwork.sha256.clone(), view: View::whole(&artwork.image) }
    }
}

/// A model that answers a question about a picture, or about none, greedily.
pub trait Answerer {
    /// Why the model cannot answer.
    type Error;

    /// Answers `question` about `picture`.
    ///
    /// # Errors
    /// Those of the model.
    fn answer(&mut self, picture: Option<&Shown>, question: &str) -> Result<String, Self::Error>;
}

//! Measuring what a model does. A running model is reached through [`Answerer`], which this room
//! owns.

mod interval;
pub mod peft;
mod seeing;

pub use interval::Interval;
pub use seeing::{Extent, Row, SeeingTable, seeing};

use artgpt_art::{Artwork, View};

/// A picture to ask about.
#[derive(Clone)]
pub struct Shown {
    /// Names the content.
    pub key: String,
    pub view: View,
}

impl From<&Artwork> for Shown {
    fn from(artwork: &Artwork) -> Self {
        Self { key: artwork.sha256.clone(), view: View::whole(&artwork.image) }
    }
}

/// A model that answers a question about a picture, or about none, greedily.
pub trait Answerer {
    type Error;

    fn answer(&mut self, picture: Option<&Shown>, question: &str) -> Result<String, Self::Error>;
}

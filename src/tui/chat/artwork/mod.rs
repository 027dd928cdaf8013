//! The artwork on the screen, its label, and the ones that go with the next question.

mod cells;
mod opened;
mod view;

pub(super) use cells::{cells, scaled};
pub(crate) use cells::{picture, scale_if_needed};
pub(super) use opened::opened;
pub(super) use view::view;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;

use super::state::State as Chat;
use crate::tui::chat::message::Scaled;
use crate::tui::effect::Effect;
use artgpt_art::FormalFeatures;
use artgpt_engine::Picture;

/// The images of the session.
#[derive(Default)]
pub(crate) struct State {
    /// Images of the session's artworks, by sha256.
    pub(crate) loaded: HashMap<String, Loaded>,
    /// The artwork on the screen: its index in the session.
    pub(crate) shown: Option<usize>,
    /// Artworks that go with the next question.
    pub(crate) pending: Vec<usize>,
    /// The next artwork that opens goes beside the pending ones, not in their place.
    pub(crate) opens_beside: bool,
    /// The image at the size on the screen.
    pub(crate) scaled: Option<Scaled>,
    /// The image and size last requested.
    pub(crate) requested: Option<(String, (u32, u32))>,
    /// Where the open window begins: the installed paintings, or the working directory.
    pub(crate) start_folder: String,
    /// Files of the command line, opened one after the other once the session is loaded.
    pub(crate) waiting: VecDeque<PathBuf>,
    /// Whether one of them is being opened.
    is_opening: bool,
    /// Whether one of them is open: the next goes beside it.
    has_opened: bool,
}

impl State {
    /// Opens the next file of the command line.
    pub(crate) fn open_next(&mut self) -> Option<Effect> {
        let path = self.waiting.pop_front()?;
        self.is_opening = true;
        self.opens_beside |= self.has_opened;
        Some(Effect::OpenArtwork(path))
    }

    /// A file was opened, or cannot be: the next one, if it was of the command line.
    pub(crate) fn after_opening(&mut self, opened: bool) -> Option<Effect> {
        let was_opening = std::mem::take(&mut self.is_opening);
        self.has_opened |= was_opening && opened;
        if was_opening { self.open_next() } else { None }
    }
}

/// An image in memory.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) image: Arc<RgbImage>,
    pub(crate) picture: Picture,
    pub(crate) features: FormalFeatures,
}

/// The image on the screen, with its key.
fn shown(chat: &Chat) -> Option<(&str, &Loaded)> {
    let artwork = chat.conversation.session.artworks.get(chat.artwork.shown?)?;
    let loaded = chat.artwork.loaded.get(&artwork.sha256)?;
    Some((artwork.sha256.as_str(), loaded))
}

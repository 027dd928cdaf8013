//! The artwork on the screen, its label, and the ones that go with the next question.

mod cells;
mod opened;
mod view;

pub(super) use cells::{cells, scaled};
pub(crate) use cells::{picture, scale_if_needed};
pub(super) use opened::opened;
pub(super) use view::view;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;

use super::state::State as Chat;
use crate::tui::chat::message::Scaled;
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
    /// A file that is opened once the session is loaded.
    pub(crate) open_after_loading: Option<PathBuf>,
}

/// An image in memory.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) image: Arc<RgbImage>,
    pub(crate) picture: Picture,
}

/// The image on the screen, with its key.
fn shown(chat: &Chat) -> Option<(&str, &Loaded)> {
    let artwork = chat.conversation.session.artworks.get(chat.artwork.shown?)?;
    let loaded = chat.artwork.loaded.get(&artwork.sha256)?;
    Some((artwork.sha256.as_str(), loaded))
}

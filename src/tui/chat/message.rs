//! What can happen to the chat.

use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;

use crate::tui::complete::Candidate;
use crate::tui::keys::Keymap;
use crate::tui::theme::Theme;
use artgpt_app::catalogue::Choice;
use artgpt_app::settings::Settings;
use artgpt_art::{FormalFeatures, Label};
use artgpt_engine::{Picture, WorkerEvent};
use artgpt_store::StoreEvent;

/// A message of the model, the store, or an effect that is done.
#[derive(Debug)]
pub(crate) enum Message {
    Model(WorkerEvent),
    Store(StoreEvent),
    Opened(Box<Opened>),
    /// An artwork could not be opened; the text says why and what to do.
    NotOpened(String),
    /// Candidates for the path in the open window, with the text they complete.
    Completed(String, Vec<Candidate>),
    /// The folder of the installed paintings, with a slash at its end.
    Paintings(String),
    /// The models and runs to choose from.
    Models(Vec<Choice>),
    Scaled(Scaled),
    /// Edited files were read again.
    Reloaded(Box<Reloaded>),
    /// An error outside the chat.
    Error(String),
}

/// An artwork that was read and decoded.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
    pub(crate) label: Option<Label>,
    pub(crate) notes: Vec<String>,
    /// For the screen; not larger than a screen needs.
    pub(crate) image: Arc<RgbImage>,
    /// For the model.
    pub(crate) picture: Picture,
    /// Measured in its pixels.
    pub(crate) features: FormalFeatures,
    /// The session that asked for it, and the artwork's index there, when a session is resumed.
    pub(crate) resumed: Option<(String, usize)>,
}

/// An image scaled to a size in pixels.
#[derive(Debug, Clone)]
pub(crate) struct Scaled {
    pub(crate) sha256: String,
    pub(crate) size: (u32, u32),
    pub(crate) image: Arc<RgbImage>,
}

/// Settings, theme and keys after an edit.
#[derive(Debug)]
pub(crate) struct Reloaded {
    pub(crate) settings: Settings,
    pub(crate) theme: Theme,
    pub(crate) keymap: Keymap,
}

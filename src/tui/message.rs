//! Everything that can happen.

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::KeyEvent;
use image::RgbImage;

use super::board;
use super::complete::Candidate;
use super::theme::Theme;
use artgpt_app::catalogue::Choice;
use artgpt_app::settings::Settings;
use artgpt_art::Label;
use artgpt_engine::{Picture, WorkerEvent};
use artgpt_runs::Item;
use artgpt_store::StoreEvent;

#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Paste(String),
    Resize(u16, u16),
    Model(WorkerEvent),
    Store(StoreEvent),
    Opened(Box<Opened>),
    /// A picture could not be opened; the text says why and what to do.
    NotOpened(String),
    /// Candidates for the path in the open window, with the text they complete.
    Completed(String, Vec<Candidate>),
    /// What there is to choose from.
    Models(Vec<Choice>),
    /// A picture at the size that the screen asked for.
    Scaled(Scaled),
    /// Edited files were read again.
    Settings(Box<(Settings, Theme)>),
    Notice(String),
    /// Something happened to a run of ours.
    News(Vec<Item>),
    /// Of the training panel.
    Panel(Box<board::Message>),
    /// About once a second while an answer streams or the training panel is open.
    Tick,
    /// The terminal or the system asks the program to end.
    Terminate,
}

/// An artwork that was read and decoded.
#[derive(Debug, Clone)]
pub struct Opened {
    pub path: PathBuf,
    pub sha256: String,
    pub label: Option<Label>,
    pub notes: Vec<String>,
    /// For the screen; not larger than a screen needs.
    pub image: Arc<RgbImage>,
    pub picture: Picture,
    /// The artwork's number in the session that asked for it, when a session is resumed.
    pub resumed: Option<(String, usize)>,
}

/// A picture scaled to a size in pixels.
#[derive(Debug, Clone)]
pub struct Scaled {
    pub sha256: String,
    pub size: (u32, u32),
    pub image: Arc<RgbImage>,
}

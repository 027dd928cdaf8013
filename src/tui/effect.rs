//! What an update wants done outside.

use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;

use super::panel;
use artgpt_chat::{ArtworkRef, Session, TurnRecord};
use artgpt_engine::Request;

/// One thing to do. Results come back as messages.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Read an image.
    OpenArtwork(PathBuf),
    /// Read an image of a resumed session (its ID), with its index there.
    ResumeArtwork(ArtworkRef, String, usize),
    /// Find the files that a path could mean.
    Complete(String),
    /// Scale an image to pixels.
    Scale {
        sha256: String,
        image: Arc<RgbImage>,
        size: (u32, u32),
    },
    /// Ask for an answer, under an id that its events carry.
    Generate(u64, Box<Request>),
    /// Stop the answer with this id.
    StopAnswer(u64),
    ReloadModel,
    ListModels,
    /// Find the folder of the installed paintings.
    FindPaintings,
    /// Switch to a model, by name or path.
    UseModel(String),
    PutTurn(Box<(Session, TurnRecord)>),
    BeginDraft(Box<(Session, TurnRecord)>),
    AppendDraft(String),
    KeepPicture(PathBuf, String),
    ListSessions,
    LoadSession(String),
    RemoveSession(String),
    /// Follow our own runs for the training panel, until it is closed.
    OpenPanel,
    /// Stop following them; save what has changed since the panel's state was saved last.
    ClosePanel(Option<Box<panel::Change>>),
    Panel(panel::Effect),
    /// Ring the bell, or what the user wants instead.
    Ring(String),
    /// Draw every cell and image again.
    Redraw,
    /// Give the terminal back and stop, until the shell continues the program.
    Suspend,
    /// Take the terminal again after a stop.
    Resume,
    Quit(Ended),
}

/// Who ended the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The user quit.
    ByUser,
    /// A signal came, or the terminal is gone.
    BySystem,
}

impl Ended {
    /// The exit code after a signal.
    pub const BY_SYSTEM: u8 = 130;
}

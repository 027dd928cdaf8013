//! What to do outside the state.

use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;

use super::board;
use artgpt_chat::{ArtworkRef, Session, TurnRecord};
use artgpt_engine::{Cancel, Request};

#[derive(Debug)]
pub enum Effect {
    /// Read a picture.
    OpenArtwork(PathBuf),
    /// Read a picture of a resumed session (its id), with its number there.
    ResumeArtwork(ArtworkRef, String, usize),
    Complete(String),
    /// Scale a picture to pixels.
    Scale {
        sha256: String,
        image: Arc<RgbImage>,
        size: (u32, u32),
    },
    Generate(u64, Box<Request>, Cancel),
    ReloadModel,
    ListModels,
    /// By name or path.
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
    /// With what has changed since the panel was kept last.
    ClosePanel(Option<Box<board::Change>>),
    Panel(board::Effect),
    /// Ring the bell, or what the user wants instead.
    Ring(String),
    /// Draw every cell and picture again.
    Redraw,
    Quit(Ended),
}

/// Who ended the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    ByUser,
    /// By a signal, or because the terminal is gone.
    BySystem,
}

//! Everything that can happen to the panel.

use std::path::PathBuf;
use std::time::SystemTime;

use crossterm::event::KeyEvent;

use super::jobs::Form;
use super::notes::Notes;
use super::page::PageData;
use super::saved_state::SavedState;
use artgpt_machine::{Load, Process};
use artgpt_runs::{Change, Item};

/// An event, or the answer to an effect.
#[derive(Debug)]
pub(crate) enum Message {
    Key(KeyEvent),
    Paste(String),
    Resize(u16, u16),
    /// About once a second, with the time: ages and states change with time alone.
    Tick(SystemTime),
    Runs(Change),
    Notice(String),
    /// Something happened to a run of ours.
    News(Vec<Item>),
    Load(Load),
    Notes(Notes),
    /// The state that was saved for the watched paths, which the text names.
    SavedState(Box<SavedState>, String),
    /// What was read for the page of this run.
    Page(PathBuf, Box<PageData>),
    Processes(Vec<Process>),
    /// The answer to [`Effect::Check`](super::Effect::Check).
    Checked(Box<Form>, Result<String, String>),
    /// The answer to [`Effect::Submit`](super::Effect::Submit), with the new runs.
    Submitted(Box<Form>, Result<(String, Vec<PathBuf>), String>),
    /// The paths that begin with a text, and their common prefix.
    Completed(String, Option<String>, Vec<String>),
    /// A picture of the chart is ready, or why there is none.
    Painted(Result<(), String>),
    /// What was requested for these runs has been done.
    RunsChanged(Vec<PathBuf>, String),
}

impl Message {
    /// Whether it may change which runs are listed, or their order.
    pub(super) fn affects_list(&self) -> bool {
        !matches!(
            self,
            Self::Paste(_)
                | Self::Resize(..)
                | Self::Notice(_)
                | Self::News(_)
                | Self::Load(_)
                | Self::Page(..)
                | Self::Processes(_)
                | Self::Checked(..)
                | Self::Completed(..)
                | Self::Painted(_)
        )
    }
}

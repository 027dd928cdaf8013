//! Everything that can happen.

use crossterm::event::KeyEvent;

use super::{chat, panel};
use artgpt_runs::Item;

/// A message to the interface. Events, threads and finished effects send them.
#[derive(Debug)]
pub(crate) enum Message {
    Key(KeyEvent),
    Paste(String),
    Resize(u16, u16),
    Chat(chat::Message),
    Panel(Box<panel::Message>),
    /// Something happened to a run of ours.
    News(Vec<Item>),
    /// About once a second while an answer streams or the panel is open.
    Tick,
    /// The terminal is gone, or the system asks the program to end.
    Terminate,
    /// The system asks the program to stop until it is continued.
    Suspend,
    /// The program was stopped and runs again.
    Resume,
}

impl From<chat::Message> for Message {
    fn from(message: chat::Message) -> Self {
        Self::Chat(message)
    }
}

impl From<panel::Message> for Message {
    fn from(message: panel::Message) -> Self {
        Self::Panel(Box::new(message))
    }
}

//! What comes from the terminal: bytes, read on a thread of their own, become keys and pastes.
//!
//! crossterm's own event source is not used: it blocks its caller after half a sequence, and it
//! loops for ever at end-of-file. Here a lost terminal is [`Message::Terminate`](super::message::Message),
//! and an unfinished sequence costs at most a moment.

mod decoder;
mod reader;
mod sequence;

pub(crate) use decoder::Decoder;
pub(crate) use reader::InputThread;

//! ArtGPT-4 in the terminal: the library behind the `artgpt-tui` binary.
pub mod art;
pub mod chat;
pub mod model;
pub mod text;

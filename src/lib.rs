//! ArtGPT-4 in the terminal: the library behind the `artgpt-tui` binary.
//!
//! Data flows one way through the rooms (see `ARCHITECTURE.md`):
//! `art` -> `model` -> `chat`, `training`, `evaluation` -> `inference`, `runs`, `jobs`,
//! `store` -> `cli`, `tui`.

pub mod art;
pub mod chat;
pub mod cli;
pub mod config;
pub mod device;
pub mod evaluation;
pub mod fetch;
mod fonts;
pub mod inference;
pub mod jobs;
pub mod machine;
pub mod model;
pub mod runs;
pub mod runtime;
pub mod signals;
pub mod store;
pub mod text;
pub mod training;
pub mod tui;

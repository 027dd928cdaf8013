//! The command line and the terminal interface of `artgpt-tui`; all else is in the crates below
//! `crates/` (see `ARCHITECTURE.md`).

pub mod cli;
pub mod tui;

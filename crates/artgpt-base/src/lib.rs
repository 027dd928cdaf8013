//! Helpers for every crate of the workspace: text that is safe for terminals, the one writer of
//! output, secrets that must not be shown, private folders, atomic file writes, limited reads, and hashes.
//!
//! This crate knows nothing of models, runs or screens.

pub mod files;
pub mod hash;
pub mod mask;
pub mod output;
pub mod private;
pub mod text;

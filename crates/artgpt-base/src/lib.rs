//! Helpers for every crate of the workspace: text that is safe for terminals, decoding of text files, the
//! one writer of output, secrets that must not be shown, atomic file writes, limited reads, and hashes.
//!
//! This crate knows nothing of models, runs or screens.

pub mod decode;
pub mod files;
pub mod hash;
pub mod mask;
pub mod output;
pub mod text;

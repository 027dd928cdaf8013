//! Helpers for every crate of the workspace: text that is safe for terminals, decoding of text files,
//! atomic file writes, limited reads, and hashes.
//!
//! This crate knows nothing of models, runs or screens.

pub mod decode;
pub mod files;
pub mod hash;
pub mod text;

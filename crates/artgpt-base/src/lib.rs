//! Helpers for every crate of the workspace: text that is safe for terminals, decoding of text files, the
//! one writer of output, secrets that must not be shown, private folders, atomic file writes, limited reads, hashes,
//! files of another kind than expected, and panics as errors.
//!
//! This crate knows nothing of models, runs or screens.

pub mod decode;
pub mod files;
pub mod foreign;
pub mod hash;
pub mod mask;
pub mod output;
pub mod panics;
pub mod private;
pub mod text;

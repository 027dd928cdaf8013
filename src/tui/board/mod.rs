//! The training panel: all runs below some folders, and their curves while they grow.

mod export;
mod keys;
mod run;
mod state;
mod trace;
mod update;
mod view;

pub use run::{BoardOptions, run_board};

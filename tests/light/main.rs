//! Tests that need neither the default model, nor the network, nor Slurm; in one binary, because
//! each binary links the whole program.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod architecture;
mod bad_checkpoints;
mod command_line;
mod data_check;
mod file_sizes;
mod full_size;
mod model_files;
mod network;
mod old_home;
mod output;
mod reference_checkpoints;
mod reference_gradients;
mod reference_modules;
mod remote;
mod runs;
mod sessions;
mod slurm;
mod talk;
mod terminal;

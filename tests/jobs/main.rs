//! Jobs with the default model: on this machine, from the panel, and in a real Slurm.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod local;
mod panel;
mod slurm;

//! Kills at random moments, full disks, damage: each test runs for `STRESS_SECONDS` (10), with a seed that
//! it prints. `STRESS_SEED` repeats one.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod budget;
mod damage;
mod full_disk;
mod kills;

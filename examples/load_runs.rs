//! Loads all runs below a folder as the training panel does, and tells how long it took and how much
//! memory it holds: `cargo run --release --example load_runs -- FOLDER`.

#![allow(clippy::print_stdout)]

use std::sync::mpsc::channel;
use std::time::Instant;

use anyhow::Context;
use artgpt_runs::{Change, Follower};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).context("name a folder with runs")?;
    let begun = Instant::now();
    let (changes, inbox) = channel();
    let follower = Follower::spawn(vec![folder.into()], None, move |change| {
        let _ = changes.send(change);
    })?;
    let mut runs = Vec::new();
    for change in inbox {
        match change {
            Change::Found(new) => runs.extend(new),
            Change::Grown(grown) => grown.into_iter().for_each(|(i, run)| runs[i] = run),
            Change::Loaded => break,
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut points = 0;
    for run in &runs {
        points += run.curves.iter().map(|(_, series)| series.len()).sum::<usize>();
    }
    let memory = artgpt_machine::peak_memory().map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    println!("{} runs, {points} points: {seconds:.3} s, at most {memory:.0} MB", runs.len());
    drop(follower);
    Ok(())
}

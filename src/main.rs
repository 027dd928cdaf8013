//! `artgpt-tui`: talk about artworks in the terminal.

use std::process::ExitCode;

/// Tensors come and go by the megabyte; the system's allocator gives each back to the kernel and
/// spends a third of a training step on page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    artgpt::cli::main()
}

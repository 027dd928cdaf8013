//! `artgpt-tui`: talk about artworks in the terminal.

use std::process::ExitCode;

fn main() -> ExitCode {
    artgpt::cli::main()
}

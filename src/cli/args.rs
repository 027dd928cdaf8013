//! Argument structs, for clap.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Talk about artworks with ArtGPT-4 in the terminal.
#[derive(Debug, Parser)]
#[command(name = "artgpt-tui", version, about)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, clap::Args)]
pub struct Common {
    /// Configuration file (default: artgpt-tui/config.toml in the XDG config folder).
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder (default: artgpt-tui in the XDG data folder).
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// cpu, cuda, cuda:N or auto.
    #[arg(long, global = true)]
    pub device: Option<String>,
    /// More on stderr; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// One JSON object on stdout.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Manifests, downloads and checks.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// One training run in the foreground.
    Train(TrainArgs),
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// What is built in or installed.
    List,
    /// A manifest.
    Show { model: String },
    /// Fetch, check and convert a model's files.
    Install { model: String },
    /// Read every file again and compare its sha256.
    Verify { model: String },
    /// Delete a model's files.
    Remove { model: String },
}

#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// The run's configuration; see examples/train/.
    #[arg(required_unless_present = "resume")]
    pub config_file: Option<PathBuf>,
    /// Go on with a run, by its id or folder.
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Replace a value of the configuration, such as seed=3 or stage.1.lr=1e-4.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

//! The command line, for clap: one file a group of commands.

mod ask;
mod eval;
mod jobs;
mod models;
mod runs;
mod sessions;
mod train;
mod tui;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use ask::{AskArgs, ScoreArgs};
pub(crate) use eval::{EvalCommand, PeftArgs, SeeingArgs, TalkArgs, TalkMetrics};
pub(crate) use jobs::{JobsCommand, SubmitArgs, SubmitCommand};
pub(crate) use models::{ConvertArgs, ModelsCommand};
pub(crate) use runs::{LogArgs, RunsCommand, RunsFormat, WatchArgs};
pub(crate) use sessions::{ExportFormat, SessionsCommand};
pub(crate) use train::{DataCommand, TrainArgs};
pub(crate) use tui::TuiArgs;

/// Talk about artworks with ArtGPT-4 in the terminal
///
/// Without a command it opens the terminal interface.
#[derive(Debug, Parser)]
#[command(
    name = "artgpt-tui",
    version,
    after_help = "Example: artgpt-tui painting.jpg --model artgpt-smol\n\n\
        Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub common: Common,
    /// What `tui` takes, for those who leave it out.
    #[command(flatten)]
    pub tui: TuiArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Their heading in help texts.
const GLOBAL: &str = "Global options";

#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Settings file [default: artgpt-tui/config.toml in the XDG config directory]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of models, sessions and runs [default: artgpt-tui in the XDG data directory]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Compute device: cpu, cuda, cuda:N or auto [default: the setting `device`, or auto]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Report more on stderr, and log more to logs/ in the data directory; -vv logs everything
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print JSON to stdout, also for an error
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open the terminal interface
    #[command(after_help = "Example: artgpt-tui tui --session 01JF painting.jpg")]
    Tui(TuiArgs),
    /// Ask one question and stream the answer as plain text
    #[command(after_help = "Example: artgpt-tui ask --image painting.jpg \"What is the palette?\"")]
    Ask(Box<AskArgs>),
    /// Print the log-probabilities of a given answer, without sampling
    #[command(
        after_help = "Example: artgpt-tui score --prompt \"The sky is\" --answer \" blue\" --raw-prompt"
    )]
    Score(ScoreArgs),
    /// List, search, export and delete stored conversations
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Evaluate models and compare training methods
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Install, verify and convert models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Train one run in the foreground
    #[command(
        after_help = "Example: artgpt-tui train examples/train/artgpt-smol.toml --set seed=3"
    )]
    Train(TrainArgs),
    /// Train in the background; jobs outlive the terminal
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Open the training panel: the curves of all runs below directories, as they grow
    #[command(after_help = "Example: artgpt-tui watch ~/runs lightning_logs")]
    Watch(WatchArgs),
    /// List, compare and export training runs of any program
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Check training data
    #[command(subcommand)]
    Data(DataCommand),
}

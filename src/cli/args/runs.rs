//! `runs` and `watch`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List all runs below directories
    #[command(after_help = "Example: artgpt-tui runs list ~/experiments")]
    List {
        /// Directories or files of training runs [default: our own runs]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        logs: LogArgs,
    },
    /// Show run status and metrics
    #[command(after_help = "Example: artgpt-tui runs show 01JF")]
    Show {
        /// Run ID, unique ID prefix, name or path
        #[arg(value_name = "RUN")]
        run: String,
        #[command(flatten)]
        logs: LogArgs,
    },
    /// Show where the configurations of runs differ
    #[command(after_help = "Example: artgpt-tui runs diff 01JF 01JG")]
    Diff {
        /// Run IDs, unique ID prefixes, names or paths
        #[arg(value_name = "RUN", required = true, num_args = 2..)]
        runs: Vec<String>,
    },
    /// Delete ended runs of ours: metrics, checkpoints and weights
    #[command(after_help = "Example: artgpt-tui runs remove 01JF")]
    Remove {
        /// Run IDs, unique ID prefixes or names
        #[arg(value_name = "RUN", required = true)]
        runs: Vec<String>,
    },
    /// Export all points of a run
    #[command(after_help = "Example: artgpt-tui runs export 01JF --out run.csv")]
    Export {
        /// Run ID, unique ID prefix, name or path
        #[arg(value_name = "RUN")]
        run: String,
        /// Output format
        #[arg(long, value_enum, value_name = "FORMAT", default_value = "csv")]
        format: RunsFormat,
        /// A file for CSV [default: stdout], a new directory for TensorBoard
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
        #[command(flatten)]
        logs: LogArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// Directories or files of training runs [default: our own runs]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub logs: LogArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Read plain logs too, with a regular expression whose named groups are metrics, such as
    /// 'step (?<step>\d+).* loss (?<loss>\S+)'
    #[arg(long, value_name = "REGEX")]
    pub pattern: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RunsFormat {
    Csv,
    Tensorboard,
}

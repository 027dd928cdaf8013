//! `jobs`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use artgpt_app::jobs::SubmitRequest;
use artgpt_app::overrides::{Override, Sweep};
use artgpt_rundir::job::Place;

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Queue a job; it starts when its device is free
    #[command(subcommand)]
    Submit(SubmitCommand),
    /// List all jobs, the oldest first
    #[command(after_help = "Example: artgpt-tui jobs list --json")]
    List,
    /// Show job status
    #[command(after_help = "Example: artgpt-tui jobs show 01JF")]
    Show {
        /// Job ID, unique ID prefix or name
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// Print the output of a job's processes
    #[command(after_help = "Example: artgpt-tui jobs logs --follow 01JF")]
    Logs {
        /// Job ID, unique ID prefix or name
        #[arg(value_name = "JOB")]
        job: String,
        /// Print new output until the job ends
        #[arg(short, long)]
        follow: bool,
    },
    /// Write a checkpoint and free the device until the job is resumed
    #[command(after_help = "Example: artgpt-tui jobs pause 01JF")]
    Pause {
        /// Job IDs, unique ID prefixes or names
        #[arg(value_name = "JOB", required = true)]
        jobs: Vec<String>,
    },
    /// Queue a paused, stopped or failed job again; it resumes from its last checkpoint
    ///
    /// A run that was started in the foreground becomes a job.
    #[command(after_help = "Example: artgpt-tui jobs resume 01JF")]
    Resume {
        /// Job IDs, unique ID prefixes or names
        #[arg(value_name = "JOB", required = true)]
        jobs: Vec<String>,
    },
    /// Write a checkpoint and end; jobs that depend on it fail
    #[command(after_help = "Example: artgpt-tui jobs stop 01JF")]
    Stop {
        /// Job IDs, unique ID prefixes or names
        #[arg(value_name = "JOB", required = true)]
        jobs: Vec<String>,
    },
    /// Delete ended jobs with their runs: metrics, checkpoints and weights
    #[command(after_help = "Example: artgpt-tui jobs remove 01JF 01JG")]
    Remove {
        /// Job IDs, unique ID prefixes or names
        #[arg(value_name = "JOB", required = true)]
        jobs: Vec<String>,
    },
    /// Run the process that starts and ends jobs; other commands start it
    #[command(hide = true)]
    Supervise,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubmitCommand {
    /// Queue a training run
    #[command(
        after_help = "Example: artgpt-tui jobs submit train examples/train/artgpt-smol.toml --sweep seed=1,2,3"
    )]
    Train(SubmitArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    /// Training configuration; see examples/train/ and examples/configs/
    #[arg(value_name = "CONFIG")]
    pub config_file: PathBuf,
    /// Override a value of the configuration, such as seed=3 or stage.1.lr=1e-4; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Queue a job for each value, and for each combination with other sweeps: seed=1,2,3
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub sweep: Vec<Sweep>,
    /// Name of the job [default: the configuration's file name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Priority; jobs with a higher one start first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Start when this job has finished; repeatable
    #[arg(long, value_name = "JOB")]
    pub after: Vec<String>,
    /// Max restarts after crashes in a row without progress
    #[arg(long, value_name = "N", default_value_t = SubmitRequest::RETRIES)]
    pub retries: u32,
    /// Where to run; [slurm] of the configuration has the cluster's options
    #[arg(long, value_enum, value_name = "PLACE", default_value = "local")]
    pub on: PlaceArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PlaceArg {
    /// This machine
    Local,
    /// A cluster's queue
    Slurm,
}

impl From<PlaceArg> for Place {
    fn from(arg: PlaceArg) -> Self {
        match arg {
            PlaceArg::Local => Self::Local,
            PlaceArg::Slurm => Self::Slurm,
        }
    }
}

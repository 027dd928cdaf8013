//! Argument structs, for clap.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use artgpt_app::settings::GraphicsChoice;
use artgpt_model::convert::{FloatType, LanguageType};
use artgpt_rundir::job::Place;

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
    /// The terminal interface (also without a subcommand).
    Tui(TuiArgs),
    /// One answer, streamed as plain text.
    Ask(Box<AskArgs>),
    /// Log-probabilities of a given answer, without sampling.
    Score(ScoreArgs),
    /// Stored conversations.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Measure what the model does.
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Manifests, downloads and checks.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// One training run in the foreground.
    Train(TrainArgs),
    /// Training runs in the background, that outlive the terminal.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// The training panel: curves of all runs below folders, while they grow.
    Watch(WatchArgs),
    /// Runs, finished and live: ours, and those of other programs.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Training data.
    #[command(subcommand)]
    Data(DataCommand),
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// Queue a run; it starts when its device is free.
    #[command(subcommand)]
    Submit(SubmitCommand),
    /// All jobs, the oldest first.
    List,
    /// How a job stands.
    Show {
        /// An id, the beginning of it, or a name.
        job: String,
    },
    /// What a job's processes printed.
    Logs {
        job: String,
        /// Go on until the job ends.
        #[arg(short, long)]
        follow: bool,
    },
    /// Write a checkpoint and free the device, until the job is resumed.
    Pause {
        #[arg(required = true)]
        jobs: Vec<String>,
    },
    /// Queue a job again that was paused or stopped, or that failed; it goes on from its last checkpoint.
    Resume {
        #[arg(required = true)]
        jobs: Vec<String>,
    },
    /// Write a checkpoint and end; jobs that come after it fail.
    Stop {
        #[arg(required = true)]
        jobs: Vec<String>,
    },
    /// Delete jobs that are over, with their runs: metrics, checkpoints and weights.
    Remove {
        #[arg(required = true)]
        jobs: Vec<String>,
    },
    /// The process that starts and ends jobs; it comes and goes by itself.
    #[command(hide = true)]
    Supervise,
}

#[derive(Debug, Subcommand)]
pub enum SubmitCommand {
    /// A training run.
    Train(SubmitArgs),
}

#[derive(Debug, clap::Args)]
pub struct SubmitArgs {
    /// The run's configuration; see examples/train/ and examples/configs/.
    pub config_file: PathBuf,
    /// Replace a value of the configuration, such as seed=3 or stage.1.lr=1e-4.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// A job for each value, and for each combination with another sweep: seed=1,2,3.
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub sweep: Vec<String>,
    /// What to call it; the configuration's file name if left out.
    #[arg(long)]
    pub name: Option<String>,
    /// Higher ones start first.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Start when this job has finished; may be given several times.
    #[arg(long, value_name = "JOB")]
    pub after: Vec<String>,
    /// Starts again after so many crashes in a row without a step of progress.
    #[arg(long, default_value_t = Self::RETRIES)]
    pub retries: u32,
    /// This machine, or a cluster's queue ([slurm] of the configuration has its options).
    #[arg(long, default_value = "local", value_parser = PossibleValuesParser::new(["local", "slurm"]).try_map(|word| word.parse::<Place>()))]
    pub on: Place,
}

impl SubmitArgs {
    /// A machine that is short of memory once is so again and again.
    pub const RETRIES: u32 = 2;
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// All runs below folders; by default our own.
    List {
        paths: Vec<PathBuf>,
        #[command(flatten)]
        logs: LogArgs,
    },
    /// How a run stands, and its metrics.
    Show {
        /// An id, the beginning of it, a name, or a path.
        run: String,
        #[command(flatten)]
        logs: LogArgs,
    },
    /// Where the configurations of runs differ.
    Diff {
        /// Ids, or paths.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<String>,
    },
    /// Delete runs of ours that are over: metrics, checkpoints and weights.
    Remove {
        #[arg(required = true)]
        runs: Vec<String>,
    },
    /// All points of a run.
    Export {
        /// An id, or a path.
        run: String,
        #[arg(long, value_enum, default_value = "csv")]
        format: RunsFormat,
        /// A file for CSV (else stdout), a new folder for TensorBoard.
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
        #[command(flatten)]
        logs: LogArgs,
    },
}

#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// Folders or files that training runs write; by default our own runs.
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub logs: LogArgs,
}

#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// Read plain logs, too: a regular expression whose named groups are metrics, such as
    /// 'step (?<step>\d+).* loss (?<loss>\S+)'.
    #[arg(long, value_name = "REGEX")]
    pub pattern: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum RunsFormat {
    Csv,
    Tensorboard,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Read all pictures and captions of a configuration, and tell what is wrong with them.
    Check {
        /// The configuration of a run, with [data].
        config_file: PathBuf,
        /// Replace a value of the configuration, such as data.path=captions.csv.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// Do not draw the sample pictures.
        #[arg(long)]
        no_pictures: bool,
    },
}

#[derive(Debug, Default, clap::Args)]
pub struct TuiArgs {
    /// A model's name, manifest or folder.
    #[arg(long)]
    pub model: Option<String>,
    /// How pictures are drawn.
    #[arg(long, value_parser = PossibleValuesParser::new(GraphicsChoice::WORDS).try_map(|word| word.parse::<GraphicsChoice>()))]
    pub graphics: Option<GraphicsChoice>,
    /// Go on with a stored session, by its id or the beginning of it.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// An artwork to open.
    pub image: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct AskArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Go on with a stored session and keep this round in it; `new` begins one.
    #[arg(long, value_name = "ID", conflicts_with = "raw_prompt")]
    pub session: Option<String>,
    /// Replaces the template's system text.
    #[arg(long, value_name = "TEXT", conflicts_with = "raw_prompt")]
    pub system: Option<String>,
    /// Always the likeliest token.
    #[arg(long, conflicts_with_all = ["temperature", "top_p", "top_k", "min_p"])]
    pub greedy: bool,
    /// Flatness of the draw; 0 takes the likeliest token.
    #[arg(long, allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Draw from the likeliest tokens that have this probability together.
    #[arg(long, allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// Draw from this many likeliest tokens; 0 is no limit.
    #[arg(long)]
    pub top_k: Option<usize>,
    /// Leave out tokens less likely than this share of the likeliest; 0 is none.
    #[arg(long, allow_negative_numbers = true)]
    pub min_p: Option<f64>,
    /// Above 1 turns away from what was said; 1 is none.
    #[arg(long, allow_negative_numbers = true)]
    pub repetition_penalty: Option<f32>,
    /// Taken from the logit of each token that the answer has already; 0 is none.
    #[arg(long, allow_negative_numbers = true)]
    pub presence_penalty: Option<f32>,
    /// Seek the likeliest whole answer among this many side by side; it comes at once.
    #[arg(long, value_name = "N", conflicts_with_all = ["temperature", "top_p", "top_k", "min_p", "seed"])]
    pub beams: Option<usize>,
    /// With beams: above 0 favours longer answers, below 0 shorter ones.
    #[arg(long, allow_negative_numbers = true)]
    pub length_penalty: Option<f64>,
    /// The answer does not end before it has this many tokens.
    #[arg(long, value_name = "N")]
    pub min_new_tokens: Option<usize>,
    /// A text that ends the answer; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Repeats a draw.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Length limit of the answer.
    #[arg(long, value_name = "N")]
    pub max_new_tokens: Option<usize>,
    /// The question; `-` reads it from stdin.
    pub prompt: String,
}

#[derive(Debug, clap::Args)]
pub struct ScoreArgs {
    #[command(flatten)]
    pub input: InputArgs,
    #[arg(long, value_name = "P")]
    pub prompt: String,
    #[arg(long, value_name = "A")]
    pub answer: String,
}

/// What `ask` and `score` read besides the prompt.
#[derive(Debug, clap::Args)]
pub struct InputArgs {
    /// A model's name, manifest or folder.
    #[arg(long)]
    pub model: Option<String>,
    /// A picture; may be given several times.
    #[arg(long = "image", value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// Skip the chat template; `<image>` in the text places each picture.
    #[arg(long)]
    pub raw_prompt: bool,
}

#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// All sessions, newest change first.
    List,
    /// A session as text.
    Show { id: String },
    /// Sessions whose title, label or turns hold a text.
    Search { text: String },
    /// A session for other programs and readers.
    Export {
        id: String,
        #[arg(long, value_enum, default_value = "md")]
        format: ExportFormat,
    },
    /// Read a conversation that `export --format json` wrote.
    Import { file: PathBuf },
    /// Delete a session.
    Rm { id: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    Md,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Does it see? Held-out paintings with the right picture, a wrong one, and none.
    Seeing(SeeingArgs),
    /// Train by several methods on the same data, steps and seeds, and compare.
    Peft(PeftArgs),
}

#[derive(Debug, clap::Args)]
pub struct PeftArgs {
    /// The comparison, such as examples/peft/smol.toml.
    pub config_file: PathBuf,
    /// Where runs and report go; what is there already is not done again.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace a value of the comparison, such as train.data.path=objects.json.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct SeeingArgs {
    #[arg(long)]
    pub model: Option<String>,
    /// A data manifest's name, or a folder with pictures and `objects.json`.
    #[arg(long, default_value = "met-paintings")]
    pub data: String,
    /// The split a training run wrote; the default model's is built in.
    #[arg(long, value_name = "FILE")]
    pub split: Option<PathBuf>,
    /// Views of each painting: the whole, then crops of it.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub views: u16,
    /// Things asked for that are in a painting, and as many that are not.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub things: u16,
    /// Ask the wordings that training saw instead of the one it never saw.
    #[arg(long)]
    pub trained_wording: bool,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Write a model of any layout as safetensors and a manifest.
    Convert {
        /// A name, a manifest or a folder.
        source: String,
        /// The folder to write; it must not be there yet.
        target: PathBuf,
        /// What the language model's matrices become; q4_k and q8_0 make a GGUF file.
        #[arg(long, value_enum, default_value = "keep")]
        language: LanguageChoice,
        /// What all other tensors become; q8_0 and q4_k make GGUF files.
        #[arg(long, value_enum, default_value = "keep")]
        rest: FloatChoice,
        /// Add a LoRA to the language model's matrices: the model's own, or that of a folder of
        /// the package `peft`. A GGUF file becomes one of f16 unless --language says otherwise.
        #[arg(long, value_name = "FOLDER", require_equals = true, conflicts_with = "unmerge")]
        merge: Option<Option<PathBuf>>,
        /// Take the LoRA of this folder out of the matrices again; see --merge.
        #[arg(long, value_name = "FOLDER")]
        unmerge: Option<PathBuf>,
    },
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

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum LanguageChoice {
    Keep,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q4_k")]
    Q4K,
}

impl From<LanguageChoice> for LanguageType {
    fn from(choice: LanguageChoice) -> Self {
        match choice {
            LanguageChoice::Keep => Self::Keep,
            LanguageChoice::Q8_0 => Self::Q8_0,
            LanguageChoice::Q4K => Self::Q4K,
        }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum FloatChoice {
    Keep,
    F16,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q4_k")]
    Q4K,
}

impl From<FloatChoice> for FloatType {
    fn from(choice: FloatChoice) -> Self {
        match choice {
            FloatChoice::Keep => Self::Keep,
            FloatChoice::F16 => Self::F16,
            FloatChoice::Q8_0 => Self::Q8_0,
            FloatChoice::Q4K => Self::Q4K,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// The run's configuration; see examples/train/ and examples/configs/.
    #[arg(required_unless_present = "resume")]
    pub config_file: Option<PathBuf>,
    /// Go on with a run, by its id, the beginning of it, or its folder.
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Replace a value of the configuration, such as seed=3 or stage.1.lr=1e-4.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What to call it; the configuration's file name if left out.
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub name: Option<String>,
    /// Leave the terminal's session, so that the run does not end with it.
    #[arg(long, hide = true)]
    pub own_session: bool,
}

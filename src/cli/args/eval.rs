//! `eval`.

use std::path::PathBuf;

use clap::Subcommand;

use artgpt_app::overrides::Override;

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Measure whether a model sees: held-out paintings with the right image, a wrong one and none
    #[command(after_help = "Example: artgpt-tui eval seeing --model artgpt-smol --views 1")]
    Seeing(SeeingArgs),
    /// Measure how a model talks about paintings: questions with reference answers, with the right image,
    /// a wrong one and none
    #[command(after_help = "Example: artgpt-tui eval talk --limit 5 --out answers")]
    Talk(TalkArgs),
    /// Train with several methods on the same data, steps and seeds, and compare them
    #[command(
        after_help = "Example: artgpt-tui eval peft examples/peft/smol.toml --out comparison"
    )]
    Peft(PeftArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PeftArgs {
    /// Comparison to run, such as examples/peft/smol.toml
    #[arg(value_name = "CONFIG")]
    pub config_file: PathBuf,
    /// Output directory for runs and report; finished runs in it are kept
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Override a value of the comparison, such as train.data.path=objects.json; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SeeingArgs {
    /// Model name, manifest, directory or run [default: the setting `model`]
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Data set name, or a directory with images and `objects.json`
    #[arg(long, value_name = "DATA", default_value = "met-paintings")]
    pub data: String,
    /// Split file of a training run [default: the default model's, which is built in]
    #[arg(long, value_name = "FILE")]
    pub split: Option<PathBuf>,
    /// Views of each painting: the whole, then crops (1 to 100)
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub views: u16,
    /// Number of objects to ask about that are in a painting, and as many that are not (0 to 100)
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub things: u16,
    /// Ask with the wordings of the training data instead of the held-out wording
    #[arg(long)]
    pub trained_wording: bool,
    /// Write the image's measured line into the prompt, as a chat does where the model's manifest says so;
    /// without this the model has its pixels only
    #[arg(long)]
    pub measured: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TalkArgs {
    /// Model name, manifest, directory or run [default: the setting `model`]
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Conversations with reference answers, as JSON Lines [default: about the default model's held-out
    /// paintings, built in]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Data set of the paintings, or a directory with images and `objects.json`
    #[arg(long, value_name = "DATA", default_value = "met-paintings")]
    pub museum: String,
    /// Max number of paintings [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Max number of conversations about each painting, a fixed random choice
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub questions: u32,
    /// Ask all conversations about each painting
    #[arg(long, conflicts_with = "questions")]
    pub all: bool,
    /// What to compute
    #[arg(long, value_name = "METRICS", value_enum, value_delimiter = ',', default_values = ["text", "logprob"])]
    pub metrics: Vec<TalkMetrics>,
    /// Directory that keeps each answer and log-probability; what is in it is not asked again
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Groups of metrics of `eval talk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TalkMetrics {
    /// Generate answers and compare them with the references
    Text,
    /// Log-probabilities of the reference answers
    Logprob,
}

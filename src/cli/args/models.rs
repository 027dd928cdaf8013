//! `models`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use artgpt_model::convert::{FloatType, LanguageType};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Convert a model of any layout to safetensors (or GGUF) and a manifest
    #[command(
        after_help = "Example: artgpt-tui models convert artgpt-smol converted --language q4_k"
    )]
    Convert(ConvertArgs),
    /// List built-in and installed models
    #[command(after_help = "Example: artgpt-tui models list --json")]
    List,
    /// Print a model's manifest, tensors and memory estimate
    #[command(after_help = "Example: artgpt-tui models show artgpt-smol")]
    Show {
        /// Model name, manifest, directory or run
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Download a model's files, check their SHA-256 and convert them
    #[command(after_help = "Example: artgpt-tui models install artgpt-smol")]
    Install {
        /// Model name or manifest
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Check every file's SHA-256, every tensor, and one forward pass
    #[command(after_help = "Example: artgpt-tui models verify artgpt-smol")]
    Verify {
        /// Model name, manifest, directory or run
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Delete a model's files
    #[command(after_help = "Example: artgpt-tui models remove artgpt-smol")]
    Remove {
        /// Model name
        #[arg(value_name = "MODEL")]
        model: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConvertArgs {
    /// Model name, manifest, directory or run
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Directory to write; it must not exist
    #[arg(value_name = "TARGET")]
    pub target: PathBuf,
    /// Type of the language model's matrices; q8_0 and q4_k write a GGUF file
    #[arg(long, value_enum, value_name = "TYPE", default_value = "keep")]
    pub language: LanguageChoice,
    /// Type of all other tensors; q8_0 and q4_k write GGUF files
    #[arg(long, value_enum, value_name = "TYPE", default_value = "keep")]
    pub rest: FloatChoice,
    /// Merge a LoRA into the language model's matrices: the model's own, or that of a `peft`
    /// directory. A GGUF file becomes f16 unless --language is given
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, conflicts_with = "unmerge")]
    pub merge: Option<Option<PathBuf>>,
    /// Subtract the LoRA of a `peft` directory from the matrices; the inverse of --merge
    #[arg(long, value_name = "DIR")]
    pub unmerge: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LanguageChoice {
    /// As stored
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

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FloatChoice {
    /// As stored
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

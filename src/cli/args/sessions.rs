//! `sessions`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List all sessions, the last changed first
    #[command(after_help = "Example: artgpt-tui sessions list --json")]
    List,
    /// Print a session as Markdown
    #[command(after_help = "Example: artgpt-tui sessions show 01JF")]
    Show {
        /// Session ID or unique ID prefix
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Find sessions by a text in their title, labels or turns
    #[command(after_help = "Example: artgpt-tui sessions search monet")]
    Search {
        /// Text to look for, in any case
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Export a session for other programs and readers
    #[command(after_help = "Example: artgpt-tui sessions export 01JF --format json > session.json")]
    Export {
        /// Session ID or unique ID prefix
        #[arg(value_name = "ID")]
        id: String,
        /// Output format
        #[arg(long, value_enum, value_name = "FORMAT", default_value = "md")]
        format: ExportFormat,
    },
    /// Import a session from JSON (as exported) or TOML
    #[command(after_help = "Example: artgpt-tui sessions import session.json")]
    Import {
        /// File to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete a session
    #[command(after_help = "Example: artgpt-tui sessions rm 01JF")]
    Rm {
        /// Session ID or unique ID prefix
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Markdown
    Md,
    Json,
}

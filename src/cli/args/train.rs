//! `train` and `data`.

use std::path::PathBuf;

use clap::Subcommand;

use artgpt_app::overrides::Override;

#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Training configuration; see examples/train/ and examples/configs/
    #[arg(value_name = "CONFIG", required_unless_present = "resume")]
    pub config_file: Option<PathBuf>,
    /// Resume a run, by ID, unique ID prefix, name or directory
    #[arg(long, value_name = "RUN")]
    pub resume: Option<String>,
    /// Override a value of the configuration, such as seed=3 or stage.1.lr=1e-4; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Override>,
    /// Name of the run [default: the configuration's file name]
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub name: Option<String>,
    /// Leave the terminal's session, so that the run does not end with it
    #[arg(long, hide = true)]
    pub own_session: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Read all images and captions of a configuration, and report what is wrong with them
    #[command(after_help = "Example: artgpt-tui data check examples/train/artgpt-smol.toml")]
    Check {
        /// Training configuration with [data]
        #[arg(value_name = "CONFIG")]
        config_file: PathBuf,
        /// Override a value of the configuration, such as data.path=captions.csv; repeatable
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<Override>,
        /// Do not draw the sample images
        #[arg(long)]
        no_pictures: bool,
    },
}

//! `tui`.

use std::path::PathBuf;

use clap::ValueEnum;

use artgpt_app::settings::GraphicsChoice;

#[derive(Debug, Default, PartialEq, clap::Args)]
pub(crate) struct TuiArgs {
    /// Model name, manifest, directory, run, or `openai:URL#NAME` [default: the setting `model`]
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,
    /// How to draw pictures [default: the setting `graphics`, or auto]
    #[arg(long, value_enum, value_name = "MODE")]
    pub graphics: Option<GraphicsArg>,
    /// Continue the stored session with this ID or unique ID prefix
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Artworks to open
    #[arg(value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
}

/// How pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphicsArg {
    /// What the terminal reports
    Auto,
    Kitty,
    Iterm,
    Sixel,
    /// Half-block characters, which work everywhere
    Blocks,
    /// No pictures
    None,
}

impl From<GraphicsArg> for GraphicsChoice {
    fn from(arg: GraphicsArg) -> Self {
        match arg {
            GraphicsArg::Auto => Self::Auto,
            GraphicsArg::Kitty => Self::Kitty,
            GraphicsArg::Iterm => Self::Iterm,
            GraphicsArg::Sixel => Self::Sixel,
            GraphicsArg::Blocks => Self::Blocks,
            GraphicsArg::None => Self::None,
        }
    }
}

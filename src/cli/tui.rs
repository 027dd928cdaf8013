//! `tui`, which is also what runs without a subcommand.

use std::process::ExitCode;
use std::sync::Arc;

use super::args::TuiArgs;
use super::steering::Steering;
use super::{Context, Failure};
use crate::tui::{Ended, Options, Steer, run as run_tui};
use artgpt_app::settings::{GraphicsChoice, Settings};

pub fn run(context: Context, args: TuiArgs) -> Result<ExitCode, Failure> {
    let steer = Some(Arc::new(Steering::of(&context)?) as Arc<dyn Steer>);
    let Context { settings, paths, .. } = context;
    // Flags stay on top when the file is edited.
    let flags =
        Flags { model: args.model, graphics: args.graphics, device: settings.device.clone() };
    let file = paths.config_file.clone();
    let settings = flags.over(settings);
    let reload = Box::new(move || {
        Settings::load(&file, false).map(|s| flags.over(s)).map_err(|e| e.to_string())
    });
    let options =
        Options { settings, paths, reload, image: args.image, session: args.session, steer };
    Ok(match run_tui(options)? {
        Ended::ByUser => ExitCode::SUCCESS,
        Ended::BySystem => ExitCode::from(130),
    })
}

struct Flags {
    model: Option<String>,
    graphics: Option<GraphicsChoice>,
    device: String,
}

impl Flags {
    fn over(&self, mut settings: Settings) -> Settings {
        if let Some(model) = &self.model {
            settings.model.clone_from(model);
        }
        settings.graphics = self.graphics.unwrap_or(settings.graphics);
        settings.device.clone_from(&self.device);
        settings
    }
}

//! `tui`, which is also what runs without a subcommand.

use std::process::ExitCode;
use std::sync::Arc;

use super::args::TuiArgs;
use super::failure::of_terminal;
use super::steering::Steering;
use super::{Context, Failure};
use crate::tui::{Ended, Options, Steer, run as run_tui};
use artgpt_app::settings::{GraphicsChoice, Settings};
use artgpt_app::{App, explain};

pub(crate) fn run(context: Context, args: TuiArgs) -> Result<ExitCode, Failure> {
    let steer = Some(Arc::new(Steering::of(&context.app)?) as Arc<dyn Steer>);
    let App { settings, paths, .. } = context.app;
    // Flags stay on top when the file is edited.
    let flags = Flags {
        model: args.model,
        graphics: args.graphics.map(GraphicsChoice::from),
        device: settings.device.clone(),
    };
    let file = paths.config_file.clone();
    let settings = flags.over(settings);
    let reload = Box::new(move || {
        Settings::load(&file, false).map(|s| flags.over(s)).map_err(|e| explain(&e.into()))
    });
    let options =
        Options { settings, paths, reload, image: args.image, session: args.session, steer };
    Ok(match run_tui(options).map_err(of_terminal)? {
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

//! `tui`, which is also what runs without a subcommand.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;

use super::args::{Args, TuiArgs};
use super::failure::of_terminal;
use super::steering::Steering;
use super::{Context, Failure};
use crate::tui::{Ended, Options, Steer, run as run_tui};
use artgpt_app::models::reference;
use artgpt_app::settings::{GraphicsChoice, Settings};
use artgpt_app::{App, AppError, explain};

/// `artgpt-tui [PICTURE]...`: a word that can be no picture is a command that does not exist.
pub(crate) fn without_command(context: Context, args: TuiArgs) -> Result<ExitCode, Failure> {
    let is_word = |path: &&PathBuf| {
        path.extension().is_none() && path.components().count() == 1 && !path.exists()
    };
    if let Some(word) = args.pictures.iter().find(is_word) {
        let word = word.display().to_string();
        let hint = match nearest_command(&word) {
            Some(name) => format!("did you mean `artgpt-tui {name}`?"),
            None => "see --help".into(),
        };
        return Err(Failure::usage(format!("there is no command and no picture `{word}`"), hint));
    }
    run(context, args)
}

/// The command whose name is nearly this word.
fn nearest_command(word: &str) -> Option<String> {
    let root = Args::command();
    let names = root.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name());
    let likeness = |name: &str| strsim::jaro_winkler(name, word);
    let nearest = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(nearest) > 0.8).then(|| nearest.to_string())
}

pub(crate) fn run(context: Context, args: TuiArgs) -> Result<ExitCode, Failure> {
    let steer = Some(Arc::new(Steering::of(&context.app)?) as Arc<dyn Steer>);
    let app = context.app.clone();
    let App { settings, paths, .. } = context.app;
    // Flags stay on top when the file is edited.
    let flags = Flags {
        model: args.model,
        graphics: args.graphics.map(GraphicsChoice::from),
        device: settings.device.clone(),
    };
    let file = paths.config_file.clone();
    // A run's name becomes its directory.
    let with_flags = move |settings: Settings| -> Result<Settings, AppError> {
        let mut settings = flags.over(settings);
        settings.model = reference(&app, &settings.model)?;
        Ok(settings)
    };
    let settings = with_flags(settings)?;
    let reload = Box::new(move || {
        let settings = Settings::load(&file, false).map_err(AppError::from).and_then(&with_flags);
        settings.map_err(|e| explain(&e))
    });
    let (pictures, session) = (args.pictures, args.session);
    let options = Options { settings, paths, reload, pictures, session, steer };
    Ok(match run_tui(options).map_err(of_terminal)? {
        Ended::ByUser => ExitCode::SUCCESS,
        Ended::BySystem => ExitCode::from(Ended::BY_SYSTEM),
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

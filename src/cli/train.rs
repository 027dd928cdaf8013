//! `train CONFIG.toml [--resume RUN] [--set key=value]...`

use std::process::ExitCode;

use super::args::TrainArgs;
use super::input::cancel_on_signal;
use super::{Context, Failure};
use artgpt_app::AppError;
use artgpt_app::train::{TrainRequest, Trained, is_default_data, train};
use artgpt_base::output;
use artgpt_base::text::shell_word;
use artgpt_rundir::run_id;

pub(crate) fn run(context: &Context, args: TrainArgs) -> Result<ExitCode, Failure> {
    let stop = cancel_on_signal()?;
    let request = TrainRequest {
        config_file: args.config_file,
        set: args.set,
        resume: args.resume,
        name: args.name,
        as_job: args.own_session,
    };
    let abort = |error: &AppError| {
        let failure = Failure::of(error);
        failure.report(context.json);
        std::process::exit(failure.code.into())
    };
    match train(&context.app, &request, &|| stop.is_cancelled(), &abort)? {
        Trained::Followed => Ok(ExitCode::SUCCESS),
        Trained::Finished { run, weights } => {
            let home = data_dir(context);
            output::note(format_args!("talk to it: artgpt-tui {home}--model {}", run_id(&run)));
            match context.json {
                true => output::line(serde_json::json!({"run": run_id(&run), "weights": weights})),
                false => output::line(weights.display()),
            }
            Ok(ExitCode::SUCCESS)
        }
        Trained::Stopped { run, is_job } => {
            let (home, id) = (data_dir(context), run_id(&run));
            let how = if is_job { "jobs resume" } else { "train --resume" };
            output::note(format_args!("stopped; resume it with: artgpt-tui {home}{how} {id}"));
            Ok(ExitCode::from(130))
        }
    }
}

/// The flag that names this data folder, where it is not the default one.
fn data_dir(context: &Context) -> String {
    let data = &context.app.paths.data;
    match is_default_data(data) {
        true => String::new(),
        false => format!("--data-dir {} ", shell_word(&data.display().to_string())),
    }
}

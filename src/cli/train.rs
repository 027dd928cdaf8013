//! `train CONFIG.toml [--resume RUN] [--set key=value]...`

use std::process::ExitCode;

use super::args::TrainArgs;
use super::input::cancel_on_signal;
use super::{Context, Failure, out};
use artgpt_app::AppError;
use artgpt_app::train::{TrainRequest, Trained, is_default_data, train};
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
            eprintln!("talk to it: artgpt-tui --model {}", run.display());
            match context.json {
                true => out::line(serde_json::json!({"run": run_id(&run), "weights": weights})),
                false => out::line(weights.display()),
            }
            Ok(ExitCode::SUCCESS)
        }
        Trained::Stopped { run, is_job } => {
            let data = &context.app.paths.data;
            let home = match is_default_data(data) {
                true => String::new(),
                false => format!("--data-dir {} ", data.display()),
            };
            let how = if is_job { "jobs resume" } else { "train --resume" };
            eprintln!("stopped; resume it with: artgpt-tui {home}{how} {}", run_id(&run));
            Ok(ExitCode::from(130))
        }
    }
}

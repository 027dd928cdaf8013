//! `runs list | show | diff | remove | export`, and `watch`.

mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{LogArgs, RunsCommand, RunsFormat, WatchArgs};
use super::failure::of_terminal;
use super::steering::Steering;
use super::{Context, Failure};
use crate::tui::{Ended, PanelPaths, WatchOptions, watch as run_watch};
use artgpt_app::NO_METRICS;
use artgpt_app::runs::{self, ExportTarget, Rounded, Summary};
use artgpt_base::output;
use artgpt_base::text::printable;
use artgpt_runs::{Pattern, PatternError};

const NONE_YET: &str = "no runs yet; `artgpt-tui train CONFIG` starts one";

pub(crate) fn run(context: &Context, command: RunsCommand) -> Result<ExitCode, Failure> {
    let app = &context.app;
    match command {
        RunsCommand::List { paths, logs } => {
            let all = runs::list(app, &paths, pattern(logs)?.as_ref())?;
            if all.is_empty() && !context.json {
                for file in runs::unread(&paths) {
                    let (path, reason) = (file.path.display(), &file.reason);
                    output::note(printable(&format!("{path} is not read: {reason}")));
                }
                output::note(if paths.is_empty() { NONE_YET } else { NO_METRICS });
            }
            show::list(context, &all);
        }
        RunsCommand::Show { run, logs } => {
            let run = runs::open(app, &run, pattern(logs)?.as_ref())?;
            match context.json {
                true => output::line(show::to_json(&Summary::of(&run))),
                false => show::show(&run),
            }
        }
        RunsCommand::Remove { runs } => removed(context, &runs::remove(app, &runs)?),
        RunsCommand::Diff { runs } => diff(context, &runs)?,
        RunsCommand::Export { run, format, out, logs } => {
            let run = runs::open(app, &run, pattern(logs)?.as_ref())?;
            export(&run, format, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `watch`
pub(crate) fn watch(context: &Context, args: WatchArgs) -> Result<ExitCode, Failure> {
    let app = &context.app;
    let pattern = pattern(args.logs)?;
    let paths = runs::folders(app, &args.paths)?;
    let exports = std::env::current_dir().unwrap_or_else(|_| ".".into());
    let data = app.paths.data.clone();
    let options = WatchOptions {
        paths: PanelPaths { paths, pattern, data, exports },
        keys_file: context.app.paths.keys_file(),
        theme: app.settings.theme.clone(),
        graphics: app.settings.graphics,
        notices: app.settings.notices.clone(),
        steer: Some(Arc::new(Steering::of(app)?)),
    };
    Ok(match run_watch(options).map_err(of_terminal)? {
        Ended::ByUser => ExitCode::SUCCESS,
        Ended::BySystem => ExitCode::from(Ended::BY_SYSTEM),
    })
}

/// Says which runs were deleted.
pub(crate) fn removed(context: &Context, ids: &[String]) {
    for id in ids {
        match context.json {
            true => output::line(serde_json::json!({ "removed": id })),
            false => output::line(format!("{}  removed", printable(id))),
        }
    }
}

fn pattern(logs: LogArgs) -> Result<Option<Pattern>, Failure> {
    logs.pattern.map(|text| Pattern::new(&text)).transpose().map_err(|error| {
        let hint = match error {
            PatternError::NoMetric => r"write one as (?<loss>[-+.eE\d]+)",
            PatternError::Syntax(_) => "see `artgpt-tui runs list --help`",
        };
        Failure::usage(format!("--pattern cannot be used: {error}"), hint)
    })
}

fn diff(context: &Context, names: &[String]) -> Result<(), Failure> {
    let rows = runs::diff(&context.app, names)?;
    if context.json {
        output::line(serde_json::json!(rows.into_iter().collect::<BTreeMap<_, _>>()));
        return Ok(());
    }
    if rows.is_empty() {
        output::note("the configurations are the same");
    }
    show::differences(names, rows);
    Ok(())
}

/// Says on stderr what TensorBoard's format cannot hold.
fn told(Rounded { steps, values }: Rounded) {
    if steps > 0 {
        output::note(format_args!(
            "{steps} points have fractional steps; event files hold whole ones: rounded down"
        ));
    }
    if values > 0 {
        output::note(format_args!(
            "{values} values are too large for 32-bit floats and were written as infinite"
        ));
    }
}

fn export(run: &artgpt_runs::Run, format: RunsFormat, to: Option<PathBuf>) -> Result<(), Failure> {
    // What the export does not hold, for people alone.
    for part in run.skipped.iter() {
        output::note(printable(&format!("skipped: {part}")));
    }
    for file in &run.unread {
        output::note(printable(&format!("not read: {file}")));
    }
    match (format, to) {
        (RunsFormat::Csv, None) => {
            use std::io::IsTerminal;
            let is_terminal = std::io::stdout().is_terminal();
            let target = ExportTarget::CsvStream { out: &mut output::Stdout, is_terminal };
            let exported = runs::export(run, target).map(drop);
            // An error of stdout is reported when the command ends, as everywhere.
            exported.or_else(|e| output::stdout_error().map(|_| ()).ok_or(e))?;
        }
        (RunsFormat::Csv, Some(path)) => drop(runs::export(run, ExportTarget::CsvFile(path))?),
        (RunsFormat::Tensorboard, None) => {
            return Err(Failure::usage(
                "TensorBoard reads a directory",
                "name a new one with --out DIR",
            ));
        }
        (RunsFormat::Tensorboard, Some(folder)) => {
            told(runs::export(run, ExportTarget::TensorBoard(folder.clone()))?);
            output::line(printable(&folder.display().to_string()));
        }
    }
    Ok(())
}

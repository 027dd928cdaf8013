//! `runs list | show | diff | export`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use super::args::{LogArgs, RunsCommand, RunsFormat, WatchArgs};
use super::steering::Steering;
use super::{Context, Failure, out};
use crate::tui::{BoardOptions, Ended, Places, run_board};
use artgpt_base::text::{fit, printable};
use artgpt_rundir::events::EventFile;
use artgpt_rundir::job::named;
use artgpt_runs::catalogue::{Found, find};
use artgpt_runs::{Pattern, Run, RunReader};

pub fn run(context: &Context, command: RunsCommand) -> Result<ExitCode, Failure> {
    match command {
        RunsCommand::List { paths, logs } => {
            let pattern = parse(logs)?;
            let own = paths.is_empty();
            let given = given_or_own(context, paths)?;
            let found = given.iter().flat_map(|path| find(path, pattern.is_some()));
            let found: Vec<Found> = found.collect();
            // A run's curves are dropped when its line is known.
            let lines: Vec<Summary> = found
                .into_par_iter()
                .map(|found| Summary::of(&RunReader::whole(found, pattern.clone())))
                .collect();
            if lines.is_empty() && !context.json {
                eprintln!("{}", if own { NONE_YET } else { NO_METRICS });
            }
            list(context, lines);
        }
        RunsCommand::Show { run, logs } => {
            let run = open(context, &run, logs)?;
            match context.json {
                true => out::line(told(&run)),
                false => show(&run),
            }
        }
        RunsCommand::Remove { runs } => remove(context, &runs)?,
        RunsCommand::Diff { runs } => diff(context, &runs)?,
        RunsCommand::Export { run, format, out: folder, logs } => {
            let run = open(context, &run, logs)?;
            export(&run, format, folder)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Longer names and values are cut in tables; `--json` has them whole.
const WIDEST: usize = 80;
const NONE_YET: &str = "no runs yet; `artgpt-tui train CONFIG` begins one";
const NO_METRICS: &str = "metrics are read from *.jsonl, tfevents, *.wandb, trainer_state.json, *.csv, or a log with --pattern";

/// `watch`
pub fn watch(context: &Context, args: WatchArgs) -> Result<ExitCode, Failure> {
    let pattern = parse(args.logs)?;
    let paths = given_or_own(context, args.paths)?;
    let steer = Steering::of(context)?;
    let exports = std::env::current_dir().unwrap_or_default();
    let data = context.paths.data.clone();
    let options = BoardOptions {
        places: Places { paths, pattern, data, exports },
        theme: context.settings.theme.clone(),
        graphics: context.settings.graphics,
        notices: context.settings.notices.clone(),
        steer: Some(Arc::new(steer)),
    };
    Ok(match run_board(options)? {
        Ended::ByUser => ExitCode::SUCCESS,
        Ended::BySystem => ExitCode::from(130),
    })
}

fn given_or_own(context: &Context, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    if paths.is_empty() {
        let own = context.paths.runs();
        // Made now, so that it can be watched.
        std::fs::create_dir_all(&own).map_err(|e| wrong(&own, &e))?;
        return Ok(vec![own]);
    }
    match paths.iter().find(|p| !p.exists()) {
        None => Ok(paths),
        Some(missing) => Err(Failure::usage(
            format!("there is no {}", missing.display()),
            "name folders or files that a training run writes",
        )),
    }
}

fn wrong(path: &Path, e: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        "runs",
        format!("cannot write {}: {e}; check permissions and free space", path.display()),
    )
}

fn parse(logs: LogArgs) -> Result<Option<Pattern>, Failure> {
    logs.pattern.map(|text| Pattern::new(&text)).transpose().map_err(|reason| {
        Failure::usage(
            format!("--pattern cannot be used: {reason}"),
            "see `artgpt-tui runs --help`",
        )
    })
}

fn place(context: &Context, name: &str) -> Result<PathBuf, Failure> {
    named(&context.paths.runs(), name).map_err(|e| Failure { code: 2, ..e.into() })
}

/// Deletes runs of ours; all of them, or none where one may not be.
pub fn remove(context: &Context, names: &[String]) -> Result<(), Failure> {
    let paths: Vec<PathBuf> =
        names.iter().map(|name| place(context, name)).collect::<Result<_, _>>()?;
    artgpt_jobs::remove(&context.paths.runs(), &paths)?;
    for path in paths {
        let id = artgpt_rundir::run_id(&path);
        match context.json {
            true => out::line(serde_json::json!({ "removed": id })),
            false => out::line(format!("{}  removed", printable(&id))),
        }
    }
    Ok(())
}

/// A run by what it is called.
fn open(context: &Context, name: &str, logs: LogArgs) -> Result<Run, Failure> {
    let pattern = parse(logs)?;
    let path = &place(context, name)?;
    let mut found = find(path, pattern.is_some());
    if found.len() > 1 {
        // The folder's own files, before those of folders in it.
        if let Some(own) = found.iter().position(|f| f.path == *path) {
            found = vec![found.swap_remove(own)];
        } else {
            let names: Vec<String> =
                found.iter().take(3).map(|f| f.path.display().to_string()).collect();
            return Err(Failure::usage(
                format!("{name} holds {} runs", found.len()),
                format!("name one, such as {}", names.join(" or ")),
            ));
        }
    }
    match found.pop() {
        Some(found) => Ok(RunReader::whole(found, pattern)),
        None => Err(Failure::usage(format!("{name} holds no metrics"), NO_METRICS)),
    }
}

/// The metric that a line of a list has room for: a loss, of training if there is one.
fn main_metric(run: &Run) -> Option<(&str, f64)> {
    let rank = |name: &str| {
        let name = name.to_lowercase();
        match name.contains("loss") {
            true if name.contains("val") || name.contains("eval") || name.contains("held") => 1,
            true => 0,
            false => 2,
        }
    };
    let (name, series) = run.curves.iter().min_by_key(|(name, _)| rank(name))?;
    Some((name, series.last()?.value))
}

/// What a list tells of a run.
struct Summary {
    told: serde_json::Value,
    name: String,
    standing: &'static str,
    /// What it was submitted under.
    title: String,
    steps: String,
    metric: String,
}

impl Summary {
    fn of(run: &Run) -> Self {
        let metric = main_metric(run).map(|(name, v)| format!("{name} {v:.4}"));
        Self {
            told: told(run),
            name: printable(&run.name),
            standing: run.standing(SystemTime::now()).word(),
            title: run.title().unwrap_or_default().to_string(),
            steps: run.steps(),
            metric: printable(&run.trouble.clone().or(metric).unwrap_or_default()),
        }
    }
}

fn list(context: &Context, runs: Vec<Summary>) {
    if context.json {
        let all: Vec<_> = runs.into_iter().map(|run| run.told).collect();
        return out::line(serde_json::json!(all));
    }
    let cut = |text: &str| fit(text, WIDEST);
    let width = runs.iter().map(|r| cut(&r.name).chars().count()).max().unwrap_or(0);
    let titles = runs.iter().map(|r| cut(&printable(&r.title)).chars().count()).max();
    let titles = titles.unwrap_or(0);
    if !runs.is_empty() {
        let (run, title) = ("run", if titles > 0 { "name" } else { "" });
        out::head(format!("{run:width$}  state     {:>13}  {title:titles$}  last", "steps"));
    }
    for Summary { name, standing, title, steps, metric, .. } in runs {
        let (name, title) = (cut(&name), cut(&printable(&title)));
        let line = format!("{name:width$}  {standing:8}  {steps:>13}  {title:titles$}  {metric}");
        out::line(line.trim_end());
    }
}

fn told(run: &Run) -> serde_json::Value {
    let metrics: serde_json::Map<String, serde_json::Value> = run
        .curves
        .iter()
        .map(|(name, series)| {
            let last = series.last();
            let extremes = series.extremes(0..series.len());
            let about = serde_json::json!({
                "points": series.len(),
                "step": last.map(|p| p.step),
                "last": last.map(|p| p.value),
                "min": extremes.map(|e| e.min),
                "max": extremes.map(|e| e.max),
            });
            (name.to_string(), about)
        })
        .collect();
    let (step, total) = run.progress();
    serde_json::json!({
        "run": run.name,
        "path": run.path,
        "name": run.title(),
        "state": run.standing(SystemTime::now()).state(),
        "step": step,
        "total_steps": total,
        "exit_reason": run.status.as_ref().and_then(|s| s.exit_reason.clone()),
        "skipped": run.skipped,
        "trouble": run.trouble,
        "metrics": metrics,
    })
}

fn show(run: &Run) {
    let say = |key: &str, value: &str| out::line(format!("{key:8}  {}", printable(value)));
    say("run", &run.name);
    if let Some(title) = run.title() {
        say("name", title);
    }
    say("path", &run.path.display().to_string());
    say("state", run.standing(SystemTime::now()).word());
    let (step, total) = run.progress();
    say("step", &total.map_or(step.to_string(), |total| format!("{step} of {total}")));
    if let Some(reason) = run.status.as_ref().and_then(|s| s.exit_reason.as_ref()) {
        say("reason", reason);
    }
    if let Some(trouble) = &run.trouble {
        say("trouble", trouble);
    }
    if run.skipped > 0 {
        say("skipped", &format!("{} lines that cannot be understood", run.skipped));
    }
    let about = &run.curves.about;
    let remarks = about.remarks();
    for (key, value) in [("project", about.project.as_ref()), ("note", Some(&remarks))] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            say(key, value);
        }
    }
    about.environment.iter().for_each(|(key, value)| say(key, value));
    for (key, value) in run.results() {
        say("result", &fit(&format!("{key} = {value}"), 3 * WIDEST));
    }
    out::line("");
    let rows = artgpt_runs::table(&run.curves);
    let cut = |name: &str| fit(&printable(name), WIDEST);
    let width = rows.iter().map(|[name, ..]| cut(name).chars().count()).max().unwrap_or(0);
    for [name, points, last, least, at, greatest, to] in rows {
        let name = cut(&name);
        out::line(format!(
            "{name:width$}  {points:>8}  {last:>12}  {least:>12} {at:>8}  {greatest:>12} {to:>8}"
        ));
    }
}

/// A row for each key that is not the same in all, with a column a run.
fn diff(context: &Context, names: &[String]) -> Result<(), Failure> {
    let mut all = Vec::new();
    for name in names {
        let settings = match artgpt_runs::settings(&place(context, name)?) {
            // W&B and TensorBoard keep it in their logs.
            none if none.is_empty() => open(context, name, LogArgs { pattern: None })?.config,
            settings => settings,
        };
        if settings.is_empty() {
            return Err(Failure::usage(
                format!("{name} keeps no configuration that can be read"),
                "it is read from config.toml, config.json, config.yaml, hparams.yaml or args.json",
            ));
        }
        all.push(settings);
    }
    let rows = artgpt_runs::differing(&all);
    if context.json {
        out::line(serde_json::json!(rows.into_iter().collect::<BTreeMap<_, _>>()));
        return Ok(());
    }
    if rows.is_empty() {
        eprintln!("the configurations are the same");
    }
    let cut = |text: &str| fit(&printable(text), WIDEST);
    let cell = |value: &Option<String>| cut(value.as_deref().unwrap_or("-"));
    let head = ("".to_string(), names.iter().cloned().map(Some).collect());
    let rows: Vec<(String, Vec<Option<String>>)> = std::iter::once(head).chain(rows).collect();
    let key = rows.iter().map(|(key, _)| cut(key).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len())
        .map(|i| rows.iter().map(|(_, values)| cell(&values[i]).chars().count()).max().unwrap_or(0))
        .collect();
    for (name, values) in rows.iter().filter(|_| rows.len() > 1) {
        let cells =
            values.iter().zip(&widths).map(|(value, width)| format!("{:width$}", cell(value)));
        let line = format!("{:key$}  {}", cut(name), cells.collect::<Vec<_>>().join("  "));
        out::line(line.trim_end());
    }
    Ok(())
}

fn export(run: &Run, format: RunsFormat, to: Option<PathBuf>) -> Result<(), Failure> {
    // Half a run is not exported as if it were whole.
    if let Some(trouble) = &run.trouble {
        return Err(Failure::new("runs", format!("{trouble}; mend that and export again")));
    }
    match (format, to) {
        (RunsFormat::Csv, None) => {
            let stdout = std::io::stdout().lock();
            match artgpt_runs::csv(&run.curves, stdout) {
                // A reader that has gone (`| head`) has seen what it wanted.
                Err(e) if is_broken_pipe(&e) => {}
                written => written.map_err(|e| wrong(Path::new("stdout"), &e))?,
            }
        }
        (RunsFormat::Csv, Some(path)) => {
            // What was there stays until the new one is whole.
            let partial = path.with_extension("partial");
            let file = std::fs::File::create(&partial).map_err(|e| wrong(&partial, &e))?;
            artgpt_runs::csv(&run.curves, file).map_err(|e| wrong(&partial, &e))?;
            std::fs::rename(&partial, &path).map_err(|e| wrong(&path, &e))?;
        }
        (RunsFormat::Tensorboard, None) => {
            return Err(Failure::usage(
                "TensorBoard reads a folder",
                "name a new one with --out DIR",
            ));
        }
        (RunsFormat::Tensorboard, Some(folder)) => {
            std::fs::create_dir_all(&folder).map_err(|e| wrong(&folder, &e))?;
            if folder.read_dir().map_err(|e| wrong(&folder, &e))?.next().is_some() {
                return Err(Failure::usage(
                    format!("{} is not empty", folder.display()),
                    "name a new folder with --out DIR",
                ));
            }
            let mut events = EventFile::create(&folder, 0)?;
            for (name, series) in run.curves.iter() {
                for point in series.points() {
                    events.write_scalar(name, point.step, point.wall, point.value)?;
                }
            }
            out::line(folder.display());
        }
    }
    Ok(())
}

fn is_broken_pipe(e: &csv::Error) -> bool {
    matches!(e.kind(), csv::ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::BrokenPipe)
}

//! Runs as text and as JSON.

use std::time::SystemTime;

use crate::cli::Context;
use artgpt_app::runs::{Difference, MetricSummary, Summary};
use artgpt_base::output;
use artgpt_base::text::{fit, printable};
use artgpt_runs::catalogue::Unread;
use artgpt_runs::{Run, SkippedPart, table_head, table_row};

/// Longer names and values are cut in tables; `--json` has them whole.
const MAX_WIDTH: usize = 80;

pub(crate) fn list(context: &Context, runs: &[Summary]) {
    if context.json {
        return output::line(serde_json::Value::from_iter(runs.iter().map(to_json)));
    }
    let cut = |text: &str| fit(&printable(text), MAX_WIDTH);
    let title = |run: &Summary| cut(run.title.as_deref().unwrap_or_default());
    let widest = |cells: &mut dyn Iterator<Item = String>| {
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let width = widest(&mut runs.iter().map(|run| cut(&run.name)));
    let titles = widest(&mut runs.iter().map(title));
    if !runs.is_empty() {
        let (run, title) = ("run", if titles > 0 { "name" } else { "" });
        output::head(format!("{run:width$}  state     {:>13}  {title:titles$}  last", "steps"));
    }
    for run in runs {
        let (name, title, steps) = (cut(&run.name), title(run), &run.steps);
        let metric = run.main_metric().map(|(name, v)| format!("{name} {v:.4}"));
        let last = printable(&run.problem.clone().or(metric).unwrap_or_default());
        let standing = run.standing.word();
        let line = format!("{name:width$}  {standing:8}  {steps:>13}  {title:titles$}  {last}");
        output::line(line.trim_end());
    }
}

pub(crate) fn to_json(run: &Summary) -> serde_json::Value {
    let metric = |m: &MetricSummary| {
        let about = serde_json::json!({
            "points": m.points,
            "step": m.step.map(step),
            "last": m.last.map(number),
            "min": m.min,
            "max": m.max,
            "not_finite": m.not_finite,
        });
        (m.name.clone(), about)
    };
    let metrics: serde_json::Map<String, serde_json::Value> =
        run.metrics.iter().map(metric).collect();
    serde_json::json!({
        "run": run.name,
        "path": run.path,
        "name": run.title,
        "state": run.standing.state(),
        "step": step(run.step),
        "total_steps": run.total_steps,
        "exit_reason": run.exit_reason,
        "skipped": run.skipped.total(),
        "skipped_reasons": run.skipped.iter().map(skipped).collect::<Vec<_>>(),
        "unread": run.unread.iter().map(unread).collect::<Vec<_>>(),
        "trouble": run.trouble,
        "metrics": metrics,
    })
}

fn skipped(part: &SkippedPart) -> serde_json::Value {
    serde_json::json!({
        "file": part.file,
        "reason": part.reason,
        "count": part.count,
        "bytes": part.bytes,
        "first": part.first,
    })
}

/// A number; JSON has no other form of NaN and infinities than words.
fn number(value: f64) -> serde_json::Value {
    match value {
        _ if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value => value.into(),
    }
}

fn unread(file: &Unread) -> serde_json::Value {
    serde_json::json!({ "file": file.path, "reason": file.reason })
}

/// A step as an integer where it is one.
fn step(step: f64) -> serde_json::Value {
    match step as i64 {
        whole if whole as f64 == step => whole.into(),
        _ => step.into(),
    }
}

pub(crate) fn show(run: &Run) {
    let say = |key: &str, value: &str| output::line(format!("{key:8}  {}", printable(value)));
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
    run.skipped.iter().for_each(|part| say("skipped", &part.to_string()));
    run.unread.iter().for_each(|file| say("not read", &file.to_string()));
    let about = &run.curves.about;
    let remarks = about.remarks();
    for (key, value) in [("project", about.project.as_ref()), ("note", Some(&remarks))] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            say(key, value);
        }
    }
    about.environment.iter().for_each(|(key, value)| say(key, value));
    for (key, value) in run.results() {
        say("result", &fit(&format!("{key} = {value}"), 3 * MAX_WIDTH));
    }
    output::line("");
    let rows = run.curves.iter().map(|(name, series)| table_row(name, series));
    let rows: Vec<_> = std::iter::once(table_head(&run.curves)).chain(rows).collect();
    let cut = |name: &str| fit(&printable(name), MAX_WIDTH);
    let width = rows.iter().map(|[name, ..]| cut(name).chars().count()).max().unwrap_or(0);
    for [name, points, last, min, at, max, to, not_finite] in rows {
        let name = cut(&name);
        let line = format!(
            "{name:width$}  {points:>8}  {last:>12}  {min:>12} {at:>8}  {max:>12} {to:>8}  {not_finite:>10}"
        );
        output::line(line.trim_end());
    }
}

/// A row for each setting that differs, with a column a run.
pub(crate) fn differences(names: &[String], rows: Vec<Difference>) {
    let cut = |text: &str| fit(&printable(text), MAX_WIDTH);
    let cell = |value: &Option<String>| cut(value.as_deref().unwrap_or("-"));
    let head = (String::new(), names.iter().cloned().map(Some).collect());
    let rows: Vec<Difference> = std::iter::once(head).chain(rows).collect();
    let key = rows.iter().map(|(key, _)| cut(key).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len())
        .map(|i| rows.iter().map(|(_, values)| cell(&values[i]).chars().count()).max().unwrap_or(0))
        .collect();
    for (name, values) in rows.iter().filter(|_| rows.len() > 1) {
        let cells =
            values.iter().zip(&widths).map(|(value, width)| format!("{:width$}", cell(value)));
        let line = format!("{:key$}  {}", cut(name), cells.collect::<Vec<_>>().join("  "));
        output::line(line.trim_end());
    }
}

//! Jobs as text and as JSON.

use crate::cli::Context;
use artgpt_app::jobs::{Outlook, outlook};
use artgpt_base::output;
use artgpt_base::text::{duration, fit, printable};
use artgpt_jobs::{Job, last_lines};
use artgpt_rundir::RunState;
use artgpt_rundir::job::{OUTPUT, Place, Progress};
use artgpt_runs::Standing;

/// Lines of a log that tell why a job failed.
const LAST_LINES: usize = 10;
/// Longer names are cut in the list.
const MAX_NAME: usize = 60;

/// A state as scripts and people read it.
pub(crate) fn word(state: RunState) -> &'static str {
    Standing::Told(state).word()
}

pub(crate) fn list(context: &Context, jobs: &[Job]) {
    if context.json {
        return output::line(serde_json::json!(jobs.iter().map(to_json).collect::<Vec<_>>()));
    }
    if jobs.is_empty() {
        output::note("no jobs yet; `artgpt-tui jobs submit train CONFIG` queues one");
    }
    let name = |job: &Job| fit(&printable(job.spec.name.as_deref().unwrap_or("-")), MAX_NAME);
    let names = jobs.iter().map(|job| name(job).chars().count()).max().unwrap_or(0);
    if !jobs.is_empty() {
        let (id, name) = ("id", "name");
        output::head(format!("{id:26}  state     {:>13}  {name:names$}  about", "steps"));
    }
    for job in jobs {
        let (status, Outlook { standing, seconds_left }) = (&job.status, outlook(job));
        let (word, left) = (standing.word(), seconds_left);
        let steps = format!("{}/{}", status.step, status.total_steps);
        let name = name(job);
        output::line(format!(
            "{}  {word:8}  {steps:>13}  {name:names$}  {}",
            job.id,
            about(job, left)
        ));
    }
}

/// What else a line of the list has to say.
fn about(job: &Job, left: Option<f64>) -> String {
    let status = &job.status;
    let mut words = Vec::new();
    if let Some(damage) = &job.damage {
        return printable(&format!("damaged: {}; `jobs remove` deletes it", damage.reason));
    }
    words.extend(unknown(job));
    match status.state {
        RunState::Queued => words.extend(waits_for(job)),
        RunState::Running => {
            words.extend(job.progress.slot.clone());
            words.extend(status.phase.clone());
            words.extend(left.map(|left| format!("{} left", duration(left))));
        }
        _ => words.extend(status.exit_reason.clone()),
    }
    words.extend((job.spec.priority != 0).then(|| format!("priority {}", job.spec.priority)));
    printable(&words.join(", "))
}

/// That Slurm does not say what became of the job.
fn unknown(job: &Job) -> Option<String> {
    let since = job.progress.unknown_since?;
    Some(format!("unknown since {}: Slurm does not tell", clock(since, "%Y-%m-%d %H:%M:%S")))
}

fn waits_for(job: &Job) -> Option<String> {
    let Progress { slurm_id, submitting, .. } = &job.progress;
    if job.spec.on == Place::Slurm && slurm_id.is_none() && submitting.is_none() {
        return Some("it never reached Slurm; `jobs resume` submits it".into());
    }
    let until = job.progress.not_before.filter(|until| *until > jiff::Timestamp::now());
    match until {
        Some(until) => Some(format!("starts again at {}, after a crash", clock(until, "%H:%M:%S"))),
        None => job.progress.waits_for.as_ref().map(|what| format!("waits for {what}")),
    }
}

/// A time where the user is.
fn clock(at: jiff::Timestamp, format: &str) -> String {
    at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime(format).to_string()
}

pub(crate) fn to_json(job: &Job) -> serde_json::Value {
    let Outlook { standing, seconds_left: left } = outlook(job);
    let word = standing.word();
    serde_json::json!({
        "id": job.id,
        "name": job.spec.name,
        "path": job.path,
        "state": self::word(job.status.state),
        "stands": word,
        "phase": job.status.phase,
        "step": job.status.step,
        "total_steps": job.status.total_steps,
        "seconds_left": left,
        "on": job.spec.on,
        "device": job.progress.slot.as_ref().unwrap_or(&job.spec.device),
        "priority": job.spec.priority,
        "after": job.spec.after,
        "submitted": job.spec.submitted,
        "starts": job.progress.starts,
        "waits_for": job.progress.waits_for,
        "pid": job.status.pid,
        "slurm_id": job.progress.slurm_id,
        "unknown_since": job.progress.unknown_since,
        "damaged": job.damage.as_ref().map(|damage| &damage.reason),
        "exit_reason": job.status.exit_reason,
    })
}

pub(crate) fn show(context: &Context, job: &Job) {
    let failed = job.status.state == RunState::Failed;
    let lines = last_lines(&job.path.join(OUTPUT), LAST_LINES);
    if context.json {
        let mut json = to_json(job);
        json["last_lines"] = serde_json::json!(lines);
        return output::line(json);
    }
    let say = |key: &str, value: &str| output::line(format!("{key:9}  {}", printable(value)));
    let Outlook { standing, seconds_left: left } = outlook(job);
    let word = standing.word();
    say("job", &job.id);
    say("name", job.spec.name.as_deref().unwrap_or("-"));
    say("path", &job.path.display().to_string());
    say("state", word);
    say("step", &format!("{} of {}", job.status.step, job.status.total_steps));
    say("device", job.progress.slot.as_ref().unwrap_or(&job.spec.device));
    say("submitted", &clock(job.spec.submitted, "%Y-%m-%d %H:%M:%S"));
    let maybe = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            say(key, &value);
        }
    };
    maybe("phase", job.status.phase.clone());
    maybe("left", left.map(|left| format!("about {}", duration(left))));
    maybe("priority", Some(job.spec.priority).filter(|p| *p != 0).map(|p| p.to_string()));
    maybe("after", Some(job.spec.after.join(", ")));
    maybe("starts", Some(job.progress.starts).filter(|n| *n > 1).map(|n| n.to_string()));
    maybe("slurm", job.progress.slurm_id.clone());
    maybe("unknown", unknown(job));
    maybe("damaged", job.damage.as_ref().map(|damage| damage.reason.clone()));
    if job.status.state == RunState::Queued {
        maybe("queue", waits_for(job));
    }
    maybe("reason", job.status.exit_reason.clone());
    if failed && !lines.is_empty() {
        output::line("\nits last lines:");
        lines.iter().for_each(output::line);
    }
}

//! `jobs submit | list | show | logs | pause | resume | stop | remove`.

mod show;

use std::process::ExitCode;
use std::time::Instant;

use super::args::{JobsCommand, SubmitArgs, SubmitCommand};
use super::input::cancel_on_signal;
use super::words::needs;
use super::{Context, Failure, runs};
use artgpt_app::jobs::{self, Checked, LogEnd, LogRequest, SubmitRequest};
use artgpt_base::output;
use artgpt_base::text::printable;
use artgpt_jobs::Job;
use artgpt_rundir::job::Wanted;

pub(crate) fn run(context: &Context, command: JobsCommand) -> Result<ExitCode, Failure> {
    let app = &context.app;
    match command {
        JobsCommand::Supervise => return supervise(context),
        JobsCommand::Submit(SubmitCommand::Train(args)) => submit(context, args)?,
        JobsCommand::List => {
            jobs::adopt(app)?;
            show::list(context, &jobs::all(app));
        }
        JobsCommand::Show { job } => {
            jobs::adopt(app)?;
            show::show(context, &jobs::one(app, &job)?);
        }
        JobsCommand::Logs { job, follow } => return logs(context, &job, follow),
        JobsCommand::Pause { jobs } => return request(context, &jobs, Wanted::Pause),
        JobsCommand::Resume { jobs } => return request(context, &jobs, Wanted::Run),
        JobsCommand::Stop { jobs } => return request(context, &jobs, Wanted::Stop),
        JobsCommand::Remove { jobs } => runs::removed(context, &jobs::remove(app, &jobs)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn supervise(context: &Context) -> Result<ExitCode, Failure> {
    let _ = rustix::process::setsid();
    let stop = cancel_on_signal()?;
    let say = |job: &Job, what: &str| {
        output::note(format_args!("{} {} {}", jiff::Timestamp::now(), job.id, printable(what)));
    };
    jobs::supervise(&context.app, &say, &|| stop.is_cancelled())?;
    Ok(ExitCode::SUCCESS)
}

fn submit(context: &Context, args: SubmitArgs) -> Result<(), Failure> {
    let request = SubmitRequest {
        config_file: args.config_file,
        set: args.set,
        sweep: args.sweep,
        name: args.name,
        priority: args.priority,
        after: args.after,
        retries: args.retries,
        on: args.on.into(),
    };
    let checked = jobs::check(&context.app, &request)?;
    let made = jobs::queue(&context.app, &request, &checked)?;
    let both = made.iter().zip(&checked);
    if context.json {
        let jobs: Vec<_> = both.map(|(job, checked)| submitted(job, checked)).collect();
        output::line(serde_json::json!({ "jobs": jobs }));
        return Ok(());
    }
    for (job, Checked { name, estimate, .. }) in both {
        output::line(format!("{}  {}: {}", job.id, printable(name), needs(estimate)));
    }
    Ok(())
}

fn submitted(job: &Job, Checked { estimate, name, .. }: &Checked) -> serde_json::Value {
    serde_json::json!({
        "id": job.id,
        "name": name,
        "memory": estimate.memory,
        "seconds": estimate.seconds,
        "estimated_from": estimate.seen_in,
    })
}

fn logs(context: &Context, job: &str, follow: bool) -> Result<ExitCode, Failure> {
    let stop = cancel_on_signal()?;
    let request = LogRequest { job, follow };
    let print = |line: &str| output::line(printable(line));
    let unread = || output::stdout_error().is_some();
    Ok(match jobs::logs(&context.app, request, &|| stop.is_cancelled() || unread(), print)? {
        LogEnd::Interrupted if unread() => ExitCode::SUCCESS,
        LogEnd::Complete => ExitCode::SUCCESS,
        LogEnd::Interrupted => ExitCode::from(130),
    })
}

/// Requests something of jobs, and waits until they do it.
fn request(context: &Context, names: &[String], wanted: Wanted) -> Result<ExitCode, Failure> {
    let app = &context.app;
    let asked = jobs::request(app, names, wanted)?;
    let stop = cancel_on_signal()?;
    let began = Instant::now();
    let (mut told, mut all) = (Vec::new(), true);
    for job in &asked {
        let stopped = || stop.is_cancelled();
        let (job, done) = jobs::wait(app, &job.id, wanted, began, &stopped)?;
        let state = show::word(job.status.state);
        all &= done;
        match (context.json, done) {
            (true, _) => told.push(show::to_json(&job)),
            (false, true) => output::line(format!("{}  {state}", job.id)),
            (false, false) => output::line(format!("{}  requested; it is still {state}", job.id)),
        }
    }
    if context.json {
        output::line(serde_json::json!(told));
    }
    Ok(match all {
        true => ExitCode::SUCCESS,
        false if stop.is_cancelled() => ExitCode::from(130),
        false => ExitCode::FAILURE,
    })
}

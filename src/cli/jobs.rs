//! `jobs submit | list | show | logs | pause | resume | stop`.

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use super::args::{JobsCommand, SubmitArgs, SubmitCommand};
use super::input::{cancel_on_signal, data_folder, ready};
use super::overrides::with_overrides;
use super::train::read_config;
use super::{Context, Failure, notice, out};
use artgpt_app::Estimate;
use artgpt_art::{ArtError, count_paintings};
use artgpt_base::text::{duration, fit, printable};
use artgpt_jobs::{self as jobs, Job, JobError, Slots, Supervisor, Wish, slurm};
use artgpt_rundir::DataConfig;
use artgpt_rundir::job::{OUTPUT, Place, Spec, Wanted};
use artgpt_rundir::{RunDir, RunState, TrainConfig, run_name};
use artgpt_runs::catalogue::find;
use artgpt_runs::{RunReader, Standing};
use artgpt_train::{TrainError, open_feed};

/// Lines of a log that tell why a job failed.
const LAST_LINES: usize = 10;
/// A job is waited for so long after it was asked for something.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer names are cut in the list.
const WIDEST: usize = 60;
const PACE: Duration = Duration::from_millis(200);
const PACE_OF_SLURM: Duration = Duration::from_secs(2);

pub fn run(context: &Context, command: JobsCommand) -> Result<ExitCode, Failure> {
    match command {
        JobsCommand::Supervise => return supervise(context),
        JobsCommand::Submit(SubmitCommand::Train(args)) => submit(context, &args)?,
        JobsCommand::List => {
            adopt(context)?;
            list(context, &all(context));
        }
        JobsCommand::Show { job } => {
            adopt(context)?;
            show(context, &one(context, &job)?);
        }
        JobsCommand::Logs { job, follow } => return logs(context, &job, follow),
        JobsCommand::Pause { jobs } => return ask(context, &jobs, Wanted::Pause),
        JobsCommand::Resume { jobs } => return ask(context, &jobs, Wanted::Run),
        JobsCommand::Stop { jobs } => return ask(context, &jobs, Wanted::Stop),
        JobsCommand::Remove { jobs } => {
            let ids = jobs.iter().map(|name| Ok(one(context, name)?.path.display().to_string()));
            super::runs::remove(context, &ids.collect::<Result<Vec<_>, Failure>>()?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sees to it that somebody looks after jobs that wait or run.
pub fn adopt(context: &Context) -> Result<(), Failure> {
    let data = absolute(&context.paths.data)?;
    let settings = absolute(&context.paths.config_file)?;
    let mut options: Vec<&OsStr> = vec!["--data-dir".as_ref(), data.as_ref()];
    if settings.is_file() {
        options.extend::<[&OsStr; 2]>(["--config".as_ref(), settings.as_ref()]);
    }
    let log = absolute(&context.paths.jobs_log())?;
    let (runs, without) = (context.paths.runs(), &context.own_variables);
    Ok(jobs::ensure_supervisor(&runs, &log, &options, without)?)
}

fn supervise(context: &Context) -> Result<ExitCode, Failure> {
    let _ = rustix::process::setsid();
    let stop = cancel_on_signal()?;
    let runs = context.paths.runs();
    let say = |job: &Job, what: &str| {
        eprintln!("{} {} {}", jiff::Timestamp::now(), job.id, printable(what));
    };
    let counts = context.settings.jobs;
    let counts = Slots { cpu: counts.per_cpu.max(1), gpu: counts.per_gpu.max(1) };
    let mut news = artgpt_runs::News::of(&runs);
    let tell = || {
        for item in news.look() {
            notice::call(&context.settings.notices.command, &item);
        }
    };
    let data = absolute(&context.paths.data)?;
    let supervisor = Supervisor::new((&data, &runs), counts, &context.own_variables, &say);
    supervisor.run(tell, &|| stop.is_cancelled())?;
    Ok(ExitCode::SUCCESS)
}

pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|e| Failure::new("jobs", format!("the working folder is gone: {e}")))
}

fn submit(context: &Context, args: &SubmitArgs) -> Result<(), Failure> {
    let checked = check(context, args)?;
    let made = queue(context, args, &checked)?;
    match context.json {
        true => {
            let told: Vec<_> = made.iter().zip(&checked).map(|(job, c)| needs(job, c)).collect();
            out::line(serde_json::json!({ "jobs": told }));
        }
        false => {
            for (job, checked) in made.iter().zip(&checked) {
                let (name, needs) = (printable(&checked.name), in_words(&checked.estimate));
                out::line(format!("{}  {name}: {needs}", job.id));
            }
        }
    }
    Ok(())
}

/// A run that may be queued.
pub struct Checked {
    pub config: TrainConfig,
    pub estimate: Estimate,
    /// What it will be called.
    pub name: String,
}

/// All runs that are asked for, and what they will need; none is queued yet.
pub fn check(context: &Context, args: &SubmitArgs) -> Result<Vec<Checked>, Failure> {
    let base = read_config(&args.config_file, &args.set)?;
    if args.on == Place::Local {
        // Nonsense is told now, not when its turn comes.
        artgpt_model::device::open(&context.settings.device)?;
    }
    let mut checked = Vec::new();
    let stem = args.config_file.file_stem().unwrap_or_default().to_string_lossy();
    let called = args.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let called = called.unwrap_or(&stem);
    for (config, swept) in sweep(base, &args.sweep)? {
        config.check()?;
        if let Some(init) = config.init.as_ref().filter(|init| !init.is_file()) {
            let why = format!("init: there is no file {}", init.display());
            return Err(TrainError::Config(why).into());
        }
        ready(context, &config.model)?;
        // Those of a sweep have the same data as a rule.
        let same = |checked: &Checked| {
            (&checked.config.data, checked.config.held_out) == (&config.data, config.held_out)
        };
        if !checked.last().is_some_and(same) {
            enough_data(context, &config)?;
        }
        let estimate =
            artgpt_app::check_run(&config, &context.paths.models(), &context.paths.runs())?;
        let name = [called, &swept.join(" ")].join(" ").trim().to_string();
        checked.push(Checked { config, estimate, name });
    }
    before(context, args)?;
    Ok(checked)
}

/// There is data, and it is not all held out.
fn enough_data(context: &Context, config: &TrainConfig) -> Result<(), Failure> {
    match &config.data {
        DataConfig::Museum(name) => {
            let (held_out, all) = (config.held_out, count_paintings(&data_folder(context, name)?)?);
            if held_out >= all {
                return Err(ArtError::HeldOut { held_out, all }.into());
            }
        }
        DataConfig::Pairs(_) => drop(open_feed(config)?),
    }
    Ok(())
}

/// Jobs that must have finished first.
fn before(context: &Context, args: &SubmitArgs) -> Result<Vec<Job>, Failure> {
    let before = after(context, &args.after)?;
    if let Some(other) = before.iter().find(|other| other.spec.on != args.on) {
        return Err(Failure::usage(
            format!("{} does not run in the same place", other.id),
            "submit both with the same --on",
        ));
    }
    goes_on(&before)?;
    Ok(before)
}

fn after(context: &Context, names: &[String]) -> Result<Vec<Job>, Failure> {
    let find = |name: &String| jobs::find(&context.paths.runs(), name);
    Ok(names.iter().map(find).collect::<Result<_, _>>()?)
}

/// What comes after a job that has failed or was stopped would wait for nothing.
fn goes_on(before: &[Job]) -> Result<(), Failure> {
    for other in before {
        let over = matches!(other.status.state, RunState::Failed | RunState::Stopped);
        if over && !other.is_open() {
            return Err(Failure::usage(
                format!("{}, which it comes after, is {}", other.id, word(other.status.state)),
                "resume it first",
            ));
        }
    }
    Ok(())
}

pub fn queue(
    context: &Context,
    args: &SubmitArgs,
    checked: &[Checked],
) -> Result<Vec<Job>, Failure> {
    let before = before(context, args)?;
    let usual = usual(context)?;
    let mut made: Vec<Job> = Vec::new();
    for Checked { config, estimate, name } in checked {
        let spec = Spec {
            name: Some(name.clone()).filter(|name| !name.is_empty()),
            submitted: jiff::Timestamp::now(),
            on: args.on,
            priority: args.priority,
            after: before.iter().map(|job| job.id.clone()).collect(),
            retries: args.retries,
            memory: estimate.memory,
            ..usual.clone()
        };
        match jobs::submit(&context.paths.runs(), config, &spec) {
            Ok(job) => made.push(job),
            // All of a sweep, or nothing.
            Err(e) => {
                made.iter().for_each(|job| drop(std::fs::remove_dir_all(&job.path)));
                return Err(e.into());
            }
        }
    }
    match (args.on, checked.first()) {
        (Place::Slurm, Some(Checked { config, .. })) => {
            let resources = config.slurm.clone().unwrap_or_default();
            if let Err(e) = slurm::submit(&made, &cluster(context)?, &resources, &before) {
                // What the cluster did not take is no job.
                made.iter().for_each(|job| drop(std::fs::remove_dir_all(&job.path)));
                return Err(e.into());
            }
        }
        _ => adopt(context)?,
    }
    Ok(made)
}

/// A job of this machine about which nothing was said.
fn usual(context: &Context) -> Result<Spec, Failure> {
    let program = std::env::current_exe()
        .map_err(|e| Failure::new("jobs", format!("this program cannot be found: {e}")))?;
    Ok(Spec {
        name: None,
        submitted: jiff::Timestamp::now(),
        on: Place::Local,
        device: context.settings.device.clone(),
        priority: 0,
        after: Vec::new(),
        retries: SubmitArgs::RETRIES,
        memory: None,
        program,
        settings: absolute(&context.paths.config_file)?,
    })
}

/// A run that was begun in the foreground goes on as a job.
pub fn take_over(context: &Context, run: &Path) -> Result<Job, Failure> {
    let runs = absolute(&context.paths.runs())?;
    if absolute(run)?.parent() != Some(&runs) {
        return Err(Failure::usage(
            format!("{} is no run of this data folder", run.display()),
            "name its own by --data-dir",
        ));
    }
    let config = RunDir::follow(run)?.config()?;
    let needs = artgpt_app::check_run(&config, &context.paths.models(), &runs)?;
    let spec = Spec { memory: needs.memory, name: run_name(run), ..usual(context)? };
    let job = jobs::enlist(run, &spec)?;
    adopt(context)?;
    Ok(job)
}

fn cluster(context: &Context) -> Result<slurm::Submitter, Failure> {
    let data = absolute(&context.paths.data)?;
    Ok(slurm::Submitter { data, without: context.own_variables.clone() })
}

/// One configuration for each combination of values, with these.
fn sweep(base: TrainConfig, sweeps: &[String]) -> Result<Vec<(TrainConfig, Vec<String>)>, Failure> {
    let mut all = vec![(base, Vec::new())];
    for sweep in sweeps {
        let bad = || {
            Failure::usage(
                format!("--sweep {sweep} is not KEY=VALUE,..."),
                "try --sweep seed=1,2,3",
            )
        };
        let (key, values) = sweep.split_once('=').ok_or_else(bad)?;
        let mut next = Vec::new();
        for (config, swept) in &all {
            for value in values.split(',') {
                let pair = format!("{key}={value}");
                let config = with_overrides(config.clone(), std::slice::from_ref(&pair))?;
                next.push((config, [&swept[..], &[pair]].concat()));
            }
        }
        all = next;
    }
    Ok(all)
}

fn needs(job: &Job, Checked { estimate, name, .. }: &Checked) -> serde_json::Value {
    serde_json::json!({
        "id": job.id,
        "name": name,
        "memory": estimate.memory,
        "seconds": estimate.seconds,
        "estimated_from": estimate.seen_in,
    })
}

/// What a job will need.
pub fn in_words(estimate: &Estimate) -> String {
    let memory = estimate.memory.map(|b| format!("about {:.1} GB", b as f64 / 1e9));
    let time = estimate.seconds.map(|s| format!("about {}", artgpt_base::text::duration(s)));
    let known = [memory, time].into_iter().flatten().collect::<Vec<_>>().join(", ");
    match &estimate.seen_in {
        Some(run) => format!("{known} (as {run})"),
        None if known.is_empty() => "its needs are not known".into(),
        None => format!("{known} of memory; its time is known after the first run like it"),
    }
}

fn all(context: &Context) -> Vec<Job> {
    let mut all = jobs::list(&context.paths.runs());
    ask_slurm(&mut all);
    all
}

pub fn one(context: &Context, name: &str) -> Result<Job, Failure> {
    Ok(settled(jobs::find(&context.paths.runs(), name)?))
}

fn settled(mut job: Job) -> Job {
    ask_slurm(std::slice::from_mut(&mut job));
    job
}

/// Of jobs that are on a cluster. Where Slurm does not answer, what is on disk is told.
fn ask_slurm(jobs: &mut [Job]) {
    if let Err(e) = slurm::settle(jobs) {
        eprintln!("artgpt-tui: Slurm does not answer, its jobs are as last seen: {e}");
    }
}

/// Between looks at a job: a cluster is not asked five times a second.
fn pace(job: &Job) -> Duration {
    if job.spec.on == Place::Slurm { PACE_OF_SLURM } else { PACE }
}

/// A state as scripts and people read it.
fn word(state: RunState) -> &'static str {
    Standing::Told(state).word()
}

/// How a job stands as people read it, and the seconds that it still needs, where that is known.
fn stands(job: &Job) -> (&'static str, Option<f64>) {
    let now = SystemTime::now();
    let found = (job.status.state == RunState::Running).then(|| find(&job.path, false).pop());
    match found.flatten() {
        Some(found) => {
            let run = RunReader::whole(found, None);
            (run.standing(now).word(), run.left(now))
        }
        None => (word(job.status.state), None),
    }
}

fn list(context: &Context, jobs: &[Job]) {
    if context.json {
        return out::line(serde_json::json!(jobs.iter().map(told).collect::<Vec<_>>()));
    }
    if jobs.is_empty() {
        eprintln!("no jobs yet; `artgpt-tui jobs submit train CONFIG` queues one");
    }
    let name = |job: &Job| fit(&printable(job.spec.name.as_deref().unwrap_or("-")), WIDEST);
    let names = jobs.iter().map(|job| name(job).chars().count()).max().unwrap_or(0);
    if !jobs.is_empty() {
        let (id, name) = ("id", "name");
        out::head(format!("{id:26}  state     {:>13}  {name:names$}  about", "steps"));
    }
    for job in jobs {
        let (status, (word, left)) = (&job.status, stands(job));
        let steps = format!("{}/{}", status.step, status.total_steps);
        let name = name(job);
        out::line(format!(
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

fn waits_for(job: &Job) -> Option<String> {
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

fn told(job: &Job) -> serde_json::Value {
    let (word, left) = stands(job);
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
        "exit_reason": job.status.exit_reason,
    })
}

fn show(context: &Context, job: &Job) {
    let failed = job.status.state == RunState::Failed;
    let lines = jobs::last_lines(&job.path.join(OUTPUT), LAST_LINES);
    if context.json {
        let mut told = told(job);
        told["last_lines"] = serde_json::json!(lines);
        return out::line(told);
    }
    let say = |key: &str, value: &str| out::line(format!("{key:9}  {}", printable(value)));
    let (word, left) = stands(job);
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
    if job.status.state == RunState::Queued {
        maybe("queue", waits_for(job));
    }
    maybe("reason", job.status.exit_reason.clone());
    if failed && !lines.is_empty() {
        out::line("\nits last lines:");
        lines.iter().for_each(out::line);
    }
}

fn logs(context: &Context, name: &str, follow: bool) -> Result<ExitCode, Failure> {
    adopt(context)?;
    let mut job = one(context, name)?;
    let path = job.path.join(OUTPUT);
    let cannot = |e: std::io::Error| {
        Failure::new("jobs", format!("cannot read {}: {e}; check permissions", path.display()))
    };
    let stop = cancel_on_signal()?;
    let (mut read, mut rest) = (0u64, Vec::new());
    loop {
        // Looked at first: what it printed last is there when it has ended.
        let ended = !job.is_open() || !follow;
        match std::fs::File::open(&path) {
            Ok(mut file) => {
                file.seek(std::io::SeekFrom::Start(read)).map_err(cannot)?;
                read += file.read_to_end(&mut rest).map_err(cannot)? as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(cannot(e)),
        }
        let whole = match ended {
            true => rest.len(),
            false => rest.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1),
        };
        let text: Vec<u8> = rest.drain(..whole).collect();
        String::from_utf8_lossy(&text).lines().for_each(|line| out::line(printable(line)));
        if ended {
            return Ok(ExitCode::SUCCESS);
        }
        if stop.is_cancelled() {
            return Ok(ExitCode::from(130));
        }
        std::thread::sleep(pace(&job));
        job = one(context, &job.id)?;
    }
}

/// Writes down what is wanted of a job, where it can be.
pub fn wish(context: &Context, job: &Job, wanted: Wanted) -> Result<(), Failure> {
    if wanted == Wanted::Run {
        goes_on(&after(context, &job.spec.after)?)?;
    }
    let asked = jobs::wish(job, wanted)?;
    // A wish that Slurm did not take the first time is asked again.
    if job.spec.on == Place::Slurm && (asked == Wish::Asked || !is(job, wanted)) {
        let resources = RunDir::follow(&job.path)?.config()?.slurm.unwrap_or_default();
        let job = Job::read(&job.path)?.unwrap_or_else(|| job.clone());
        slurm::follow(&job, wanted, &cluster(context)?, &resources)?;
    }
    adopt(context)
}

/// Asks for something, and waits until it is so.
fn ask(context: &Context, names: &[String], wanted: Wanted) -> Result<ExitCode, Failure> {
    let asked = names.iter().map(|name| match (jobs::find(&context.paths.runs(), name), wanted) {
        (Ok(job), _) => Ok(settled(job)),
        (Err(unknown @ JobError::Unknown(_)), Wanted::Run) => {
            match artgpt_rundir::job::named(&context.paths.runs(), name) {
                Ok(run) if run.join("config.toml").is_file() => take_over(context, &run),
                _ => Err(unknown.into()),
            }
        }
        (Err(e), _) => Err(e.into()),
    });
    let asked: Vec<Job> = asked.collect::<Result<_, _>>()?;
    for job in &asked {
        wish(context, job, wanted)?;
    }
    let stop = cancel_on_signal()?;
    let begun = Instant::now();
    let mut told = Vec::new();
    let mut all = true;
    for job in &asked {
        let mut now = one(context, &job.id)?;
        while !is(&now, wanted) && begun.elapsed() < PATIENCE && !stop.is_cancelled() {
            std::thread::sleep(pace(&now));
            now = one(context, &job.id)?;
        }
        all &= is(&now, wanted);
        match context.json {
            true => told.push(self::told(&now)),
            false if is(&now, wanted) => {
                out::line(format!("{}  {}", now.id, word(now.status.state)));
            }
            false => {
                out::line(format!("{}  asked; it is still {}", now.id, word(now.status.state)))
            }
        }
    }
    if context.json {
        out::line(serde_json::json!(told));
    }
    Ok(match all {
        true => ExitCode::SUCCESS,
        false if stop.is_cancelled() => ExitCode::from(130),
        false => ExitCode::FAILURE,
    })
}

fn is(job: &Job, wanted: Wanted) -> bool {
    use RunState::{Failed, Finished, Paused, Queued, Running, Stopped};
    match wanted {
        Wanted::Run => matches!(job.status.state, Queued | Running | Finished),
        Wanted::Pause => matches!(job.status.state, Paused | Finished | Failed),
        Wanted::Stop => matches!(job.status.state, Stopped | Finished | Failed),
    }
}

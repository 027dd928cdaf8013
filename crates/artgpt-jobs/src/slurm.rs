//! The same jobs in a cluster's queue: Slurm does what the supervisor does on one machine.
//!
//! A job is one `sbatch` script that goes on with the run wherever it stands, so that a job that was
//! preempted, or whose time is over, is simply queued again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::local::arguments;
use super::{Job, JobError, Result, io};
use artgpt_rundir::job::{self as record, JOB, OUTPUT, Progress, Record, Wanted};
use artgpt_rundir::{Resources, RunDir, RunState, Status, write_whole};

/// Seconds before the end of its time at which a job is told to write a checkpoint, where the
/// configuration does not say.
const NOTICE: u32 = 120;

/// Who submits.
#[derive(Debug, Clone)]
pub struct Submitter {
    /// The data folder.
    pub data: PathBuf,
    /// Variables of this process that jobs do not inherit: thread counts for other work.
    pub without: Vec<&'static str>,
}

/// Submits these jobs as one; several become an array. Their `--after` are Slurm's numbers.
pub fn submit(jobs: &[Job], by: &Submitter, resources: &Resources, after: &[Job]) -> Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let path = first.path.join(JOB).join("batch.sh");
    write_whole(&path, script(jobs, &by.data, resources).as_bytes())?;
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    for name in &by.without {
        command.env_remove(name);
    }
    // Slurm soon forgets those that have finished.
    let open = after.iter().filter(|job| job.status.state != RunState::Finished);
    let ids: Vec<&str> = open.filter_map(|job| job.progress.slurm_id.as_deref()).collect();
    if !ids.is_empty() {
        command.arg(format!("--dependency=afterok:{}", ids.join(":")));
        command.arg("--kill-on-invalid-dep=yes");
    }
    let answer = run(command.arg(&path))?;
    // `123` or `123;cluster`.
    let id = answer.trim().split(';').next().unwrap_or_default().to_string();
    for (i, job) in jobs.iter().enumerate() {
        let own = if jobs.len() > 1 { format!("{id}_{i}") } else { id.clone() };
        let starts = job.progress.starts + 1;
        let progress = Progress { slurm_id: Some(own), starts, ..job.progress.clone() };
        if let Err(e) = record::write(&job.path, Record::Progress, &progress) {
            // A job that nobody knows of must not run.
            let _ = run(&mut one("scancel", &[&id]));
            return Err(e.into());
        }
    }
    Ok(())
}

fn script(jobs: &[Job], data: &Path, resources: &Resources) -> String {
    let mut text = String::from("#!/bin/sh\n");
    let mut option = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "#SBATCH --{name}={value}");
    };
    let first = jobs.first().map_or("", |job| &job.id);
    option("job-name", &format!("artgpt-{first}"));
    // The script writes to each run's own file; what Slurm itself says goes there, too, of one job.
    match jobs {
        [job] if plain(&job.path) => option("output", &job.path.join(OUTPUT).display()),
        [_] => option("output", &"/dev/null"),
        _ => {
            option("output", &"/dev/null");
            option("array", &format!("0-{}", jobs.len() - 1));
        }
    }
    option("open-mode", &"append");
    option("signal", &format!("TERM@{}", resources.notice.unwrap_or(NOTICE)));
    if let Some(nice) =
        jobs.first().map(|job| -i64::from(job.spec.priority)).filter(|nice| *nice != 0)
    {
        option("nice", &nice);
    }
    let Resources {
        partition,
        account,
        qos,
        time,
        memory,
        nodes,
        tasks,
        cpus_per_task,
        gpus_per_task,
        mpi,
        notice: _,
        extra,
    } = resources;
    let texts = [
        ("partition", partition),
        ("account", account),
        ("qos", qos),
        ("time", time),
        ("mem", memory),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            option(name, value);
        }
    }
    let numbers = [
        ("nodes", nodes),
        ("ntasks", tasks),
        ("cpus-per-task", cpus_per_task),
        ("gpus-per-task", gpus_per_task),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            option(name, value);
        }
    }
    for line in extra {
        let _ = writeln!(text, "#SBATCH {line}");
    }
    text.push_str("#SBATCH --requeue\n\n");
    let runs: Vec<String> = jobs.iter().map(|job| quoted(&job.path.display())).collect();
    let _ = writeln!(text, "set -- {}", runs.join(" "));
    text.push_str("shift \"${SLURM_ARRAY_TASK_ID:-0}\"\nrun=$1\n");
    let _ = writeln!(text, "exec >>\"$run/{OUTPUT}\" 2>&1");
    if let Some(job) = jobs.first() {
        let device = match job.spec.device.as_str() {
            // Slurm shows each process its own GPU alone.
            name if name.starts_with("cuda") => "cuda",
            name => name,
        };
        let words = arguments(job, data, device);
        let mut words: Vec<String> =
            words.iter().map(|word| quoted(&word.to_string_lossy())).collect();
        words.pop(); // the run, which is each task's own
        let program = quoted(&job.spec.program.display());
        let mpi = mpi.iter().map(|kind| format!("--mpi={} ", quoted(kind))).collect::<String>();
        let _ = writeln!(text, "srun {CPUS} {mpi}{program} {} \"$run\"", words.join(" "));
    }
    text.push_str(REQUEUE);
    text
}

/// Steps do not inherit this of their job: each process would be bound to one core.
const CPUS: &str = "${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}";

/// A process that was told to end has written its checkpoint (code 130); what then follows is in the
/// user's request. `srun` itself must not get the signal: it would kill its processes at once.
const REQUEUE: &str = r#"code=$?
id=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
id=${id:-$SLURM_JOB_ID}
wanted=$(cat "$run/job/request.json" 2>/dev/null)
case $code,$wanted in
  130,*stop*) exit 130 ;;
  130,*pause*) scontrol requeuehold "$id"; exit 0 ;;
  130,*) scontrol requeue "$id"; exit 0 ;;
esac
exit $code
"#;

/// Options in a script have no quotes, and `%` means something in them.
fn plain(path: &Path) -> bool {
    let text = path.display().to_string();
    !text.contains(|c: char| c.is_whitespace() || matches!(c, '%' | '\'' | '"' | '\\'))
}

fn quoted(word: &dyn std::fmt::Display) -> String {
    format!("'{}'", word.to_string().replace('\'', r"'\''"))
}

/// Does what the user wants of a job, whose request is written.
pub fn follow(job: &Job, wanted: Wanted, by: &Submitter, resources: &Resources) -> Result<()> {
    let id = job.progress.slurm_id.as_deref().unwrap_or_default();
    let known = states(std::slice::from_ref(job))?.contains_key(&job.id);
    let runs = RunDir::is_open(&job.path);
    let mut command = match wanted {
        // Its process writes a checkpoint; the script does the rest.
        Wanted::Pause | Wanted::Stop if runs => one("scancel", &["--signal=TERM", id]),
        Wanted::Stop if known => one("scancel", &[id]),
        Wanted::Pause if known => one("scontrol", &["hold", id]),
        // One that was requeued waits for its credential to expire, a minute or two: nothing hurries it.
        Wanted::Run => {
            if known {
                run(&mut one("scontrol", &["release", id]))?;
            } else {
                let status = &job.status;
                Status::now(RunState::Queued, status.step, status.total_steps, None)
                    .write(&job.path)?;
                submit(std::slice::from_ref(job), by, resources, &[])?;
            }
            let now: Progress = record::read(&job.path, Record::Progress)?.unwrap_or_default();
            let progress = Progress { followed: job.request.number, ..now };
            return Ok(record::write(&job.path, Record::Progress, &progress)?);
        }
        Wanted::Pause | Wanted::Stop => return Ok(()),
    };
    run(&mut command).map(drop)
}

fn one(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// What Slurm says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// `PENDING`, `RUNNING`, …
    pub state: String,
    /// Why it waits.
    pub reason: String,
}

/// Of those that it still knows as waiting or running, by the run's id.
pub fn states(jobs: &[Job]) -> Result<HashMap<String, Told>> {
    let open = jobs.iter().filter(|job| !is_over(job));
    let mine: HashMap<&str, &Job> =
        open.filter_map(|job| Some((job.progress.slurm_id.as_deref()?, job))).collect();
    if mine.is_empty() {
        return Ok(HashMap::new());
    }
    let told =
        run(Command::new("squeue").args(["--noheader", "--me", "--array", "-o", "%i|%T|%r"]))?;
    Ok(told
        .lines()
        .filter_map(|line| {
            let mut parts = line.trim().splitn(3, '|');
            let (id, state, reason) = (parts.next()?, parts.next()?, parts.next()?);
            let told = Told { state: state.into(), reason: reason.into() };
            Some((mine.get(id)?.id.clone(), told))
        })
        .collect())
}

/// Brings the states of jobs up to what Slurm says, on disk too.
pub fn settle(jobs: &mut [Job]) -> Result<()> {
    let told = states(jobs)?;
    for job in jobs {
        if job.progress.slurm_id.is_none() || is_over(job) || RunDir::is_open(&job.path) {
            continue;
        }
        // It may have written its last word while Slurm was asked.
        if let Some(status) = Status::read(&job.path) {
            job.status = status;
        }
        if is_over(job) {
            continue;
        }
        let (state, reason) = match told.get(&job.id) {
            Some(told) if told.reason.to_lowercase().contains("held") => {
                (RunState::Paused, "paused".into())
            }
            Some(told) if told.state == "PENDING" => {
                job.progress.waits_for = Some(format!("Slurm: {}", told.reason));
                (RunState::Queued, String::new())
            }
            // Loading, or writing its checkpoint.
            Some(_) => continue,
            None => match (job.status.state, job.request.wanted) {
                (
                    RunState::Queued | RunState::Running | RunState::Paused | RunState::Stopped,
                    Wanted::Stop,
                ) => (RunState::Stopped, "asked to stop".into()),
                (RunState::Queued | RunState::Running, _) => {
                    (RunState::Failed, ended(job).unwrap_or_else(|| "Slurm ended it".into()))
                }
                _ => continue,
            },
        };
        if job.status.state != state {
            let reason = Some(reason).filter(|r| !r.is_empty());
            let status = &job.status;
            job.status = Status::now(state, status.step, status.total_steps, reason);
            job.status.write(&job.path)?;
        }
    }
    Ok(())
}

/// Nothing more comes of it without a word of the user's.
fn is_over(job: &Job) -> bool {
    !job.is_open() && job.status.state != RunState::Paused
}

/// How a job ended, where the cluster keeps accounts.
fn ended(job: &Job) -> Option<String> {
    let id = job.progress.slurm_id.as_deref()?;
    let mut command = Command::new("sacct");
    let told = run(command.args(["-n", "-P", "-X", "-j", id, "-o", "State,ExitCode"])).ok()?;
    let (state, code) = told.lines().last()?.split_once('|')?;
    Some(format!("Slurm ended it: {state}, exit code {code}"))
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command.output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => JobError::Slurm {
            command: name.clone(),
            reason: "there is no such program on this machine".into(),
        },
        _ => io(Path::new(&name))(e),
    })?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        false => Err(JobError::Slurm {
            command: name,
            reason: artgpt_base::text::printable(String::from_utf8_lossy(&stderr).trim()),
        }),
    }
}

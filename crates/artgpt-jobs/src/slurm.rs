//! Jobs in a cluster's queue, where Slurm takes the supervisor's part.
//!
//! A job is one `sbatch` script that resumes the run at its current step, so a job that is preempted or
//! reaches its time limit is requeued.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::local::arguments;
use super::{Job, JobError, Result, io};
use artgpt_rundir::job::{self as record, JOB, OUTPUT, Progress, Record, Wanted};
use artgpt_rundir::{Resources, RunDir, RunState, Status, write_whole};

/// Default of `slurm.notice`: seconds before the time limit at which Slurm sends SIGTERM.
const DEFAULT_NOTICE: u32 = 120;

/// What a submission takes from the submitting process.
#[derive(Debug, Clone)]
pub struct Submitter {
    /// The data folder, an absolute path.
    pub data: PathBuf,
    /// Environment variables that jobs do not inherit (thread counts for inference).
    pub without: Vec<&'static str>,
}

/// Submits `jobs` with one `sbatch` call; several become a job array. They start after the jobs in
/// `after` have finished.
///
/// # Errors
/// [`JobError::Slurm`] if `sbatch` is missing or fails; [`JobError::Run`] or [`JobError::Record`] if
/// the script or a record cannot be written.
pub fn submit(jobs: &[Job], by: &Submitter, resources: &Resources, after: &[Job]) -> Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let path = first.path.join(JOB).join("batch.sh");
    write_whole(&path, script(jobs, &by.data, resources).as_bytes())?;
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    for name in &by.without {
        command.env_remove(name);
    }
    // Slurm soon forgets finished jobs.
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
            // Without its record nobody could stop the job.
            let _ = run(&mut slurm_command("scancel", &[&id]));
            return Err(e.into());
        }
    }
    Ok(())
}

/// The batch script of these jobs: options, the run of this array task, and one `srun`.
fn script(jobs: &[Job], data: &Path, resources: &Resources) -> String {
    let mut text = String::from("#!/bin/sh\n");
    for (name, value) in job_options(jobs, resources).into_iter().chain(resource_options(resources))
    {
        let _ = writeln!(text, "#SBATCH --{name}={value}");
    }
    for line in &resources.extra {
        let _ = writeln!(text, "#SBATCH {line}");
    }
    text.push_str("#SBATCH --requeue\n\n");
    let runs: Vec<String> = jobs.iter().map(|job| quoted(&job.path.display())).collect();
    let _ = writeln!(text, "set -- {}", runs.join(" "));
    text.push_str("shift \"${SLURM_ARRAY_TASK_ID:-0}\"\nrun=$1\n");
    let _ = writeln!(text, "exec >>\"$run/{OUTPUT}\" 2>&1");
    if let Some(job) = jobs.first() {
        text.push_str(&srun_line(job, data, resources.mpi.as_deref()));
    }
    text.push_str(REQUEUE);
    text
}

/// The `sbatch` options that follow from the jobs themselves.
fn job_options(jobs: &[Job], resources: &Resources) -> Vec<(&'static str, String)> {
    let first = jobs.first().map_or("", |job| &job.id);
    let mut options = vec![("job-name", format!("artgpt-{first}"))];
    // The script redirects to each run's log; a single job's Slurm messages go there too.
    match jobs {
        [job] if is_plain(&job.path) => {
            options.push(("output", job.path.join(OUTPUT).display().to_string()));
        }
        [_] => options.push(("output", "/dev/null".into())),
        _ => {
            options.push(("output", "/dev/null".into()));
            options.push(("array", format!("0-{}", jobs.len() - 1)));
        }
    }
    options.push(("open-mode", "append".into()));
    options.push(("signal", format!("TERM@{}", resources.notice.unwrap_or(DEFAULT_NOTICE))));
    let nice = jobs.first().map_or(0, |job| -i64::from(job.spec.priority));
    if nice != 0 {
        options.push(("nice", nice.to_string()));
    }
    options
}

/// The `sbatch` options that the configuration's `[slurm]` table sets.
fn resource_options(resources: &Resources) -> impl Iterator<Item = (&'static str, String)> {
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
        mpi: _,
        notice: _,
        extra: _,
    } = resources;
    let number = |value: &Option<u32>| value.map(|value| value.to_string());
    [
        ("partition", partition.clone()),
        ("account", account.clone()),
        ("qos", qos.clone()),
        ("time", time.clone()),
        ("mem", memory.clone()),
        ("nodes", number(nodes)),
        ("ntasks", number(tasks)),
        ("cpus-per-task", number(cpus_per_task)),
        ("gpus-per-task", number(gpus_per_task)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// The script's line that starts the training processes of `$run`; the jobs differ in nothing else.
fn srun_line(job: &Job, data: &Path, mpi: Option<&str>) -> String {
    let device = match job.spec.device.as_str() {
        // Slurm shows each process only its own GPU.
        name if name.starts_with("cuda") => "cuda",
        name => name,
    };
    let mut words: Vec<String> =
        arguments(job, data, device).iter().map(|word| quoted(&word.to_string_lossy())).collect();
    words.pop(); // the run directory, which differs between array tasks
    let program = quoted(&job.spec.program.display());
    let mpi = mpi.map(|kind| format!("--mpi={} ", quoted(&kind))).unwrap_or_default();
    format!("srun {CPUS_PER_TASK} {mpi}{program} {} \"$run\"\n", words.join(" "))
}

/// Job steps do not inherit `--cpus-per-task`: without it Slurm binds each process to one core.
const CPUS_PER_TASK: &str = "${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}";

/// Exit code 130: the process received SIGTERM and has written its checkpoint; the user's request says
/// what follows. `srun` itself must not get the signal: it would kill its processes at once.
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

/// Whether a path can stand in an `#SBATCH` option, which knows no quotes and expands `%`.
fn is_plain(path: &Path) -> bool {
    let text = path.display().to_string();
    !text.contains(|c: char| c.is_whitespace() || matches!(c, '%' | '\'' | '"' | '\\'))
}

/// Quotes a word for `sh`.
fn quoted(word: &dyn std::fmt::Display) -> String {
    format!("'{}'", word.to_string().replace('\'', r"'\''"))
}

/// Carries out a request that is already written beside the run: signals, holds, releases, cancels or
/// submits the job.
///
/// # Errors
/// [`JobError::Slurm`] if a Slurm command is missing or fails; [`JobError::Run`] or
/// [`JobError::Record`] if the run's records cannot be written.
pub fn apply_request(
    job: &Job,
    wanted: Wanted,
    by: &Submitter,
    resources: &Resources,
) -> Result<()> {
    let id = job.progress.slurm_id.as_deref().unwrap_or_default();
    let known = queue_entries(std::slice::from_ref(job))?.contains_key(&job.id);
    let is_running = RunDir::is_open(&job.path);
    let mut command = match wanted {
        // The process writes a checkpoint, then the script requeues the job or ends.
        Wanted::Pause | Wanted::Stop if is_running => {
            slurm_command("scancel", &["--signal=TERM", id])
        }
        Wanted::Stop if known => slurm_command("scancel", &[id]),
        Wanted::Pause if known => slurm_command("scontrol", &["hold", id]),
        // A requeued job waits a minute or two until its credential expires; no command shortens that.
        Wanted::Run => {
            if known {
                run(&mut slurm_command("scontrol", &["release", id]))?;
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

fn slurm_command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// A job in the output of `squeue`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct QueueEntry {
    /// `PENDING`, `RUNNING`, …
    state: String,
    /// Why it is pending.
    reason: String,
}

/// The jobs that Slurm knows as pending or running, by run ID.
fn queue_entries(jobs: &[Job]) -> Result<HashMap<String, QueueEntry>> {
    let open = jobs.iter().filter(|job| !has_ended(job));
    let mine: HashMap<&str, &Job> =
        open.filter_map(|job| Some((job.progress.slurm_id.as_deref()?, job))).collect();
    if mine.is_empty() {
        return Ok(HashMap::new());
    }
    let output =
        run(Command::new("squeue").args(["--noheader", "--me", "--array", "-o", "%i|%T|%r"]))?;
    Ok(output
        .lines()
        .filter_map(|line| {
            let mut parts = line.trim().splitn(3, '|');
            let (id, state, reason) = (parts.next()?, parts.next()?, parts.next()?);
            let entry = QueueEntry { state: state.into(), reason: reason.into() };
            Some((mine.get(id)?.id.clone(), entry))
        })
        .collect())
}

/// Updates the states of Slurm jobs, in memory and on disk, to what `squeue` and `sacct` report.
///
/// # Errors
/// [`JobError::Slurm`] if `squeue` is missing or fails; [`JobError::Run`] if a status cannot be written.
pub fn refresh(jobs: &mut [Job]) -> Result<()> {
    let entries = queue_entries(jobs)?;
    for job in jobs {
        if job.progress.slurm_id.is_none() || has_ended(job) || RunDir::is_open(&job.path) {
            continue;
        }
        // The process may have written its final status while squeue ran.
        if let Some(status) = Status::read(&job.path) {
            job.status = status;
        }
        if has_ended(job) {
            continue;
        }
        let (state, reason) = match entries.get(&job.id) {
            Some(entry) if entry.reason.to_lowercase().contains("held") => {
                (RunState::Paused, "paused".into())
            }
            Some(entry) if entry.state == "PENDING" => {
                job.progress.waits_for = Some(format!("Slurm: {}", entry.reason));
                (RunState::Queued, String::new())
            }
            // It loads the model or writes its checkpoint.
            Some(_) => continue,
            None => match (job.status.state, job.request.wanted) {
                (
                    RunState::Queued | RunState::Running | RunState::Paused | RunState::Stopped,
                    Wanted::Stop,
                ) => (RunState::Stopped, "asked to stop".into()),
                (RunState::Queued | RunState::Running, _) => {
                    (RunState::Failed, accounting(job).unwrap_or_else(|| "Slurm ended it".into()))
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

/// Whether the job has ended for good: not open, and not paused.
fn has_ended(job: &Job) -> bool {
    !job.is_open() && job.status.state != RunState::Paused
}

/// How a job ended, if the cluster keeps accounting records.
fn accounting(job: &Job) -> Option<String> {
    let id = job.progress.slurm_id.as_deref()?;
    let mut command = Command::new("sacct");
    let output = run(command.args(["-n", "-P", "-X", "-j", id, "-o", "State,ExitCode"])).ok()?;
    let (state, code) = output.lines().last()?.split_once('|')?;
    Some(format!("Slurm ended it: {state}, exit code {code}"))
}

/// Runs a Slurm command and returns its standard output.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } = command.output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => JobError::Slurm {
            command: name.clone(),
            reason: "this machine has no such program".into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::job::{Place, Request, Spec};

    fn job(id: &str) -> Job {
        Job {
            id: id.into(),
            path: Path::new("/runs").join(id),
            spec: Spec {
                name: None,
                submitted: jiff::Timestamp::UNIX_EPOCH,
                on: Place::Slurm,
                device: "cuda:0".into(),
                priority: 3,
                after: Vec::new(),
                retries: 0,
                memory: None,
                program: "/bin/artgpt-tui".into(),
                settings: "/no/config.toml".into(),
            },
            request: Request::default(),
            progress: Progress::default(),
            status: Status::now(RunState::Queued, 0, 10, None),
        }
    }

    #[test]
    fn several_jobs_become_an_array_with_the_configured_resources() {
        let resources = Resources {
            partition: Some("gpu".into()),
            cpus_per_task: Some(4),
            mpi: Some("pmix".into()),
            extra: vec!["--exclusive".into()],
            ..Resources::default()
        };
        let text = script(&[job("A"), job("B")], Path::new("/data"), &resources);
        let (head, _) = text.split_once("code=$?").expect("requeues");
        let expected = r#"#!/bin/sh
#SBATCH --job-name=artgpt-A
#SBATCH --output=/dev/null
#SBATCH --array=0-1
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
#SBATCH --nice=-3
#SBATCH --partition=gpu
#SBATCH --cpus-per-task=4
#SBATCH --exclusive
#SBATCH --requeue

set -- '/runs/A' '/runs/B'
shift "${SLURM_ARRAY_TASK_ID:-0}"
run=$1
exec >>"$run/output.log" 2>&1
srun ${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK} --mpi='pmix' '/bin/artgpt-tui' '--data-dir' '/data' '--device' 'cuda' 'train' '--own-session' '--resume' "$run"
"#;
        assert_eq!(head, expected);
    }

    #[test]
    fn a_single_job_logs_to_its_run_unless_the_path_needs_quotes() {
        let log = |job: &Job| {
            let text = script(std::slice::from_ref(job), Path::new("/data"), &Resources::default());
            text.lines().find(|line| line.contains("--output")).map(str::to_string)
        };
        let mut one = job("A");
        assert_eq!(log(&one).as_deref(), Some("#SBATCH --output=/runs/A/output.log"));
        one.path = "/my runs/A".into();
        assert_eq!(log(&one).as_deref(), Some("#SBATCH --output=/dev/null"));
    }
}

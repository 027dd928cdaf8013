//! The batch script of jobs. Pure functions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::local::arguments;
use crate::{Job, JobError, Result};
use artgpt_rundir::Resources;
use artgpt_rundir::job::OUTPUT;

/// Default of `slurm.notice`: seconds before the time limit at which Slurm sends SIGTERM.
const DEFAULT_NOTICE: u32 = 120;

/// The batch script of these jobs: options, the run of this array task, and one `srun`.
///
/// # Errors
/// [`JobError::Run`] if a value of `[slurm]` holds a control character, [`JobError::Slurm`] if a path is
/// not UTF-8 or cannot be made absolute.
pub(super) fn script(jobs: &[Job], data: &Path, resources: &Resources) -> Result<String> {
    resources.check()?;
    let paths: Vec<String> =
        jobs.iter().map(|job| plain_text(&absolute(&job.path)?)).collect::<Result<_>>()?;
    let mut text = String::from("#!/bin/sh\n");
    let own = job_options(jobs, &paths, resources);
    for (name, value) in own.into_iter().chain(resource_options(resources)) {
        let _ = writeln!(text, "#SBATCH --{name}={}", option(&value));
    }
    for entry in &resources.extra {
        let words: Vec<String> = words(entry).iter().map(|word| option(word)).collect();
        let _ = writeln!(text, "#SBATCH {}", words.join(" "));
    }
    text.push_str("#SBATCH --requeue\n\n");
    let runs: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
    let _ = writeln!(text, "set -- {}", runs.join(" "));
    text.push_str("shift \"${SLURM_ARRAY_TASK_ID:-0}\"\nrun=$1\n");
    let _ = writeln!(text, "exec >>\"$run/{OUTPUT}\" 2>&1");
    if let Some(job) = jobs.first() {
        text.push_str(&srun_line(job, &absolute(data)?, resources.mpi.as_deref())?);
    }
    text.push_str(REQUEUE);
    Ok(text)
}

/// The name of the Slurm job of these jobs. No other has it, as it holds a run's ID.
pub(super) fn name(jobs: &[Job]) -> String {
    name_of(jobs.first().map_or("", |job| &job.id))
}

/// The name of the Slurm job whose first run has this ID.
pub(super) fn name_of(id: &str) -> String {
    format!("artgpt-{id}")
}

/// Which task of a batch script is the run `id`: `Some(None)` if it is the only one, `None` if it is none
/// of them.
pub(super) fn task(script: &str, id: &str) -> Option<Option<usize>> {
    let line = script.lines().find_map(|line| line.strip_prefix("set -- "))?;
    // Paths are in quotes, and end with the run's ID.
    let ends: Vec<&str> = line.split("' '").map(|path| path.trim_end_matches('\'')).collect();
    let i = ends.iter().position(|path| path.rsplit('/').next() == Some(id))?;
    Some((ends.len() > 1).then_some(i))
}

/// The `sbatch` options that follow from the jobs themselves.
fn job_options(
    jobs: &[Job],
    paths: &[String],
    resources: &Resources,
) -> Vec<(&'static str, String)> {
    let mut options = vec![("job-name", name(jobs))];
    // The script redirects to each run's log; a single job's Slurm messages go there too.
    match paths {
        [path] if can_be_output(path) => options.push(("output", format!("{path}/{OUTPUT}"))),
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
fn srun_line(job: &Job, data: &Path, mpi: Option<&str>) -> Result<String> {
    let device = match job.spec.device.as_str() {
        // Slurm shows each process only its own GPU.
        name if name.starts_with("cuda") => "cuda",
        name => name,
    };
    let mut words = arguments(job, data, device);
    words.pop(); // the run directory, which differs between array tasks
    let words: Vec<String> = words
        .iter()
        .map(|word| Ok(quoted(&plain_text(Path::new(word))?)))
        .collect::<Result<_>>()?;
    let program = quoted(&plain_text(&absolute(&job.spec.program)?)?);
    let mpi = mpi.map(|kind| format!("--mpi={} ", quoted(kind))).unwrap_or_default();
    Ok(format!("srun {CPUS_PER_TASK} {mpi}{program} {} \"$run\"\n", words.join(" ")))
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

/// Whether the folder `path` can be that of `sbatch --output`, which expands `%` and `\`, and stands on
/// one line.
fn can_be_output(path: &str) -> bool {
    !path.contains(|c: char| c.is_control() || matches!(c, '%' | '\\'))
}

/// A word of an `#SBATCH` line. sbatch splits such a line at spaces, ends it at `#`, and knows quotes, in
/// which a backslash takes the next character as it is.
fn option(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:;/+@%[]()&|*!".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// The words of an entry of `extra`, which may be quoted as on a command line. An entry with a quote that
/// does not end is one word.
fn words(entry: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_word) = (Vec::new(), String::new(), None, false);
    for c in entry.chars() {
        match quote {
            Some(mark) if c == mark => quote = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => (quote, is_word) = (Some(c), true),
            None if c.is_whitespace() => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            None => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if quote.is_some() {
        return vec![entry.to_string()];
    }
    words.extend(is_word.then_some(word));
    words
}

/// Quotes a word for `sh`.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| refused(path, &e.to_string()))
}

fn plain_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_string).ok_or_else(|| refused(path, "it is not UTF-8"))
}

fn refused(path: &Path, why: &str) -> JobError {
    let path = artgpt_base::text::printable(&path.to_string_lossy());
    JobError::Slurm {
        command: "sbatch".into(),
        reason: format!("{path} cannot stand in a job script: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::tests::job;

    #[test]
    fn the_task_of_a_run_is_read_from_the_script() {
        let jobs = ["A", "B"].map(job);
        let text = script(&jobs, Path::new("/data"), &Resources::default()).expect("a script");
        assert_eq!(["A", "B", "C"].map(|id| task(&text, id)), [Some(Some(0)), Some(Some(1)), None]);
        let one = script(&jobs[..1], Path::new("/data"), &Resources::default()).expect("a script");
        assert_eq!((task(&one, "A"), task(&one, "B"), task("", "A")), (Some(None), None, None));
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
        let text = script(&[job("A"), job("B")], Path::new("/data"), &resources).expect("one");
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

    /// The first line of a script that holds `part`.
    fn line(text: &str, part: &str) -> String {
        text.lines().find(|line| line.contains(part)).unwrap_or_default().to_string()
    }

    #[test]
    fn a_single_job_logs_to_its_run_unless_slurm_would_expand_the_path() {
        let log = |path: &str| {
            let mut one = job("A");
            one.path = path.into();
            let text = script(&[one], Path::new("/data"), &Resources::default()).expect("one");
            line(&text, "--output")
        };
        assert_eq!(log("/runs/A"), "#SBATCH --output=/runs/A/output.log");
        assert_eq!(log("/my \"runs\"/A"), r##"#SBATCH --output="/my \"runs\"/A/output.log""##);
        assert_eq!(log("/100 %/A"), "#SBATCH --output=/dev/null");
        assert_eq!(log("/a\nb/A"), "#SBATCH --output=/dev/null");
    }

    #[test]
    fn values_are_quoted_and_paths_are_absolute() {
        let resources = Resources {
            partition: Some("a b#c".into()),
            account: Some(r#"x"\y"#.into()),
            mpi: Some("it's".into()),
            extra: vec!["--comment='two words' --exclusive".into(), "--x=\"open".into()],
            ..Resources::default()
        };
        let mut one = job("A");
        one.path = "runs/A's".into();
        let text = script(&[one], Path::new("data"), &resources).expect("one");
        assert_eq!(line(&text, "--partition"), r##"#SBATCH --partition="a b#c""##);
        assert_eq!(line(&text, "--account"), r##"#SBATCH --account="x\"\\y""##);
        assert_eq!(line(&text, "--comment"), r##"#SBATCH "--comment=two words" --exclusive"##);
        assert_eq!(line(&text, "--x"), r##"#SBATCH "--x=\"open""##);
        let here = std::env::current_dir().expect("a folder").display().to_string();
        assert_eq!(line(&text, "set --"), format!(r"set -- '{here}/runs/A'\''s'"));
        let srun = line(&text, "srun");
        assert!(srun.contains(r"--mpi='it'\''s'"), "{srun}");
        assert!(srun.contains(&format!("'--data-dir' '{here}/data'")), "{srun}");
    }

    #[test]
    fn a_control_character_in_a_value_is_refused() {
        for bad in ["a\nb", "a\rb", "a\u{1b}b", "a\u{85}b", "a\u{2028}b"] {
            let resources = Resources { qos: Some(bad.into()), ..Resources::default() };
            assert!(script(&[job("A")], Path::new("/data"), &resources).is_err(), "{bad:?}");
            let resources = Resources { extra: vec![bad.into()], ..Resources::default() };
            assert!(script(&[job("A")], Path::new("/data"), &resources).is_err(), "{bad:?}");
        }
    }
}

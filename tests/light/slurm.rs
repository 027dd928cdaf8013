//! Jobs on a cluster whose programs are stand-ins: what they answer is a shell snippet of the test.
//! `tests/jobs/slurm.rs` talks to a real Slurm.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::home::Home;
use crate::common::wait;

const PROGRAMS: [&str; 6] = ["sbatch", "squeue", "sacct", "scontrol", "scancel", "srun"];

/// Runs the snippet of the program's name, and notes the call.
const STAND_IN: &str = r#"#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$ANSWERS/calls"
[ -f "$ANSWERS/$name" ] && . "$ANSWERS/$name"
exit 0
"#;

/// `squeue` with both jobs in the queue.
const BOTH: &str = r"printf '100|PENDING|Priority\n101|PENDING|Dependency\n'";
const UNKNOWN: &str = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1";
const DISABLED: &str = "echo 'Slurm accounting storage is disabled' >&2; exit 1";

struct Cluster {
    home: Home,
    answers: PathBuf,
}

impl Cluster {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let home = Home::bare();
        let (bin, answers) = (home.path().join("bin"), home.path().join("answers"));
        std::fs::create_dir_all(&bin).expect("makes");
        std::fs::create_dir_all(&answers).expect("makes");
        for name in PROGRAMS {
            let path = bin.join(name);
            std::fs::write(&path, STAND_IN).expect("writes");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("sets");
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let folder = answers.display().to_string();
        let cluster = Self { home: home.with("PATH", &path).with("ANSWERS", &folder), answers };
        cluster.answer("sbatch", "case \"$*\" in *--dependency*) echo 101 ;; *) echo 100 ;; esac");
        cluster.answer("squeue", BOTH);
        cluster
    }

    /// What a program answers from now on.
    fn answer(&self, program: &str, snippet: &str) {
        std::fs::write(self.answers.join(program), snippet).expect("writes");
    }

    fn calls(&self, program: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.answers.join("calls")).unwrap_or_default();
        let own = text.lines().filter(|line| line.split(' ').next() == Some(program));
        own.map(str::to_string).collect()
    }

    fn config(&self) -> PathBuf {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/slurm");
        let (model, shard) = (data.join("tiny.gguf"), data.join("one.tar"));
        let text = format!(
            "model = {:?}\nseed = 1\n[data]\nkind = \"webdataset\"\npath = {:?}\nheld_out = 0.0\n\
             [[stage]]\nkind = \"caption\"\nsteps = 1\nbatch = 1\nlr = 1e-4\n\
             [stage.caption]\ninstructions = [\"What is it?\"]\n",
            model.display().to_string(),
            shard.display().to_string()
        );
        self.home.config("train.toml", &text)
    }

    fn submit(&self, name: &str, more: &[&str]) -> String {
        let args = [&["--on", "slurm", "--name", name], more].concat();
        self.home.submit(&self.config(), &args).remove(0)
    }

    /// The state of each job, in the order of their submission.
    fn states(&self) -> Vec<String> {
        let listed = self.home.json(&["jobs", "list"]);
        let jobs = listed.as_array().expect("a list").iter();
        jobs.map(|job| job["state"].as_str().expect("a state").to_string()).collect()
    }

    fn job(&self, name: &str) -> Value {
        self.home.job(name)
    }

    fn file(&self, id: &str, name: &str) -> PathBuf {
        self.home.path().join("runs").join(id).join("job").join(name)
    }

    /// Changes a field of a job's bookkeeping.
    fn set_progress(&self, id: &str, key: &str, value: Value) {
        let path = self.file(id, "progress.json");
        let text = std::fs::read_to_string(&path).expect("reads");
        let mut progress: Value = serde_json::from_str(&text).expect("parses");
        progress[key] = value;
        std::fs::write(&path, progress.to_string()).expect("writes");
    }
}

#[test]
fn no_answer_of_slurm_is_the_end_of_a_job() {
    let cluster = Cluster::new();
    cluster.submit("first", &[]);
    cluster.submit("second", &["--after", "first"]);
    assert_eq!(cluster.states(), ["queued", "queued"]);
    let timeout = "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2";
    for squeue in [timeout, "", "exit 1", "printf '100|PENDING|Prio'", "echo oops", "kill -9 $$"] {
        for sacct in
            ["", "echo 'RUNNING|0:0'", "echo 'REQUEUED|0:0'", "printf 'FAILED|1'", "exit 1"]
        {
            cluster.answer("squeue", squeue);
            cluster.answer("sacct", sacct);
            assert_eq!(cluster.states(), ["queued", "queued"], "{squeue:?} {sacct:?}");
        }
    }
    let (_, out, err) = cluster.home.run(&["jobs", "list"]);
    assert!(out.contains("unknown since"), "{out}");
    assert!(err.contains("Slurm does not answer"), "{err}");
    assert!(cluster.job("second")["unknown_since"].is_string());
    // Neither is submitted again while Slurm says nothing.
    let (code, out, _) = cluster.home.run(&["jobs", "resume", "first"]);
    assert!(code == Some(0) && out.contains("queued"), "{out}");
    assert_eq!(cluster.calls("sbatch").len(), 2);
    cluster.answer("squeue", BOTH);
    let second = cluster.job("second");
    assert_eq!(
        (&second["state"], &second["waits_for"]),
        (&"queued".into(), &"Slurm: Dependency".into())
    );
    assert!(second["unknown_since"].is_null());
}

#[test]
fn sacct_or_else_scontrol_says_that_a_job_has_ended() {
    let cluster = Cluster::new();
    let id = cluster.submit("first", &[]);
    cluster.answer("squeue", "");
    cluster.answer("sacct", "echo 'NODE_FAIL|1:0'");
    let failed = cluster.job("first");
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["exit_reason"], "Slurm ended it: NODE_FAIL, exit code 1:0");
    // What Slurm lists again is open again.
    cluster.answer("squeue", BOTH);
    assert_eq!(cluster.states(), ["queued"]);
    cluster.answer("squeue", "echo '100|RUNNING|None'");
    assert_eq!(cluster.states(), ["running"]);
    // Without accounting.
    cluster.answer("squeue", "");
    cluster.answer("sacct", DISABLED);
    cluster.answer("scontrol", "printf 'JobId=100\n   JobState=COMPLETING\n   ExitCode=0:0\n'");
    assert_eq!(cluster.states(), ["running"]);
    cluster.answer("scontrol", "printf 'JobId=100\n   JobState=TIMEOUT\n   ExitCode=0:15\n'");
    assert_eq!(cluster.job(&id)["exit_reason"], "Slurm ended it: TIMEOUT, exit code 0:15");
}

#[test]
fn a_job_that_slurm_does_not_know_must_be_missed_twice_a_minute_apart() {
    let cluster = Cluster::new();
    let id = cluster.submit("first", &[]);
    cluster.answer("squeue", "echo '7|RUNNING|None'");
    cluster.answer("sacct", DISABLED);
    cluster.answer("scontrol", UNKNOWN);
    assert_eq!(cluster.states(), ["queued"]);
    assert_eq!(cluster.states(), ["queued"]);
    let ago = |seconds: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds);
        Value::from(at.to_string())
    };
    // A list with an error does not count.
    cluster.set_progress(&id, "missed", ago(61));
    cluster.answer("squeue", "echo 'slurm_load_jobs error' >&2");
    assert_eq!(cluster.states(), ["queued"]);
    cluster.answer("squeue", "");
    let failed = cluster.job("first");
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["exit_reason"], "Slurm ended it: it no longer knows the job");
    // Now it may be submitted again.
    cluster.answer("squeue", BOTH);
    cluster.answer("sbatch", "echo 100");
    assert_eq!(cluster.states(), ["queued"]);
}

#[test]
fn resume_submits_only_what_has_ended_and_that_once() {
    let cluster = Cluster::new();
    cluster.submit("first", &[]);
    cluster.answer("squeue", "echo '100|PENDING|JobHeldUser'");
    assert_eq!(cluster.states(), ["paused"]);
    let resume = || cluster.home.run(&["jobs", "resume", "first"]);
    cluster.answer("squeue", "");
    let (code, _, err) = resume();
    assert!(code == Some(1) && err.contains("does not say whether job"), "{err}");
    assert!(cluster.calls("scontrol").iter().all(|call| !call.contains("release")));
    // Released where it is listed, and submitted again where it has ended.
    cluster.answer("squeue", "echo '100|PENDING|JobHeldUser'");
    cluster.answer(
        "scontrol",
        "case $1 in release) echo \"echo '100|PENDING|Priority'\" >$ANSWERS/squeue ;; esac",
    );
    let (code, out, err) = resume();
    assert!(code == Some(0) && out.contains("queued"), "{out} {err}");
    assert_eq!(cluster.calls("sbatch").len(), 1);
    cluster.answer("squeue", "");
    cluster.answer("sacct", "echo 'CANCELLED by 0|0:0'");
    assert_eq!(cluster.states(), ["failed"]);
    cluster.answer(
        "sbatch",
        "echo \"echo '200|PENDING|Priority'\" >$ANSWERS/squeue; sleep 0.3; echo 200",
    );
    std::thread::scope(|scope| {
        let both = [scope.spawn(resume), scope.spawn(resume)];
        for thread in both {
            let (code, out, err) = thread.join().expect("ends");
            assert!(code == Some(0) && out.contains("queued"), "{out} {err}");
        }
    });
    assert_eq!(cluster.calls("sbatch").len(), 2, "{:?}", cluster.calls("sbatch"));
    assert_eq!(cluster.job("first")["slurm_id"], "200");
}

#[test]
fn a_submission_whose_process_dies_is_found_again() {
    let cluster = Cluster::new();
    // Killed before `sbatch` answers; then `sbatch` too, after Slurm took the job.
    for (i, sbatch) in ["kill -9 $PPID; sleep 0.2; echo 300", "kill -9 $PPID $$"].iter().enumerate()
    {
        let name = format!("job{i}");
        cluster.answer("sbatch", sbatch);
        let config = cluster.config().display().to_string();
        let args = ["jobs", "submit", "train", &config, "--on", "slurm", "--name", &name];
        let (code, _, _) = cluster.home.run(&args);
        assert_eq!(code, None, "is killed");
        let number = format!("30{i}");
        cluster.answer("squeue", &format!("printf '300|PENDING|None\n{number}|PENDING|None\n'"));
        wait::until("its number", || match cluster.job(&name) {
            job if job["slurm_id"] == number.as_str() => Ok(()),
            job => Err(format!("{job:#}")),
        });
        let (code, _, err) = cluster.home.run(&["jobs", "resume", &name]);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(cluster.calls("sbatch").len(), i + 1);
    }
    // One that Slurm never got may be submitted again, a minute later.
    cluster.answer("squeue", "");
    cluster.answer("sbatch", "echo 'sbatch: error: Socket timed out' >&2; exit 1");
    let config = cluster.config().display().to_string();
    let submit = ["jobs", "submit", "train", &config, "--on", "slurm", "--name", "lost"];
    let (code, _, err) = cluster.home.run(&submit);
    assert!(code == Some(1) && err.contains("did not say whether it took"), "{err}");
    let lost = cluster.job("lost");
    assert_eq!(lost["state"], "queued");
    let id = lost["id"].as_str().expect("an ID");
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(61);
    cluster.set_progress(id, "missed", then.to_string().into());
    assert_eq!(cluster.job("lost")["state"], "failed");
    cluster.answer("sbatch", "echo \"echo '400|PENDING|None'\" >$ANSWERS/squeue; echo 400");
    let (code, _, err) = cluster.home.run(&["jobs", "resume", "lost"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(cluster.job("lost")["slurm_id"], "400");
}

#[test]
fn a_refused_submission_leaves_no_job_and_no_line_of_the_configuration_is_a_command() {
    let cluster = Cluster::new();
    let config = cluster.config().display().to_string();
    let submit = |set: &str| {
        let args = ["jobs", "submit", "train", &config, "--on", "slurm", "--set", set];
        cluster.home.run(&args)
    };
    for set in [
        "slurm.partition=\"gpu\\ntouch x\"",
        "slurm.mpi=\"pmix\\r\"",
        "slurm.extra=[\"--exclusive\\n#SBATCH --wrap=x\"]",
    ] {
        let (code, _, err) = submit(set);
        assert!(code == Some(1) && err.contains("control character"), "{set}: {code:?} {err}");
    }
    assert!(cluster.calls("sbatch").is_empty());
    cluster.answer("sbatch", "echo 'sbatch: error: invalid partition specified' >&2; exit 1");
    let (code, _, err) = submit("slurm.partition=\"nowhere\"");
    assert!(code == Some(1) && err.contains("invalid partition"), "{err}");
    assert!(cluster.states().is_empty());
}

#[test]
fn a_job_with_a_record_that_cannot_be_read_is_listed_and_removed() {
    let cluster = Cluster::new();
    for record in ["spec.json", "request.json", "progress.json"] {
        let id = cluster.submit("broken", &[]);
        std::fs::write(cluster.file(&id, record), "{").expect("writes");
        let listed = cluster.home.json(&["jobs", "list"]);
        assert_eq!(listed[0]["id"], id.as_str());
        assert!(
            listed[0]["damaged"].as_str().is_some_and(|why| why.contains(record)),
            "{listed:#}"
        );
        let (_, out, _) = cluster.home.run(&["jobs", "list"]);
        assert!(out.contains("damaged") && out.contains(record), "{out}");
        if record == "spec.json" {
            let stopped = cluster.home.json(&["jobs", "stop", &id]);
            assert_eq!(stopped[0]["state"], "stopped");
            assert_eq!(cluster.calls("scancel"), ["scancel 100"]);
        }
        let (code, _, err) = cluster.home.run(&["jobs", "remove", &id]);
        assert_eq!(code, Some(0), "{record}: {err}");
        assert!(cluster.states().is_empty());
    }
}

//! A data folder with jobs in it, and what a user asks of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::{fresh_data, program, wait};

/// A run that needs no language model: a step takes a moment.
pub(crate) const QUICK: &str = r#"
model = "artgpt-smol"
data = "met-paintings"
seed = 5
held_out = 35
method = { kind = "projection" }
validate_every = 0
checkpoint_every = 10
view_pool = 8

[[stage]]
kind = "align"
steps = 60
batch = 2
lr = 1e-3
"#;

/// The paper's adapters in the default model.
pub(crate) const ADAPTERS: &str = r#"
model = "artgpt-smol"
data = "met-paintings"
seed = 5
held_out = 35
bridge = "projection"
validate_every = 0
checkpoint_every = 4
view_pool = 4

[[stage]]
kind = "answer"
steps = 16
batch = 1
questions = 1
lr = 1e-3
"#;

pub(crate) struct Home {
    data: tempfile::TempDir,
    /// Variables that the program sees besides.
    env: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let data = fresh_data();
        // The paintings are installed once.
        let installed = program(data.path())
            .args(["models", "install", "met-paintings"])
            .output()
            .expect("runs");
        assert!(installed.status.success(), "{installed:?}");
        Self { data, env: Vec::new() }
    }

    /// Empty: without a model and without paintings.
    pub(crate) fn bare() -> Self {
        Self { data: tempfile::tempdir().expect("temp dir"), env: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn config(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path
    }

    pub(crate) fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let env = self.env.iter().map(|(k, v)| (k, v));
        let output = program(self.path()).envs(env).args(args).output().expect("runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        let (code, out, err) = self.run(&all);
        assert_eq!(code, Some(0), "{args:?}: {out} {err}");
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out} {err}"))
    }

    pub(crate) fn submit(&self, config: &Path, more: &[&str]) -> Vec<String> {
        let config = config.display().to_string();
        let args: Vec<&str> =
            ["jobs", "submit", "train", &config].iter().chain(more).copied().collect();
        let told = self.json(&args);
        let jobs = told["jobs"].as_array().expect("a list");
        jobs.iter().map(|job| job["id"].as_str().expect("an id").to_string()).collect()
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        self.json(&["jobs", "show", id])
    }

    pub(crate) fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, || {
            let job = self.job(id);
            if wanted(&job) { Ok(job) } else { Err(format!("{job:#}\n{}", self.log())) }
        })
    }

    pub(crate) fn until_state(&self, id: &str, state: &str) -> Value {
        self.until(id, state, |job| job["state"] == state)
    }

    pub(crate) fn until_step(&self, id: &str, step: u64) -> Value {
        self.until(id, "its steps", |job| {
            assert_ne!(job["state"], "failed", "{job:#}");
            job["step"].as_u64() >= Some(step)
        })
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("logs/jobs.log")).unwrap_or_default()
    }

    /// The run's events, a line each.
    pub(crate) fn marks(&self, id: &str) -> String {
        let path = self.path().join("runs").join(id).join("marks.jsonl");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// How often a process of it came to train.
    pub(crate) fn beginnings(&self, id: &str) -> usize {
        self.marks(id).matches("begins after step").count()
    }

    /// Loss by step.
    pub(crate) fn losses(&self, id: &str) -> BTreeMap<u64, String> {
        let path = self.path().join("runs").join(id).join("metrics.jsonl");
        let text = std::fs::read_to_string(path).expect("metrics");
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .map(|m| (m["step"].as_u64().expect("a step"), m["loss"].to_string()))
            .collect()
    }

    /// The same run in the foreground, from its beginning to its end.
    pub(crate) fn unbroken(&self, config: &Path) -> BTreeMap<u64, String> {
        let (code, out, err) = self.run(&["--json", "train", &config.display().to_string()]);
        assert_eq!(code, Some(0), "{out} {err}");
        let last = out.lines().last().expect("a line");
        let told: Value = serde_json::from_str(last).expect("JSON");
        self.losses(told["run"].as_str().expect("an id"))
    }

    pub(crate) fn supervisors(&self) -> Vec<u32> {
        self.processes("supervise")
    }

    /// Processes that train a job.
    pub(crate) fn trainers(&self, id: &str) -> Vec<u32> {
        self.processes(id)
    }

    /// Processes of this data folder that have a word in their command line.
    fn processes(&self, word: &str) -> Vec<u32> {
        let data = self.path().display().to_string();
        processes()
            .into_iter()
            .filter(|(_, c)| c.contains(&data) && c.contains(word))
            .map(|(p, _)| p)
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let data = self.path().display().to_string();
        for (pid, command) in processes() {
            if command.contains(&data) && pid != std::process::id() {
                kill(pid);
            }
        }
    }
}

/// Numbers and command lines of all processes.
pub(crate) fn processes() -> Vec<(u32, String)> {
    let all = std::fs::read_dir("/proc").expect("Linux").flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    })
    .collect()
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a number");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

pub(crate) fn pid(job: &Value) -> u32 {
    job["pid"].as_u64().expect("a number") as u32
}

pub(crate) fn terminate(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a number");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
}

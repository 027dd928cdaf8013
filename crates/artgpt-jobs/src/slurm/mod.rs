//! Jobs in a cluster's queue, where Slurm takes the supervisor's part.
//!
//! A job is one `sbatch` script that resumes the run at its current step, so a job that is preempted or
//! reaches its time limit is requeued. What Slurm says of a job becomes its state in `transition.rs`;
//! `submission.rs` sees to it that a job is never submitted twice.

mod answers;
mod command;
mod refresh;
mod script;
mod steer;
mod submission;
mod transition;

use std::path::PathBuf;

pub use refresh::refresh;
pub use steer::apply_request;
pub(crate) use steer::{cancel, cancel_damaged};
pub use submission::submit;

/// What a submission takes from the submitting process.
#[derive(Debug, Clone)]
pub struct Submitter {
    /// The data folder, an absolute path.
    pub data: PathBuf,
    /// Environment variables that jobs do not inherit (thread counts for inference).
    pub without: Vec<&'static str>,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::path::{Path, PathBuf};

    use crate::Job;
    use artgpt_rundir::job::{Place, Progress, Request, Spec};
    use artgpt_rundir::{RunState, Status};

    thread_local! {
        /// Where this test has stand-ins of Slurm's programs.
        static STAND_INS: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
    }

    /// The program that this test calls under that name.
    pub(super) fn stand_in(program: &str) -> PathBuf {
        STAND_INS.with_borrow(|folder| match folder {
            Some(folder) => folder.join(program),
            None => program.into(),
        })
    }

    /// A data folder with stand-ins of Slurm's programs. One without an answer is not installed.
    pub(crate) struct Cluster(tempfile::TempDir);

    impl Cluster {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            STAND_INS.set(Some(folder.path().to_path_buf()));
            Self(folder)
        }

        /// What a program answers from now on: a shell snippet.
        pub(crate) fn answer(&self, program: &str, snippet: &str) {
            use std::os::unix::fs::PermissionsExt;
            let path = self.0.path().join(program);
            // Other tests fork meanwhile: a script that a process has open for writing does not start.
            let text = format!("#!/bin/sh\n. {}.sh\n", path.display());
            std::fs::write(path.with_extension("sh"), snippet).expect("writes");
            if !path.exists() {
                let made = std::process::Command::new("sh")
                    .args(["-c", "printf %s \"$1\" >\"$0\"", &path.display().to_string(), &text])
                    .status();
                assert!(made.is_ok_and(|status| status.success()));
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&path, mode).expect("sets");
            }
        }

        /// The arguments of a program's calls, which its snippet must note with [`NOTE`].
        pub(crate) fn calls(&self, program: &str) -> Vec<String> {
            let path = self.0.path().join(program).with_extension("calls");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines().map(str::to_string).collect()
        }

        pub(crate) fn runs(&self) -> PathBuf {
            self.0.path().join("runs")
        }

        /// A job with its records on disk.
        pub(crate) fn job(&self, id: &str, state: RunState, progress: Progress) -> Job {
            use artgpt_rundir::job::{self as record, JOB, Record};
            let path = self.runs().join(id);
            std::fs::create_dir_all(path.join(JOB)).expect("makes");
            std::fs::write(path.join("config.toml"), "").expect("writes");
            let job = Job { path: path.clone(), progress, ..job(id) };
            record::write(&path, Record::Spec, &job.spec).expect("writes");
            record::write(&path, Record::Request, &job.request).expect("writes");
            record::write(&path, Record::Progress, &job.progress).expect("writes");
            Status::now(state, 3, 10, None).write(&path).expect("writes");
            Job::read(&path).expect("a job")
        }
    }

    /// Notes a call.
    pub(crate) const NOTE: &str = "echo \"$*\" >>\"$0.calls\"\n";

    pub(super) fn job(id: &str) -> Job {
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
            damage: None,
        }
    }
}

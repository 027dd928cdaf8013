//! What happens during a use case, for whoever shows it.

use std::path::Path;

use super::AppError;
use artgpt_fetch::Progress;
use artgpt_rundir::Metrics;

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A model's files are being fetched.
    Fetching(&'a Progress),
    /// The installation has ended, with or without success.
    Fetched,
    /// A model is about to be loaded on a device, and why on this one.
    Device {
        /// The model.
        model: &'a str,
        /// The device, and why it was chosen.
        reason: &'a str,
    },
    /// What a model's files hold and nothing uses.
    Model(&'a str),
    /// A remark about a picture, such as an animation of which only the first frame is used.
    Artwork(&'a str),
    /// A session was created for this question.
    SessionCreated(&'a str),
    /// The store reports what it found when it was opened.
    Store(&'a str),
    /// The store cannot be opened, so that its text copy is read.
    ReadingMirror(&'a AppError),
    /// An imported session has a new ID, because its own is taken.
    ImportedAsCopy,
    /// A conversion writes this part.
    Writing(&'a str),
    /// Slurm does not answer, or what it says cannot be saved; its jobs are reported as last seen.
    SlurmSilent(&'a AppError),
    /// The user's notification command cannot be started.
    NoticeFailed {
        /// The program.
        program: &'a str,
        /// What went wrong.
        error: &'a std::io::Error,
    },
    /// A training run starts or resumes in this directory.
    RunStarted(&'a Path),
    /// A model is being loaded to train it.
    Loading(&'a str),
    /// A training or evaluation step has ended.
    Step {
        /// The metrics.
        metrics: &'a Metrics,
        /// The total number of steps.
        total: usize,
    },
    /// Something is wrong with a training run, and it goes on.
    Warning {
        /// The step.
        step: usize,
        /// What is wrong.
        text: &'a str,
    },
    /// An evaluation has asked about so many paintings.
    Evaluated {
        /// Paintings done.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// A remark about an evaluation, such as lines of its data that are not used.
    Evaluation(&'a str),
    /// An evaluation of conversations begins.
    EvaluationPlanned {
        /// Number of paintings.
        paintings: usize,
        /// Questions that are asked with each picture.
        questions: usize,
        /// Results that an earlier call kept.
        known: usize,
    },
    /// How long the rest of an evaluation takes.
    EvaluationLeft {
        /// Estimated seconds.
        seconds: f64,
    },
    /// A comparison of methods trains or reads this run.
    Trial(&'a str),
    /// A check of training data has looked at so many pictures.
    DataChecked {
        /// Pictures done.
        done: usize,
        /// All of them.
        total: usize,
    },
}

/// Receives the events of use cases.
pub trait Observer: Send + Sync {
    /// Called once for each event, on a thread of the use case.
    fn observe(&self, event: &Event<'_>);
}

/// Ignores all events.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &Event<'_>) {}
}

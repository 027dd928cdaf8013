//! Training: data sources, tasks, optimiser, learning-rate schedule, and the training loop.
//!
//! A [`Task`] draws batches, [`Trainer`] takes the steps, and `artgpt-rundir` holds what a run writes.

mod align;
mod answer;
mod cache;
mod captions;
pub mod data;
mod examples;
mod learner;
mod meter;
#[cfg(feature = "mpi")]
mod mpi;
mod museum;
#[cfg(feature = "nccl")]
mod nccl;
mod optimiser;
pub mod outcome;
mod pack;
mod params;
mod peers;
mod prefetch;
mod samples;
mod schedule;
mod settings;
mod talk;
mod task;
mod trainer;
mod update;

pub use answer::answer_loss;
pub use captions::{CaptionTask, open_feed};
pub use examples::{Example, NO_PICTURE, NOT_ON_LABEL};
#[cfg(feature = "mpi")]
pub use mpi::MpiPeers;
pub use museum::MuseumTask;
#[cfg(feature = "nccl")]
pub use nccl::NcclPeers;
pub use optimiser::{AdamW, Gradients};
pub use pack::{Packed, pack};
pub use params::{Params, name_hash};
pub use peers::{Alone, Peers};
pub(crate) use schedule::Schedule;
pub use settings::{precision, thread_pool};
pub use talk::TalkTask;
pub use task::{Batch, Network, StepContext, Task, UnitLoss};
pub use trainer::{Outcome, TrainEvent, Trainer};

/// Why a run ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The guard ended the run after a bad step.
    #[error("{reason} at step {step}")]
    Diverged {
        /// The bad step, from 1.
        step: usize,
        /// What made it bad.
        reason: String,
    },
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] artgpt_rundir::RunError),
    /// The training data.
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// Another process of a distributed run ended.
    #[error("the other processes of this run do not answer: one was lost, or all are stopping")]
    LostPeer,
    /// No picture of many consecutive batches can be read.
    #[error("no picture of a whole batch can be read, first of all: {0}")]
    Picture(String),
    /// The base model.
    #[error(transparent)]
    Model(#[from] artgpt_model::Error),
    /// Templates or the tokenizer.
    #[error(transparent)]
    Chat(#[from] artgpt_chat::ChatError),
    /// candle.
    #[error("tensor computation failed: {}", artgpt_base::text::first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

/// A result whose error is a [`TrainError`].
pub type Result<T> = std::result::Result<T, TrainError>;

/// The error of tensors that cannot be written: candle's names neither the file nor what to do.
fn unwritten(path: &std::path::Path) -> impl FnOnce(candle_core::Error) -> TrainError {
    use candle_core::Error::{Context, Io, SafeTensor, WithBacktrace, WithPath};
    fn is_of_files(e: &candle_core::Error) -> bool {
        match e {
            Io(_) | SafeTensor(_) => true,
            Context { inner, .. } | WithPath { inner, .. } | WithBacktrace { inner, .. } => {
                is_of_files(inner)
            }
            _ => false,
        }
    }
    let io = io(path);
    |e| match is_of_files(&e) {
        true => io(std::io::Error::other(artgpt_base::text::first_line(&e))),
        false => TrainError::Tensor(e),
    }
}

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> TrainError {
    let with_path = artgpt_rundir::io(path);
    |source| with_path(source).into()
}

/// A wrong configuration.
fn config_error(reason: impl Into<String>) -> TrainError {
    artgpt_rundir::RunError::Config(reason.into()).into()
}

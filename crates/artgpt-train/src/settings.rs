//! Conversion of configuration values for the kernels and for rayon.

use artgpt_kernels::matrix;
use artgpt_rundir::{TrainConfig, TrainPrecision};

use super::Result;

/// The number format of frozen products, as the kernels' type.
pub fn precision(config: &TrainConfig) -> matrix::TrainPrecision {
    match config.precision {
        TrainPrecision::F32 => matrix::TrainPrecision::F32,
        TrainPrecision::Bf16 => matrix::TrainPrecision::Bf16,
        TrainPrecision::Stored => matrix::TrainPrecision::Stored,
    }
}

/// The pool that computes views: `threads` of the configuration, 0 is one thread per core.
///
/// # Errors
/// [`crate::TrainError::Run`] if the system cannot start the threads.
pub fn thread_pool(config: &TrainConfig) -> Result<rayon::ThreadPool> {
    let count = if config.threads == 0 { artgpt_machine::cores() } else { config.threads };
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .build()
        .map_err(|e| crate::config_error(e.to_string()))
}

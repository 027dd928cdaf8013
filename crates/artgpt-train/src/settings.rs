//! What a configuration's words mean to the network and to the machine.

use artgpt_kernels::matrix;
use artgpt_rundir::{TrainConfig, TrainPrecision};

use super::{Result, TrainError};

/// In what frozen matrices multiply, as the kernels name it.
pub fn precision(config: &TrainConfig) -> matrix::TrainPrecision {
    match config.precision {
        TrainPrecision::F32 => matrix::TrainPrecision::F32,
        TrainPrecision::Bf16 => matrix::TrainPrecision::Bf16,
        TrainPrecision::Stored => matrix::TrainPrecision::Stored,
    }
}

/// The threads on which views are computed: `threads` of the configuration, 0 is one a core.
///
/// # Errors
/// [`TrainError::Config`] if the system starts no threads.
pub fn thread_pool(config: &TrainConfig) -> Result<rayon::ThreadPool> {
    let count = if config.threads == 0 { artgpt_machine::cores() } else { config.threads };
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .build()
        .map_err(|e| TrainError::Config(e.to_string()))
}

//! Use cases with typed requests and typed errors, for the command line and the terminal interface
//! alike. Knows neither.

pub mod catalogue;
mod check_run;
mod estimate;
pub mod settings;

pub use check_run::{CheckError, check_run};
pub use estimate::{Estimate, estimate};

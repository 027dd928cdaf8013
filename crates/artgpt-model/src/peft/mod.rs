//! Fine-tuning methods, one file each, and their shared parts.

mod bottleneck;
mod linear;
pub mod merge;
pub mod package;
mod prefix;
mod tuning;

pub use bottleneck::Bottleneck;
pub use linear::Additions;
pub use prefix::Prefix;
pub use tuning::Tuning;

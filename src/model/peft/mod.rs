//! Fine-tuning methods, one file each, and what they share.

mod bottleneck;
mod linear;
pub mod merge;
mod method;
pub mod package;
mod prefix;
mod tuning;

pub use bottleneck::Bottleneck;
pub use linear::{Additions, Target};
pub use method::Method;
pub use prefix::Prefix;
pub use tuning::Tuning;

//! Parameter-efficient fine-tuning methods, one file each.

mod bottleneck;
mod count;

pub use bottleneck::Bottleneck;
pub use count::Method;

//! Parameter-efficient fine-tuning methods, one file each.

mod bottleneck;

pub use bottleneck::Bottleneck;

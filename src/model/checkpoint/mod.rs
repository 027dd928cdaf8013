//! Readers of weights on disk, one file a layout. Checkpoints are data: nothing in them runs.

mod gguf;
mod pth;

pub use gguf::{Extras, GgufFile, requantise};
pub use pth::read_legacy_pth;

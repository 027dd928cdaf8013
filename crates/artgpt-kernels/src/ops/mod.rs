//! Fused operations with a backward pass, for training on the CPU.
//!
//! candle's composed forms write every intermediate value to memory, forward and backward; these
//! recompute what the backward pass needs. `mode::Differentiable` selects them on the CPU, and the
//! tests compare them with the composed forms.

pub mod attention;
mod bias;
pub mod cross_entropy;
mod norm;
mod rotary;
mod softmax;
mod swiglu;
mod values;

pub use bias::add_bias;
pub use norm::{layer_norm, rms_norm};
pub use rotary::{RopeLayout, rotary};
pub use softmax::softmax;
pub use swiglu::swiglu;
pub use values::{Values, slice, sum, wide};

#[cfg(test)]
mod tests;

//! Fast arithmetic: matrix products by instruction set, network operations with a backward pass,
//! huge pages, memory maps, and the process-wide settings that they need.
//!
//! The only crate with `unsafe`. It knows matrices and tensors, but no models.

pub mod matrix;
pub mod mmap;
pub mod mode;
pub mod ops;
pub mod process;

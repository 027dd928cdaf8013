//! The trainer: gradients, packed sequences, and runs that are resumed.

mod gradients;
mod runs;
mod tensorboard;

//! What a run logged besides numbers: texts, pictures, sounds, tables, histograms, embeddings.

mod histogram;
mod precision;
mod projection;
mod save;
mod sound;
mod table;
pub(super) mod view;

pub(super) use save::Save;

#[cfg(test)]
mod tests;

//! Charts: one metric of all shown runs each.

mod drawing;
mod export;
pub(super) mod keys;
mod painter;
mod partners;
mod picture;
mod state;
mod trace;
pub(super) mod view;
mod words;

pub(super) use export::{Export, write_new};
pub(super) use keys::{Action, choose_chart};
pub(super) use state::{Charts, Scale};

pub(crate) use painter::ChartPicture;

#[cfg(test)]
mod tests;

//! Control of jobs: submit, pause, resume, stop, delete.

pub(super) mod form;
pub(super) mod form_view;
mod form_window;
pub(super) mod keys;
pub(super) mod question;
mod steer;

pub(super) use form_window::FormWindow;
pub(super) use keys::Action;
pub(super) use question::Question;

pub(crate) use form::Form;
pub(crate) use steer::Steer;

#[cfg(test)]
mod tests;

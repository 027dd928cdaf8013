//! Control of jobs: submit, pause, resume, stop, delete.

mod form;
pub(super) mod form_view;
pub(super) mod keys;
pub(super) mod question;
mod steer;

pub(super) use form::FormWindow;
pub(super) use keys::Action;
pub(super) use question::Question;

pub(crate) use form::Form;
pub(crate) use steer::Steer;

#[cfg(test)]
mod tests;

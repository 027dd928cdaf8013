//! The terminal interface: state, messages, a pure update, effects, and views.

mod app;
mod board;
mod complete;
mod effect;
mod graphics;
mod keymap;
mod message;
mod questions;
mod ring;
mod run;
mod runner;
mod screen;
mod theme;
mod update;
mod view;
mod watch;

pub use board::{BoardOptions, Form, Places, Steer, run_board};
pub use complete::expand;
pub use effect::Ended;
pub use run::{Options, TuiError, run};

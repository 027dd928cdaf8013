//! The terminal interface: one loop, one message type, pure updates, effects on a pool, views.
//!
//! `input/` reads the terminal. `event_loop.rs` takes one message after the other, `app.rs` gives
//! them to the screen on top (the chat in `chat/`, the training panel in `panel/`), `services.rs`
//! carries out what they want, and `display.rs` draws. Every key is in the table of `keys/`.

mod app;
mod chat;
mod complete;
mod components;
mod display;
mod effect;
mod event_loop;
mod executor;
mod graphics;
mod guard;
mod help;
mod input;
mod keys;
mod message;
mod moment;
mod panel;
mod questions;
mod reload;
mod ring;
mod run;
mod services;
mod theme;
mod ui;

pub use effect::Ended;
pub(crate) use panel::{Form, PanelPaths, Steer};
pub use run::{Options, TuiError, WatchOptions, run, watch};

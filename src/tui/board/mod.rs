//! The training panel: all runs below some folders, and their curves while they grow.

mod chart_picture;
mod drawing;
mod export;
mod filter;
mod form;
mod kept;
mod keys;
mod lookout;
mod machine;
mod notes;
mod outside;
mod page;
mod picture;
mod run;
mod save;
mod split;
mod state;
mod steer;
mod trace;
mod update;
mod view;

pub use chart_picture::ChartPicture;
pub use form::Form;
pub use kept::Change;
pub use lookout::{Lookout, Sight};
pub use outside::{Outside, Places};
pub use run::{BoardOptions, run_board};
pub use state::Board;
pub use steer::Steer;
pub use update::{Effect, Message, keep, update};
pub use view::view;

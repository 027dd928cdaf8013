//! What training runs leave behind, whoever trained: files of many formats read while they grow, as
//! curves that are drawn in the same time however long they are.

mod about;
pub mod catalogue;
mod column;
mod curves;
mod export;
mod follow;
pub mod graph;
mod marks;
pub mod media;
mod news;
pub mod readers;
mod run;
mod series;
mod settings;
mod smooth;
mod table;
mod tail;

pub use about::{About, At, Bin, ByTag, Cut, Media};
pub use curves::{Curves, SYSTEM};
pub use export::csv;
pub use follow::{Change, Follower};
pub use news::{Item, News, What, in_one_line};
pub use readers::Pattern;
pub use run::{Run, RunReader, Shared, Standing};
pub use series::{CALENDAR, Clock, Extremes, Point, Series, XAxis};
pub use settings::{Settings, differing, differing_keys, settings};
pub use smooth::Smoothed;
pub use table::table;
pub use tail::Grown;

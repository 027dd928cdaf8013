//! Readers of the runs of any training program. They follow log files of many formats while these grow,
//! and keep metrics as curves whose drawing time does not depend on their length.
//!
//! A reader of a new format implements [`readers::Reader`] (or [`readers::Format`] for a file that only
//! grows) and is listed in [`catalogue`].

mod about;
pub mod catalogue;
mod chunks;
mod clock;
mod column;
mod curves;
mod export;
mod follow;
mod gaps;
pub mod graph;
mod marks;
pub mod media;
mod news;
pub mod readers;
mod run;
mod run_reader;
mod series;
mod settings;
mod skipped;
mod smooth;
mod sniff;
mod standing;
mod table;
mod tail;

pub use about::{About, At, Bin, ByTag, Cut, Media};
pub use clock::steady_now;
pub use curves::{Curves, SYSTEM};
pub use export::csv;
pub use follow::{Change, Follower};
pub use news::{Item, News, What, in_one_line};
pub use readers::{Pattern, PatternError};
pub use run::{Run, RunSnapshot};
pub use run_reader::RunReader;
pub use series::{CALENDAR, Clock, Extremes, Point, Series, XAxis};
pub use settings::{Settings, differing, differing_keys, settings};
pub use skipped::{Skipped, SkippedPart};
pub use smooth::Smoothed;
pub use standing::Standing;
pub use table::{table_head, table_row};
pub use tail::Grown;

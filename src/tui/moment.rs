//! What `update` may know of the world at the time of a message.

use std::time::SystemTime;

use jiff::Timestamp;
use ulid::Ulid;

use artgpt_runs::steady_now;

/// The loop takes one for each message, so that `update` reads no clock and draws no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    /// The same time on a clock that is never set, for ages.
    pub(crate) system_time: SystemTime,
    /// For a session that begins now.
    pub(crate) id: Ulid,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { now: Timestamp::now(), system_time: steady_now(), id: Ulid::generate() }
    }
}

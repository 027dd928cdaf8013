//! What `update` may know of the world at the time of a message.

use std::time::SystemTime;

use jiff::Timestamp;
use ulid::Ulid;

/// The loop takes one for each message, so that `update` reads no clock and draws no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    /// The same time, for comparison with the times of files.
    pub(crate) system_time: SystemTime,
    /// For a session that begins now.
    pub(crate) id: Ulid,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { now: Timestamp::now(), system_time: SystemTime::now(), id: Ulid::generate() }
    }
}

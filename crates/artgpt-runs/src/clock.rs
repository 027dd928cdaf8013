//! A clock for ages. The system's clock may be set while the program runs; this one goes on evenly.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

static START: LazyLock<(SystemTime, Instant)> =
    LazyLock::new(|| (SystemTime::now(), Instant::now()));

/// The time by the system's clock as of the first call, counted on by a monotonic one.
pub fn steady_now() -> SystemTime {
    let (began, start) = &*START;
    *began + start.elapsed()
}

/// When something changed last, on the steady clock.
#[derive(Debug)]
pub(crate) struct LastChange<T> {
    value: Option<T>,
    at: Option<SystemTime>,
}

impl<T> Default for LastChange<T> {
    fn default() -> Self {
        Self { value: None, at: None }
    }
}

impl<T: PartialEq> LastChange<T> {
    /// Looks at a value at the time `now`; returns when it changed last. Of the first value only
    /// `stated`, the time by its own clock, is known; later ones changed when they were seen.
    pub(crate) fn see(
        &mut self,
        value: T,
        stated: Option<SystemTime>,
        now: SystemTime,
    ) -> Option<SystemTime> {
        match &self.value {
            None => self.at = stated,
            Some(before) if *before != value => self.at = Some(now),
            Some(_) => {}
        }
        self.value = Some(value);
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_change_counts_from_when_it_was_seen_whatever_its_own_clock_says() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let now = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut written = LastChange::default();
        assert_eq!(written.see(1, at(40), now(100)), at(40));
        assert_eq!(written.see(1, at(40), now(110)), at(40));
        // The system's clock was set an hour back.
        assert_eq!(written.see(2, at(0), now(120)), at(120));
        assert_eq!(written.see(2, at(0), now(130)), at(120));
        assert!(steady_now() <= steady_now());
    }
}

//! Waiting for what other processes do: poll until a deadline instead of sleeping for a fixed time.

use std::time::{Duration, Instant};

/// Generous: a test machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

const POLL: Duration = Duration::from_millis(50);

/// Polls `probe` until it returns a value. Panics after [`PATIENCE`], with the text that `probe`
/// returned last.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe() {
            Ok(found) => return found,
            Err(state) => assert!(Instant::now() < deadline, "never came: {what}\n{state}"),
        }
        std::thread::sleep(POLL);
    }
}

/// Polls `holds` for a time and panics as soon as it is false: for what must not happen.
pub(crate) fn stays(what: &str, time: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(holds(), "did not last: {what}");
        std::thread::sleep(POLL);
    }
}

//! Panics of other crates' code, as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic in it becomes an error and prints nothing. For code of others that panics on what a
/// file or a user says; whatever `work` changed must not be used after a panic.
///
/// # Errors
/// The message of the panic.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        crate::text::printable(text.unwrap_or("a panic without a message"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(guarded(|| 3), Ok(3));
        let lengths = [1usize, 2];
        let error = guarded(|| lengths.iter().map(|n| [0u8; 1][*n]).sum::<u8>());
        assert!(error.expect_err("panics").contains("out of bounds"));
        assert_eq!(guarded(|| guarded(|| panic!("inside")).is_err()), Ok(true));
    }
}

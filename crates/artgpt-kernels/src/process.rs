//! Process-wide settings for threads and memory, made once before any thread or tensor exists.

/// What the process is going to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One stream of small products: candle's own threads share each of them.
    Chat,
    /// Independent views: one thread each, with nothing shared.
    Training,
}

/// Why [`set_up`] left the environment unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetUpError {
    /// Another thread could read the environment while it changes.
    #[error("the process runs {0} threads already, so its environment cannot change safely")]
    ThreadsRunning(usize),
}

/// Sets the switches of candle, rayon and the allocator, which are environment variables and
/// process-wide options. Variables that the user set keep their values. Returns the variables it
/// set: a child process for another workload must not inherit them.
///
/// `main` calls it before anything starts a thread. On Linux the function counts the threads and
/// checks that. Other systems have no portable count, so there the caller alone upholds it.
///
/// # Errors
/// [`SetUpError::ThreadsRunning`] if another thread runs. No variable is set then; computation is
/// correct without them, but slower.
pub fn set_up(workload: Workload) -> Result<Vec<&'static str>, SetUpError> {
    #[cfg(unix)]
    report_file_size_limit();
    if workload == Workload::Training {
        keep_freed_memory();
    }
    let threads = match workload {
        // candle reads /proc/cpuinfo at every matrix product when this is not set.
        Workload::Chat => artgpt_machine::cores(),
        Workload::Training => 1,
    };
    let unset: Vec<&str> = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_none())
        .collect();
    if let Some(count) = running_threads().filter(|count| *count > 1) {
        return Err(SetUpError::ThreadsRunning(count));
    }
    for name in &unset {
        // SAFETY: no other thread reads or writes the environment meanwhile, as this is the only
        // thread: counted above on Linux, promised by the caller elsewhere. Nothing between the
        // count and this call starts one.
        unsafe { std::env::set_var(name, threads.to_string()) };
    }
    Ok(unset)
}

/// Threads of this process; `None` where the system does not list them.
fn running_threads() -> Option<usize> {
    match cfg!(target_os = "linux") {
        true => std::fs::read_dir("/proc/self/task").ok().map(Iterator::count),
        false => None,
    }
}

/// Makes a write beyond `ulimit -f` fail with an error, as on a full disk, instead of ending the process.
#[cfg(unix)]
fn report_file_size_limit() {
    // SAFETY: ignoring a signal installs no handler, so nothing of ours runs in a signal's context.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Makes the allocator keep freed pages: a training step frees a gigabyte and takes it again, and
/// giving it back to the kernel in between costs a quarter of the step in page faults.
fn keep_freed_memory() {
    /// `mi_option_purge_delay` in mimalloc's header; -1 is never.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: the option exists in every mimalloc 2 and 3, and setting it is valid at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_second_thread_keeps_the_environment_unchanged() {
        let (finish, finished) = channel::<()>();
        let second = std::thread::spawn(move || finished.recv());
        let result = set_up(Workload::Chat);
        drop(finish);
        assert!(second.join().expect("joins").is_err());
        assert!(matches!(result, Err(SetUpError::ThreadsRunning(count)) if count > 1));
    }
}

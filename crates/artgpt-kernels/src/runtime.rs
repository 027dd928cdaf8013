//! How the process uses threads and memory. Called once, before any thread or tensor exists.

/// What the process is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One stream of small products: candle's own threads share each of them.
    Chat,
    /// Independent views: one thread each, with nothing shared (see `training::Trainer`).
    Training,
}

/// Sets candle's and the allocator's switches, which are environment variables and process-wide
/// options. A variable that the user set is left alone. Returns the variables it set: a process
/// started for another workload must not inherit them.
pub fn prepare(workload: Workload) -> Vec<&'static str> {
    let threads = match workload {
        // candle reads /proc/cpuinfo at every matrix product when this is not set.
        Workload::Chat => artgpt_machine::cores(),
        Workload::Training => 1,
    };
    let unset: Vec<&str> = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_none())
        .collect();
    for name in &unset {
        // SAFETY: `main` calls this before it starts any thread, so nothing reads the environment at
        // the same time.
        unsafe { std::env::set_var(name, threads.to_string()) };
    }
    if workload == Workload::Training {
        keep_freed_memory();
    }
    unset
}

/// A step frees a gigabyte and takes it again; giving it back to the kernel in between costs a
/// quarter of the step in page faults.
fn keep_freed_memory() {
    /// `mi_option_purge_delay` in mimalloc's header; -1 is never.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: the option exists in every mimalloc 2 and 3, and setting it is valid at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

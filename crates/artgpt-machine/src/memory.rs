//! Processor cores and memory of this process.

/// Cores this process may use: the CPU affinity mask and the cgroup's quota are respected.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Peak resident memory of this process in bytes; `None` where the system does not report it.
pub fn peak_memory() -> Option<u64> {
    of_status("VmHWM:")
}

/// Resident memory of this process in bytes; `None` where the system does not report it.
pub fn resident_memory() -> Option<u64> {
    of_status("VmRSS:")
}

fn of_status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

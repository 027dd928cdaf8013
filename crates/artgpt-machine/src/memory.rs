//! Processor cores and memory of this process.

/// Number of cores this process may use, as limited by its CPU affinity mask and cgroup quota.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Peak resident memory of this process in bytes; `None` where the system does not report it.
pub fn peak_memory() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Resident memory of this process in bytes; `None` where the system does not report it.
pub fn resident_memory() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// A value of `/proc/self/status` in bytes.
fn status_bytes(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

//! The machine: processors, memory, disks, GPUs, processes and signals.
//!
//! This crate knows nothing of models and runs.

mod gpu;
mod memory;
mod process;
pub mod signals;

use std::path::Path;

pub use gpu::{Gpu, Gpus};
pub use memory::{cores, peak_memory, resident_memory};
pub use process::{GpuUse, Process, Processes};

/// A snapshot of the machine's load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// CPU utilisation over all cores since the last snapshot, 0 to 1.
    pub cpu: f32,
    /// Logical CPU cores.
    pub cores: usize,
    /// Main memory, limited by the cgroup.
    pub memory: Used,
    /// Swap space.
    pub swap: Used,
    /// Load average over 1, 5 and 15 minutes.
    pub waiting: [f64; 3],
    /// The file system that holds the runs; `None` if the system does not report it.
    pub disk: Option<Used>,
    /// All GPUs.
    pub gpus: Vec<Gpu>,
}

/// Use of a memory or disk, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Bytes in use.
    pub used: u64,
    /// Capacity in bytes.
    pub total: u64,
}

impl Used {
    /// Bytes that are not in use.
    pub fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// Share in use, 0 to 1; 0 without capacity.
    pub fn share(self) -> f64 {
        match self.total {
            0 => 0.0,
            total => self.used as f64 / total as f64,
        }
    }
}

/// Takes snapshots of the machine's load.
pub struct Machine {
    system: sysinfo::System,
    gpus: Gpus,
}

impl Machine {
    /// Opens the sources of the snapshots.
    pub fn open() -> Self {
        Self { system: sysinfo::System::new(), gpus: Gpus::open() }
    }

    /// Takes a snapshot, with the file system that holds `path`. CPU utilisation is valid from the second
    /// snapshot on.
    pub fn look(&mut self, path: &Path) -> Load {
        self.system.refresh_cpu_usage();
        Load {
            cpu: self.system.global_cpu_usage() / 100.0,
            cores: self.system.cpus().len(),
            memory: self.memory(),
            swap: Used { used: self.system.used_swap(), total: self.system.total_swap() },
            waiting: {
                let average = sysinfo::System::load_average();
                [average.one, average.five, average.fifteen]
            },
            disk: disk(path),
            gpus: self.gpus.look(),
        }
    }

    /// Main memory; that of the cgroup if one sets a lower limit.
    pub fn memory(&mut self) -> Used {
        self.system.refresh_memory();
        let total = self.system.total_memory();
        let whole = Used { used: total.saturating_sub(self.system.available_memory()), total };
        match self.system.cgroup_limits() {
            Some(limits) if limits.total_memory > 0 && limits.total_memory < total => Used {
                used: limits.total_memory.saturating_sub(limits.free_memory),
                total: limits.total_memory,
            },
            _ => whole,
        }
    }

    /// The state of all GPUs.
    pub fn gpus(&self) -> Vec<Gpu> {
        self.gpus.look()
    }
}

fn disk(path: &Path) -> Option<Used> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let total = stat.f_blocks * stat.f_frsize;
    Some(Used { used: total.saturating_sub(stat.f_bavail * stat.f_frsize), total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_disk() {
        let mut machine = Machine::open();
        let load = machine.look(Path::new("."));
        assert!(load.cores > 0 && load.memory.total > load.memory.used);
        assert!(load.disk.is_some_and(|d| d.total > 0 && (0.0..=1.0).contains(&d.share())));
        assert!((0.0..=1.0).contains(&load.cpu), "{}", load.cpu);
    }
}

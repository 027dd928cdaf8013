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

/// A look at the machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Share of all processors that was busy since the last look, 0 to 1.
    pub cpu: f32,
    pub cores: usize,
    /// Bytes.
    pub memory: Used,
    pub swap: Used,
    /// Runnable processes on average over 1, 5 and 15 minutes.
    pub waiting: [f64; 3],
    /// Of the file system that holds the runs; `None` where it cannot be told.
    pub disk: Option<Used>,
    pub gpus: Vec<Gpu>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub used: u64,
    pub total: u64,
}

impl Used {
    pub fn free(self) -> u64 {
        self.total.saturating_sub(self.used)
    }

    /// 0 to 1.
    pub fn share(self) -> f64 {
        match self.total {
            0 => 0.0,
            total => self.used as f64 / total as f64,
        }
    }
}

/// Looks at the machine, again and again.
pub struct Machine {
    system: sysinfo::System,
    gpus: Gpus,
}

impl Machine {
    pub fn open() -> Self {
        Self { system: sysinfo::System::new(), gpus: Gpus::open() }
    }

    /// `place` is on the disk that is asked about. The first look tells nothing of the processors.
    pub fn look(&mut self, place: &Path) -> Load {
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
            disk: disk(place),
            gpus: self.gpus.look(),
        }
    }

    /// That of the control group where one sets a limit.
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

    pub fn gpus(&self) -> Vec<Gpu> {
        self.gpus.look()
    }
}

fn disk(place: &Path) -> Option<Used> {
    let told = rustix::fs::statvfs(place).ok()?;
    let total = told.f_blocks * told.f_frsize;
    Some(Used { used: total.saturating_sub(told.f_bavail * told.f_frsize), total })
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

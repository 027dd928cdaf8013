//! Processes of the machine and their resource usage.

use std::collections::HashMap;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind, Users};

use super::Gpus;

/// One process and its resource usage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// Process ID.
    pub pid: u32,
    /// Name of its user; `-` if unknown.
    pub user: String,
    /// Its command line; `[name]` for a kernel thread.
    pub command: String,
    /// CPU use in cores: 2.0 is two whole cores.
    pub cpu: f32,
    /// Resident memory in bytes.
    pub memory: u64,
    /// Seconds since its start.
    pub seconds: u64,
    /// Use of the GPU on which it holds the most memory.
    pub gpu: Option<GpuUse>,
}

/// A process's use of one GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GpuUse {
    /// The GPU's index, as in [`Gpu`](crate::Gpu).
    pub index: u32,
    /// Memory in bytes; 0 if the driver does not report it.
    pub memory: u64,
    /// Share of the time in which its kernels ran, 0 to 1; `None` if the driver does not report it.
    pub busy: Option<f32>,
}

/// Takes snapshots of the processes.
pub struct Processes {
    system: System,
    users: Users,
    gpus: Gpus,
}

impl Processes {
    /// Opens the sources of the snapshots.
    pub fn open() -> Self {
        Self { system: System::new(), users: Users::new_with_refreshed_list(), gpus: Gpus::open() }
    }

    /// All processes that this user may see. CPU use is valid from the second snapshot on.
    pub fn look(&mut self) -> Vec<Process> {
        let kind = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .with_cmd(UpdateKind::OnlyIfNotSet)
            .with_user(UpdateKind::OnlyIfNotSet)
            .without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let on_gpus = self.gpus.processes();
        let all = self.system.processes().values().filter(|p| p.thread_kind().is_none());
        all.map(|process| self.describe(process, &on_gpus)).collect()
    }

    fn describe(&self, process: &sysinfo::Process, on_gpus: &HashMap<u32, GpuUse>) -> Process {
        let pid = process.pid().as_u32();
        let user = process.user_id().and_then(|id| self.users.get_user_by_id(id));
        let words: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
        Process {
            pid,
            user: user.map_or_else(|| "-".into(), |user| user.name().to_string()),
            // Kernel threads have no command line.
            command: match words.is_empty() {
                true => format!("[{}]", process.name().to_string_lossy()),
                false => words.join(" "),
            },
            cpu: process.cpu_usage() / 100.0,
            memory: process.memory(),
            seconds: process.run_time(),
            gpu: on_gpus.get(&pid).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_them() {
        let mut processes = Processes::open();
        processes.look();
        let own = processes.look().into_iter().find(|p| p.pid == std::process::id());
        let own = own.expect("is there");
        assert!(own.memory > 1 << 20 && !own.command.is_empty() && !own.user.is_empty(), "{own:?}");
    }
}

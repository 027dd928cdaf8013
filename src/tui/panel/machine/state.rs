//! The state of the machine window.

use artgpt_machine::Process;

/// The machine window.
#[derive(Debug, Default)]
pub(crate) struct MachineWindow {
    /// `None` before the first answer.
    pub processes: Option<Vec<Process>>,
    pub order: Order,
    /// Lines scrolled off the top.
    pub scroll: usize,
    /// A request is under way.
    pub looking: bool,
}

/// The order of the processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// By GPU memory, then by CPU.
    #[default]
    Gpu,
    Cpu,
    Memory,
    /// Oldest first.
    Time,
    Pid,
}

impl Order {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gpu => "GPU",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Time => "time",
            Self::Pid => "pid",
        }
    }
}

impl MachineWindow {
    pub(crate) fn take(&mut self, mut processes: Vec<Process>) {
        order(&mut processes, self.order);
        (self.processes, self.looking) = (Some(processes), false);
        self.move_by(0);
    }

    pub(crate) fn sort(&mut self, by: Order) {
        (self.order, self.scroll) = (by, 0);
        if let Some(processes) = &mut self.processes {
            order(processes, by);
        }
    }

    pub(crate) fn move_by(&mut self, by: isize) {
        let last = self.processes.as_ref().map_or(0, Vec::len).saturating_sub(1);
        self.scroll = self.scroll.saturating_add_signed(by).min(last);
    }
}

fn order(processes: &mut [Process], by: Order) {
    let cpu = |a: &Process, b: &Process| b.cpu.total_cmp(&a.cpu);
    let gpu = |process: &Process| process.gpu.map(|gpu| gpu.memory);
    match by {
        Order::Gpu => processes.sort_by(|a, b| gpu(b).cmp(&gpu(a)).then_with(|| cpu(a, b))),
        Order::Cpu => processes.sort_by(cpu),
        Order::Memory => processes.sort_by_key(|process| std::cmp::Reverse(process.memory)),
        Order::Time => processes.sort_by_key(|process| std::cmp::Reverse(process.seconds)),
        Order::Pid => processes.sort_by_key(|process| process.pid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_machine::GpuUse;

    #[test]
    fn processes_are_sorted() {
        let process = |pid, cpu, memory, gpu: Option<u64>| Process {
            pid,
            cpu,
            memory,
            gpu: gpu.map(|memory| GpuUse { memory, ..GpuUse::default() }),
            ..Process::default()
        };
        let mut window = MachineWindow::default();
        window.take(vec![
            process(3, 0.5, 10, None),
            process(1, 0.1, 30, Some(7)),
            process(2, 2.0, 20, None),
        ]);
        let pids = |window: &MachineWindow| -> Vec<u32> {
            window.processes.iter().flatten().map(|p| p.pid).collect()
        };
        assert_eq!(pids(&window), [1, 2, 3]);
        for (order, expected) in [
            (Order::Cpu, [2, 3, 1]),
            (Order::Memory, [1, 2, 3]),
            (Order::Pid, [1, 2, 3]),
            (Order::Gpu, [1, 2, 3]),
        ] {
            window.sort(order);
            assert_eq!(pids(&window), expected, "{order:?}");
        }
        window.move_by(10);
        assert_eq!(window.scroll, 2);
    }
}

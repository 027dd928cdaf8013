//! The window that shows how busy the machine is, and by what.

use crossterm::event::KeyCode;

use artgpt_machine::Process;

#[derive(Debug, Default)]
pub struct MachineWindow {
    /// `None` before the first look.
    pub processes: Option<Vec<Process>>,
    pub order: Order,
    /// Lines of the table that are scrolled away.
    pub scroll: usize,
    /// A look is under way.
    pub looking: bool,
}

/// What stands at the top of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Those on GPUs, then the busiest.
    #[default]
    Gpu,
    Cpu,
    Memory,
    /// The oldest first.
    Time,
    Pid,
}

impl Order {
    pub fn word(self) -> &'static str {
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
    /// Whether it stays open.
    pub fn key(&mut self, code: KeyCode, page: usize) -> bool {
        match code {
            KeyCode::Esc | KeyCode::Char('q' | 'm') => return false,
            KeyCode::Char('g') => self.sort(Order::Gpu),
            KeyCode::Char('c') => self.sort(Order::Cpu),
            KeyCode::Char('M') => self.sort(Order::Memory),
            KeyCode::Char('t') => self.sort(Order::Time),
            KeyCode::Char('p') => self.sort(Order::Pid),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::PageDown => self.move_by(page as isize),
            KeyCode::PageUp => self.move_by(-(page as isize)),
            KeyCode::Home => self.scroll = 0,
            _ => {}
        }
        true
    }

    pub fn looked(&mut self, mut processes: Vec<Process>) {
        order(&mut processes, self.order);
        (self.processes, self.looking) = (Some(processes), false);
        self.move_by(0);
    }

    fn sort(&mut self, by: Order) {
        (self.order, self.scroll) = (by, 0);
        if let Some(processes) = &mut self.processes {
            order(processes, by);
        }
    }

    fn move_by(&mut self, by: isize) {
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
    fn processes_stand_in_the_order_that_is_asked_for() {
        let process = |pid, cpu, memory, gpu: Option<u64>| Process {
            pid,
            cpu,
            memory,
            gpu: gpu.map(|memory| GpuUse { memory, ..GpuUse::default() }),
            ..Process::default()
        };
        let mut window = MachineWindow::default();
        window.looked(vec![
            process(3, 0.5, 10, None),
            process(1, 0.1, 30, Some(7)),
            process(2, 2.0, 20, None),
        ]);
        let pids = |window: &MachineWindow| -> Vec<u32> {
            window.processes.iter().flatten().map(|p| p.pid).collect()
        };
        assert_eq!(pids(&window), [1, 2, 3]);
        for (key, expected) in
            [('c', [2, 3, 1]), ('M', [1, 2, 3]), ('p', [1, 2, 3]), ('g', [1, 2, 3])]
        {
            assert!(window.key(KeyCode::Char(key), 10));
            assert_eq!(pids(&window), expected, "{key}");
        }
        window.key(KeyCode::PageDown, 10);
        assert_eq!(window.scroll, 2);
        assert!(!window.key(KeyCode::Esc, 10));
    }
}

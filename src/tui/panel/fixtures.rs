//! Panels with known runs and a fixed clock, for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use serde_json::json;

use super::page::{Page, PageData, Tab};
use super::{Effect, Message, Panel, update, view};
use crate::tui::theme::Theme;
use artgpt_machine::{Gpu, GpuUse, Load, Process, Used};
use artgpt_rundir::{Mark, MarkKind, RunState};
use artgpt_runs::{Change, Point, Run, RunSnapshot};

/// Seconds since 1970 at which the first run begins: 2033-05-18 03:33:20.
const BEGAN: u64 = 2_000_000_000;

/// Half an hour after the first run began.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(BEGAN + 1_800)
}

/// Builds the snapshot of a run.
pub(crate) struct RunBuilder(Run);

impl RunBuilder {
    pub(crate) fn new(name: &str) -> Self {
        let path = format!("/runs/{name}").into();
        Self(Run { path, name: name.into(), written: Some(now()), ..Run::default() })
    }

    /// Points at the steps from 1 on, ten seconds apart.
    pub(crate) fn curve(mut self, name: &str, steps: u64, value: impl Fn(u64) -> f64) -> Self {
        for step in 1..=steps {
            let wall = (BEGAN + step * 10) as f64;
            self.0.curves.push(name, Point { step: step as f64, wall, value: value(step) });
        }
        self
    }

    /// A status of our own trainer, of 100 steps.
    pub(crate) fn status(mut self, state: RunState, step: usize) -> Self {
        let status = json!({
            "state": state, "pid": 7, "step": step, "total_steps": 100, "heartbeat": "",
            "exit_reason": (state == RunState::Failed).then_some("out of memory"),
        });
        self.0.status = serde_json::from_value(status).expect("a status");
        self.0.has_process = state == RunState::Running;
        self
    }

    pub(crate) fn config(mut self, pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        self.0.config = pairs.collect();
        self.0.configured = 1;
        self
    }

    pub(crate) fn mark(mut self, step: usize, kind: MarkKind, text: &str) -> Self {
        let at = jiff::Timestamp::from_second((BEGAN + step as u64 * 10) as i64).expect("a time");
        self.0.marks.push(Mark { step, kind, text: text.into(), at });
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Run)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn build(self) -> RunSnapshot {
        Arc::new(self.0)
    }
}

/// A finished run, a running one, and a failed one that logs another metric.
pub(crate) fn runs() -> Vec<RunSnapshot> {
    let loss = |scale: f64| move |step: u64| scale / step as f64 + 0.01 * ((step * 7) % 5) as f64;
    let adapter = RunBuilder::new("adapter")
        .curve("loss/train", 100, loss(2.0))
        .curve("loss/held_out", 10, |step| 2.2 / step as f64)
        .curve("lr", 100, |step| 0.001 * (1.0 - step as f64 / 100.0))
        .status(RunState::Finished, 100)
        .config(&[("method.kind", "adapter"), ("lr", "0.001"), ("seed", "1")])
        .mark(50, MarkKind::Checkpoint, "checkpoint")
        .mark(60, MarkKind::Warning, "the loss spiked")
        .mark(100, MarkKind::Turn, "finished");
    let lora = RunBuilder::new("lora")
        .curve("loss/train", 60, loss(4.0))
        .curve("lr", 60, |_| 0.0005)
        .status(RunState::Running, 60)
        .config(&[("method.kind", "lora"), ("lr", "0.0005"), ("seed", "1")])
        .with(|run| run.job = Some("warm start".into()));
    let other = RunBuilder::new("other")
        .curve("accuracy", 20, |step| 1.0 - 1.0 / step as f64)
        .status(RunState::Failed, 20)
        .config(&[("method.kind", "prefix"), ("lr", "0.01"), ("seed", "2")]);
    vec![adapter.build(), lora.build(), other.build()]
}

/// An empty panel.
pub(crate) fn empty(width: u16, height: u16) -> Panel {
    Panel::new(Theme::plain(), Rect::new(0, 0, width, height), now())
}

/// A panel with these runs, all of them read.
pub(crate) fn panel_with(runs: Vec<RunSnapshot>, width: u16, height: u16) -> Panel {
    let mut panel = empty(width, height);
    update(&mut panel, Message::Runs(Change::Found(runs)));
    update(&mut panel, Message::Runs(Change::Loaded));
    panel
}

/// A panel with [`runs`].
pub(crate) fn panel(width: u16, height: u16) -> Panel {
    panel_with(runs(), width, height)
}

/// Presses keys, which are separated by spaces.
pub(crate) fn press(panel: &mut Panel, keys: &str) -> Vec<Effect> {
    keys.split(' ')
        .flat_map(|key| {
            let code = match key {
                "Enter" => KeyCode::Enter,
                "Esc" => KeyCode::Esc,
                "Tab" => KeyCode::Tab,
                "Space" => KeyCode::Char(' '),
                "Up" => KeyCode::Up,
                "Down" => KeyCode::Down,
                "Left" => KeyCode::Left,
                "Right" => KeyCode::Right,
                "Home" => KeyCode::Home,
                "End" => KeyCode::End,
                "PageUp" => KeyCode::PageUp,
                "PageDown" => KeyCode::PageDown,
                key => KeyCode::Char(key.chars().next().expect("a key")),
            };
            update(panel, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
        })
        .collect()
}

/// Types text.
pub(crate) fn type_text(panel: &mut Panel, text: &str) {
    for letter in text.chars() {
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
        update(panel, Message::Key(key));
    }
}

/// The screen as text, without spaces at line ends.
pub(crate) fn screen(panel: &Panel) -> String {
    let (width, height) = (panel.screen.width, panel.screen.height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("draws");
    terminal.draw(|frame| view(panel, frame)).expect("draws");
    let buffer = terminal.backend().buffer().clone();
    let rows = buffer.content().chunks(width.into());
    rows.map(|row| {
        let text: String = row.iter().map(|cell| cell.symbol()).collect();
        text.trim_end().to_string() + "\n"
    })
    .collect()
}

/// Opens the page of the run under the cursor at a tab, with this data.
pub(crate) fn open_page(panel: &mut Panel, tab: Tab, data: PageData) {
    press(panel, "i");
    let page = panel.overlays.page_mut().expect("is open");
    page.tab = tab;
    give(panel, data);
}

/// Answers the request of the open page.
pub(crate) fn give(panel: &mut Panel, data: PageData) {
    let run = panel.overlays.page().map(|page: &Page| page.run.clone()).expect("is open");
    update(panel, Message::Page(run, Box::new(data)));
}

/// The load of a machine with a GPU.
pub(crate) fn load(cpu: f32) -> Load {
    let gpu = Gpu {
        index: 0,
        name: "A100".into(),
        memory: Used { used: 30_000_000_000, total: 40_000_000_000 },
        busy: Some(cpu),
        celsius: Some(60),
        watts: Some(250.0),
        most_watts: Some(400.0),
        megahertz: Some(1410),
        fan: None,
    };
    Load {
        cpu,
        cores: 8,
        memory: Used { used: 12_000_000_000, total: 32_000_000_000 },
        swap: Used { used: 0, total: 2_000_000_000 },
        waiting: [1.5, 1.25, 1.0],
        disk: Some(Used { used: 300_000_000_000, total: 500_000_000_000 }),
        gpus: vec![gpu],
    }
}

/// The process of the running run, and another one.
pub(crate) fn processes() -> Vec<Process> {
    let process = |pid, cpu, gpu| Process {
        pid,
        user: "ada".into(),
        command: format!("program {pid}"),
        cpu,
        memory: 3_000_000_000,
        seconds: 3_600,
        gpu,
    };
    let gpu = GpuUse { index: 0, memory: 30_000_000_000, busy: Some(0.75) };
    vec![process(9, 1.5, None), process(7, 0.5, Some(gpu))]
}

/// Asserts that the screen is as it was stored, at 80x24 and 120x40. The closure makes the panel for a
/// width and a height.
macro_rules! assert_screens {
    ($name:literal, $panel:expr) => {
        for (width, height) in [(80, 24), (120, 40)] {
            let panel: $crate::tui::panel::Panel = $panel(width, height);
            let screen = $crate::tui::panel::fixtures::screen(&panel);
            let name = format!("{}_{width}x{height}", $name);
            let mut settings = insta::Settings::clone_current();
            settings.set_prepend_module_to_snapshot(false);
            settings.bind(|| insta::assert_snapshot!(name, screen));
        }
    };
}

pub(in crate::tui::panel) use assert_screens;

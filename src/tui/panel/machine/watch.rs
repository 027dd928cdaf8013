//! The thread that measures the machine's load and looks for news of our own runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::tui::panel::jobs::Steer;
use artgpt_machine::{Load, Machine};
use artgpt_runs::{Item, News};

/// Interval between two measurements.
const INTERVAL: Duration = Duration::from_secs(2);
/// Measurements between two searches for jobs without a supervisor.
const ADOPT_EVERY: usize = 15;

/// What [`MachineWatch`] reports.
#[derive(Debug)]
pub(crate) enum Sight {
    Load(Load),
    News(Vec<Item>),
}

/// Measures the load and reads the states of our own runs. Its thread ends soon after this is dropped.
pub(crate) struct MachineWatch {
    _open: Arc<()>,
}

impl MachineWatch {
    /// `runs` is the folder of our own runs.
    pub(crate) fn spawn(
        runs: &Path,
        steer: Option<Arc<dyn Steer>>,
        tell: impl Fn(Sight) + Send + 'static,
    ) -> std::io::Result<Self> {
        let open = Arc::new(());
        let held = Arc::downgrade(&open);
        let runs = runs.to_path_buf();
        let watch = move || {
            let (mut machine, mut news) = (Machine::open(), News::of(&runs));
            for round in 0.. {
                if held.upgrade().is_none() {
                    return;
                }
                if let Some(steer) = &steer
                    && round % ADOPT_EVERY == 0
                {
                    steer.adopt();
                }
                tell(Sight::Load(machine.look(&runs)));
                let items = news.look();
                if !items.is_empty() {
                    tell(Sight::News(items));
                }
                std::thread::sleep(INTERVAL);
            }
        };
        std::thread::Builder::new().name("machine".into()).spawn(watch)?;
        Ok(Self { _open: open })
    }
}

//! Background threads of the panel: one finds and follows runs, one watches the machine and our own
//! runs for news.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::jobs::Steer;
use artgpt_machine::{Load, Machine};
use artgpt_runs::{Change, Follower, Item, News, Pattern};

/// The folders that the panel reads and writes.
pub struct PanelPaths {
    /// Runs are searched below these.
    pub paths: Vec<PathBuf>,
    /// Reads metrics from logs.
    pub pattern: Option<Pattern>,
    /// Our own data folder.
    pub data: PathBuf,
    /// Exported files go here.
    pub exports: PathBuf,
}

impl PanelPaths {
    /// The absolute paths, one a line.
    pub fn as_text(&self) -> String {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
        };
        self.paths.iter().map(absolute).collect::<Vec<_>>().join("\n")
    }
}

/// Finds and follows runs. Its thread ends soon after this is dropped.
pub(crate) struct FindRuns {
    _follower: Follower,
}

impl FindRuns {
    /// `tell` gets each change, in order.
    pub(crate) fn spawn(
        paths: &PanelPaths,
        tell: impl Fn(Change) + Send + 'static,
    ) -> std::io::Result<Self> {
        let follower = Follower::spawn(paths.paths.clone(), paths.pattern.clone(), tell)?;
        Ok(Self { _follower: follower })
    }
}

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

//! Looks at the machine and at our own runs now and then, while the interface is open.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::steer::Steer;
use artgpt_machine::{Load, Machine};
use artgpt_runs::{Item, News};

/// Between looks.
const PACE: Duration = Duration::from_secs(2);
/// Looks between two searches for jobs that nobody looks after.
const ADOPT_EVERY: usize = 15;

/// What it saw.
#[derive(Debug)]
pub enum Sight {
    Gauges(Load),
    News(Vec<Item>),
}

/// Its thread ends soon after it is dropped.
pub struct Lookout {
    _open: Arc<()>,
}

impl Lookout {
    /// `runs` are our own.
    pub fn spawn(
        runs: &Path,
        steer: Option<Arc<dyn Steer>>,
        tell: impl Fn(Sight) + Send + 'static,
    ) -> std::io::Result<Self> {
        let open = Arc::new(());
        let held = Arc::downgrade(&open);
        let runs = runs.to_path_buf();
        let look = move || {
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
                tell(Sight::Gauges(machine.look(&runs)));
                let items = news.look();
                if !items.is_empty() {
                    tell(Sight::News(items));
                }
                std::thread::sleep(PACE);
            }
        };
        std::thread::Builder::new().name("lookout".into()).spawn(look)?;
        Ok(Self { _open: open })
    }
}

//! The process that starts and ends jobs.

use crate::{App, Event, Result, absolute, notice};
use artgpt_jobs::{Job, Slots, Supervisor};
use artgpt_runs::News;

/// Looks after the jobs of this data folder until nothing is queued or running. `say` receives what
/// happens to which job.
pub fn supervise(app: &App, say: &dyn Fn(&Job, &str), stopped: &dyn Fn() -> bool) -> Result<()> {
    let runs = app.paths.runs();
    let counts = app.settings.jobs;
    let counts = Slots { cpu: counts.per_cpu.max(1), gpu: counts.per_gpu.max(1) };
    let command = &app.settings.notices.command;
    let mut news = News::of(&runs);
    let tell = || {
        for item in news.look() {
            if let (Err(error), Some(program)) = (notice::call(command, &item), command.first()) {
                app.tell(&Event::NoticeFailed { program, error: &error });
            }
        }
    };
    let data = absolute(&app.paths.data)?;
    let supervisor = Supervisor::new((&data, &runs), counts, &app.own_variables, say);
    Ok(supervisor.run(tell, stopped)?)
}

//! The training panel's requests, as calls of the application layer.

use std::path::{Path, PathBuf};

use super::Failure;
use super::words::needs;
use crate::tui::{Form, Steer};
use artgpt_app::jobs::{self, SteerError, Steered};
use artgpt_app::{App, AppError, explain};
use artgpt_rundir::job::Wanted;

/// Steers jobs and runs of one data folder.
pub(crate) struct Steering {
    app: App,
}

impl Steering {
    pub(crate) fn of(app: &App) -> Result<Self, Failure> {
        Ok(Self { app: app.detached()? })
    }

    fn app(&self, form: &Form) -> App {
        let mut app = self.app.clone();
        if let Some(device) = form.device() {
            app.settings.device = device.into();
        }
        app
    }
}

impl Steer for Steering {
    fn wish(&self, run: &Path, wanted: Wanted) -> Result<String, String> {
        let steered = jobs::steer_run(&self.app, run, wanted).map_err(|e| panel_words(&e))?;
        Ok(match steered {
            Steered::Resumes(id) => format!("{id} resumes when its device is free"),
            Steered::Pauses(id) => format!("{id} pauses after the current step"),
            Steered::Stops(id) => format!("{id} stops after the current step"),
            Steered::TakenOver(id) => format!("{id} resumes as a job when its device is free"),
            Steered::ForegroundStops(_) => {
                "it stops after the current step; P then resumes it as a job".into()
            }
        })
    }

    fn remove(&self, runs: &[PathBuf]) -> Result<String, String> {
        let names: Vec<String> = runs.iter().map(|run| run.display().to_string()).collect();
        let removed = artgpt_app::runs::remove(&self.app, &names).map_err(|e| explain(&e))?;
        Ok(match removed.as_slice() {
            [one] => format!("{one} is deleted"),
            several => format!("{} runs are deleted", several.len()),
        })
    }

    fn check(&self, form: &Form) -> Result<String, String> {
        let checked = jobs::check(&self.app(form), &form.request()?);
        let checked = checked.map_err(|e| explain(&e))?;
        let count = checked.len();
        let each = if count > 1 { format!("{count} jobs, each ") } else { String::new() };
        let needs = checked.first().map(|c| needs(&c.estimate)).unwrap_or_default();
        Ok(each + &needs)
    }

    fn submit(&self, form: &Form) -> Result<(String, Vec<PathBuf>), String> {
        let (app, request) = (self.app(form), form.request()?);
        let made = jobs::check(&app, &request)
            .and_then(|checked| jobs::queue(&app, &request, &checked))
            .map_err(|e| explain(&e))?;
        let ids: Vec<&str> = made.iter().map(|job| job.id.as_str()).collect();
        let are = if ids.len() == 1 { "is" } else { "are" };
        let told = format!("{} {are} queued", ids.join(", "));
        Ok((told, made.iter().map(|job| job.path.clone()).collect()))
    }

    fn adopt(&self) {
        // Why it cannot is reported when something is requested of a job.
        let _ = jobs::adopt(&self.app);
    }
}

/// In the panel a key does what elsewhere a command does.
fn panel_words(error: &AppError) -> String {
    match error {
        AppError::Steer(SteerError::StillStopping(_)) => {
            format!("{error}; P resumes it once it has stopped")
        }
        AppError::Steer(SteerError::InForeground(_)) => {
            format!("{error}; X stops it, and P then resumes it as a job")
        }
        _ => explain(error),
    }
}

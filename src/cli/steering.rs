//! Jobs, steered from the training panel as from the command line.

use std::path::{Path, PathBuf};

use super::args::SubmitArgs;
use super::{Context, Failure, jobs};
use crate::tui::{Form, Steer};
use artgpt_jobs::Job;
use artgpt_rundir::job::{Place, Wanted, ending};
use artgpt_rundir::{RunDir, RunState, Status};

pub struct Steering {
    context: Context,
}

impl Steering {
    /// Paths are made whole: the panel may outlive the working folder.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let mut context = context.clone();
        context.paths.data = jobs::absolute(&context.paths.data)?;
        Ok(Self { context })
    }

    fn arguments(form: &Form) -> Result<SubmitArgs, Failure> {
        let wrong = |field: &str, hint: &str| {
            Failure::usage(format!("{field} `{}` cannot be used", form.value(field)), hint)
        };
        if form.value("configuration").is_empty() {
            return Err(Failure::usage("no configuration is named", "type the path of one"));
        }
        let priority = match form.value("priority") {
            "" => 0,
            text => text.parse().map_err(|_| wrong("priority", "a whole number, such as 5"))?,
        };
        let on = match form.value("on") {
            "" | "local" => Place::Local,
            "slurm" => Place::Slurm,
            _ => return Err(wrong("on", "local or slurm")),
        };
        Ok(SubmitArgs {
            config_file: crate::tui::expand(form.value("configuration")),
            set: form.words("changes"),
            sweep: form.words("sweep"),
            name: Some(form.value("name").to_string()).filter(|name| !name.is_empty()),
            priority,
            after: form.words("after"),
            retries: SubmitArgs::RETRIES,
            on,
        })
    }

    fn context(&self, form: &Form) -> Result<Context, Failure> {
        let mut context = self.context.clone();
        let device = form.value("device");
        if !device.is_empty() {
            context.settings.device = device.into();
        }
        Ok(context)
    }

    fn submit_form(&self, form: &Form) -> Result<(String, Vec<PathBuf>), Failure> {
        let (context, args) = (self.context(form)?, Self::arguments(form)?);
        let checked = jobs::check(&context, &args)?;
        let made = jobs::queue(&context, &args, &checked)?;
        let ids: Vec<&str> = made.iter().map(|job| job.id.as_str()).collect();
        let are = if ids.len() == 1 { "is" } else { "are" };
        let told = format!("{} {are} queued", ids.join(", "));
        Ok((told, made.iter().map(|job| job.path.clone()).collect()))
    }

    fn check_form(&self, form: &Form) -> Result<String, Failure> {
        let (context, args) = (self.context(form)?, Self::arguments(form)?);
        let checked = jobs::check(&context, &args)?;
        let count = checked.len();
        let each = if count > 1 { format!("{count} jobs, each ") } else { String::new() };
        let needs = checked.first().map(|c| jobs::in_words(&c.estimate)).unwrap_or_default();
        Ok(each + &needs)
    }

    fn wish_of(&self, run: &Path, wanted: Wanted) -> Result<String, Failure> {
        let Some(job) = Job::read(run)? else { return self.foreground(run, wanted) };
        jobs::wish(&self.context, &job, wanted)?;
        Ok(match wanted {
            Wanted::Run => format!("{} goes on when its device is free", job.id),
            Wanted::Pause => format!("{} pauses after its present step", job.id),
            Wanted::Stop => format!("{} stops after its present step", job.id),
        })
    }
}

impl Steering {
    /// A run that is no job.
    fn foreground(&self, run: &Path, wanted: Wanted) -> Result<String, Failure> {
        match wanted {
            Wanted::Run => {
                let running = Status::read(run).filter(|s| s.state == RunState::Running);
                let stops = running.is_some_and(|status| ending(run, status.pid).is_some());
                // One that was killed meanwhile stops no more.
                if stops && RunDir::is_open(run) {
                    let hint = "P goes on with it when it says stopped";
                    return Err(Failure::usage("it is still stopping", hint));
                }
                let job = jobs::take_over(&self.context, run)?;
                Ok(format!("{} goes on as a job when its device is free", job.id))
            }
            Wanted::Stop => {
                artgpt_jobs::stop_foreground(run)?;
                Ok("it stops after its present step; P goes on with it as a job".into())
            }
            Wanted::Pause => Err(Failure::usage(
                "it runs in somebody's terminal",
                "X stops it, and P then goes on with it as a job",
            )),
        }
    }
}

impl Steer for Steering {
    fn wish(&self, run: &Path, wanted: Wanted) -> Result<String, String> {
        self.wish_of(run, wanted).map_err(|e| e.to_string())
    }

    fn remove(&self, runs: &[PathBuf]) -> Result<String, String> {
        artgpt_jobs::remove(&self.context.paths.runs(), runs).map_err(|e| e.to_string())?;
        Ok(match runs {
            [one] => format!("{} is deleted", artgpt_rundir::run_id(one)),
            several => format!("{} runs are deleted", several.len()),
        })
    }

    fn check(&self, form: &Form) -> Result<String, String> {
        self.check_form(form).map_err(|e| e.to_string())
    }

    fn submit(&self, form: &Form) -> Result<(String, Vec<PathBuf>), String> {
        self.submit_form(form).map_err(|e| e.to_string())
    }

    fn adopt(&self) {
        // What stands against it is told when a job is asked for something.
        let _ = jobs::adopt(&self.context);
    }
}

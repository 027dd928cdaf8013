//! What happens during a command, on stderr (and training steps with `--json` on stdout).

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use artgpt_app::{AppError, Event, Observer, explain};
use artgpt_base::output;
use artgpt_base::text::{duration, printable};
use artgpt_fetch::Progress;
use artgpt_jobs::JobError;
use artgpt_rundir::Metrics;

/// Prints events.
pub(crate) struct Printer {
    pub json: bool,
    /// Tell which device a model is loaded on.
    pub tell_device: bool,
    /// The bar of the file that is being fetched.
    bar: Mutex<ProgressBar>,
}

impl Printer {
    pub(crate) fn new(json: bool, tell_device: bool) -> Self {
        Self { json, tell_device, bar: Mutex::new(ProgressBar::hidden()) }
    }

    fn with_bar(&self, change: impl FnOnce(&mut ProgressBar)) {
        if let Ok(mut bar) = self.bar.lock() {
            change(&mut bar);
        }
    }

    fn step(&self, m: &Metrics, total: usize) {
        if self.json {
            if let Ok(line) = serde_json::to_string(m) {
                output::line(line);
            }
        } else if m.split != "train" || m.step.is_multiple_of(10) || m.step == 1 {
            let accuracy =
                m.accuracy.map_or(String::new(), |a| format!(" accuracy {:.1}%", a * 100.0));
            output::note(format_args!(
                "{:>6}/{total} {:<6} {:<8} loss {:.4}{accuracy} lr {:.2e} grad norm {:.2} {:.1} tokens/s {:.0} s, {:.0} s left",
                m.step,
                m.stage,
                m.split,
                m.loss,
                m.lr,
                m.grad_norm,
                m.tokens_per_second,
                m.elapsed_s,
                m.elapsed_s / m.step as f64 * (total - m.step.min(total)) as f64
            ));
        }
    }
}

impl Observer for Printer {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Fetching(progress) => self.with_bar(|bar| show(bar, progress)),
            Event::Fetched => self.with_bar(|bar| bar.finish_and_clear()),
            Event::Device { model, reason } if self.tell_device => {
                output::note(format_args!("{model}: {reason}"))
            }
            Event::Device { .. } => {}
            Event::Model(notice) => {
                output::note(format_args!("artgpt-tui: warning: {}", printable(notice)));
            }
            Event::Artwork(note) => output::note(format_args!("artgpt-tui: {}", printable(note))),
            Event::SessionCreated(id) => output::note(format_args!("session {id}")),
            Event::Store(notice) => output::note(format_args!("artgpt-tui: {notice}")),
            Event::ReadingMirror(error) => {
                output::note(format_args!("artgpt-tui: {}", explain(error)));
                output::note("artgpt-tui: showing what was saved so far");
            }
            Event::ImportedAsCopy => {
                output::note("artgpt-tui: a session with that ID exists; imported as a copy");
            }
            Event::Writing(part) => output::note(format_args!("writing the {part}")),
            Event::SlurmSilent(error) => {
                let what = match error {
                    AppError::Jobs(JobError::Slurm { .. }) => {
                        "Slurm does not answer, its jobs are as last seen"
                    }
                    _ => "what Slurm says of its jobs cannot be saved",
                };
                output::note(format_args!("artgpt-tui: {what}: {error}"));
            }
            Event::NoticeFailed { program, error } => {
                output::note(format_args!(
                    "cannot start {program}: {error}; see [notices] command"
                ));
            }
            Event::RunStarted(path) => output::note(format_args!("run {}", path.display())),
            Event::Loading(model) => output::note(format_args!("loading {model}")),
            Event::Step { metrics, total } => self.step(metrics, *total),
            Event::Warning { step, text } => {
                output::note(format_args!("artgpt-tui: step {step}: {text}"));
            }
            Event::Trial(name) => output::note(name),
            Event::Evaluated { done, total } => self.with_bar(|bar| {
                count(bar, "paintings", *done, *total);
                if bar.is_hidden() {
                    output::note(format_args!("{done}/{total} paintings"));
                }
            }),
            Event::Evaluation(text) => {
                output::note(format_args!("artgpt-tui: {}", printable(text)));
            }
            Event::EvaluationPlanned { paintings, questions, known } => {
                output::note(format_args!(
                    "{questions} questions about {paintings} paintings, in up to 8 ways each; {known} results are known"
                ));
            }
            Event::EvaluationLeft { seconds } => {
                self.with_bar(|bar| {
                    bar.suspend(|| output::note(format_args!("about {} left", duration(*seconds))));
                });
            }
            Event::DataChecked { done, total } => {
                self.with_bar(|bar| count(bar, "pictures", *done, *total));
            }
        }
    }
}

/// Shows how many of something are done, where stderr is a terminal.
fn count(bar: &mut ProgressBar, what: &'static str, done: usize, total: usize) {
    let (done, total) = (done as u64, total as u64);
    if done == 0 || bar.length() != Some(total) {
        bar.finish_and_clear();
        *bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
    }
    // Threads may report out of order.
    if done == total {
        bar.finish_and_clear();
    } else if !bar.is_finished() {
        bar.set_position(done.max(bar.position()));
    }
}

/// Shows the progress of an installation; where stderr is no terminal, only the files' names.
fn show(bar: &mut ProgressBar, progress: &Progress) {
    match progress {
        Progress::File { name, bytes } => {
            bar.finish_and_clear();
            *bar = ProgressBar::new(*bytes);
            let style = ProgressStyle::with_template(
                "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}",
            );
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(name.clone());
            if bar.is_hidden() {
                output::note(format_args!("fetching {name} ({bytes} bytes)"));
            }
        }
        Progress::Bytes(n) => bar.set_position((*n).min(bar.length().unwrap_or(*n))),
        Progress::Step(step) => {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(step.clone());
        }
    }
}

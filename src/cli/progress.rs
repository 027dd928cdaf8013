//! Progress bars on stderr; silent when it is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use artgpt_fetch::{FetchError, Progress, install};
use artgpt_model::manifest::Model;

/// Installs with a progress bar.
pub fn install_with_bar(model: &Model) -> Result<(), FetchError> {
    let bar = ProgressBar::hidden();
    let mut bars = bar;
    let result = install(model, |p| match p {
        Progress::File { name, bytes } => {
            bars.finish_and_clear();
            bars = ProgressBar::new(bytes);
            let style = ProgressStyle::with_template(
                "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}",
            );
            if let Ok(style) = style {
                bars.set_style(style.progress_chars("=> "));
            }
            bars.set_message(name.clone());
            if bars.is_hidden() {
                eprintln!("fetching {name} ({bytes} bytes)");
            }
        }
        Progress::Bytes(n) => bars.set_position(n.min(bars.length().unwrap_or(n))),
        Progress::Step(step) => {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bars.set_style(style);
            }
            bars.enable_steady_tick(Duration::from_millis(120));
            bars.set_message(step);
        }
    });
    bars.finish_and_clear();
    result
}

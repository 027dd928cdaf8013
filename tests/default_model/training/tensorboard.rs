//! What TensorBoard itself reads from a run's event file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the Python package `tensorboard` is: pip installs it at the first call.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tensorboard");
        if !target.join("tensorboard").is_dir() {
            let status = Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--target"])
                .arg(&target)
                .args(["tensorboard==2.20.0", "setuptools<81"])
                .status();
            assert!(status.is_ok_and(|s| s.success()), "pip cannot install tensorboard");
        }
        target
    })
}

/// Steps and training losses as TensorBoard reads a run, rounded as JSON has them.
pub(crate) fn scalars(run: &Path) -> Vec<(u64, String)> {
    let script = "import sys, json\n\
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
        events = EventAccumulator(sys.argv[1])\n\
        events.Reload()\n\
        print(json.dumps([[e.step, e.value] for e in events.Scalars('loss/train')]))";
    let output = Command::new("python3")
        .env("PYTHONPATH", package())
        .args(["-c", script])
        .arg(run)
        .output()
        .expect("python3 runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let all: Vec<(u64, f64)> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {text}"));
    // Event files hold f32; so did the loss before it was written as f64.
    all.into_iter().map(|(step, loss)| (step, serde_json::json!(loss).to_string())).collect()
}

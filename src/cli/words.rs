//! Words that several commands print.

use artgpt_app::Estimate;
use artgpt_base::text::duration;

/// What a job will need.
pub(crate) fn needs(estimate: &Estimate) -> String {
    let memory = estimate.memory.map(|b| format!("about {:.1} GB", b as f64 / 1e9));
    let time = estimate.seconds.map(|s| format!("about {}", duration(s)));
    let known = [memory, time].into_iter().flatten().collect::<Vec<_>>().join(", ");
    match &estimate.seen_in {
        Some(run) => format!("{known} (as {run})"),
        None if known.is_empty() => "its needs are not known".into(),
        None => format!("{known} of memory; its time is known after the first run like it"),
    }
}

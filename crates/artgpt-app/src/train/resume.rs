//! What may change when a run is resumed.

use std::collections::BTreeSet;
use std::path::Path;

use super::ForegroundError;
use crate::Result;
use artgpt_rundir::{RunError, TrainConfig};

/// What a resumed run may not change: its checkpoints would mean something else.
const FIXED: &[&str] = &[
    "model",
    "data",
    "init",
    "seed",
    "split_seed",
    "held_out",
    "method",
    "train_norms",
    "bridge",
    "ema",
];

/// A configuration that is given for a resumed run must be its own.
pub(super) fn same(given: TrainConfig, kept: &TrainConfig, run: &Path) -> Result<TrainConfig> {
    let differences = differing(&given, kept)?;
    match differences.is_empty() {
        true => Ok(given),
        false => {
            let run = run.to_path_buf();
            Err(ForegroundError::OtherConfiguration { run, differences }.into())
        }
    }
}

/// Refuses changes of what is fixed.
pub(super) fn resumable(new: TrainConfig, kept: &TrainConfig) -> Result<TrainConfig> {
    let mut changed = differing(&new, kept)?;
    changed.retain(|key| FIXED.iter().any(|fixed| key.split([' ', '.']).next() == Some(fixed)));
    match changed.is_empty() {
        true => Ok(new),
        false => Err(ForegroundError::Fixed(changed).into()),
    }
}

/// Keys whose values differ, with both values.
fn differing(new: &TrainConfig, kept: &TrainConfig) -> Result<Vec<String>> {
    let value = |config: &TrainConfig| {
        toml::Value::try_from(config).map_err(|e| RunError::Config(e.to_string()))
    };
    let (new, kept) = (value(new)?, value(kept)?);
    let mut out = Vec::new();
    compare("", Some(&new), Some(&kept), &mut out);
    Ok(out)
}

fn compare(
    key: &str,
    new: Option<&toml::Value>,
    kept: Option<&toml::Value>,
    out: &mut Vec<String>,
) {
    use toml::Value::{Array, Table};
    let below =
        |part: &str| if key.is_empty() { part.to_string() } else { format!("{key}.{part}") };
    match (new, kept) {
        (Some(Table(new)), Some(Table(kept))) => {
            let keys: BTreeSet<&String> = new.keys().chain(kept.keys()).collect();
            for part in keys {
                compare(&below(part), new.get(part), kept.get(part), out);
            }
        }
        (Some(Array(new)), Some(Array(kept))) if new.iter().chain(kept).all(|v| v.is_table()) => {
            for i in 0..new.len().max(kept.len()) {
                compare(&below(&i.to_string()), new.get(i), kept.get(i), out);
            }
        }
        (new, kept) if new == kept => {}
        (new, kept) => {
            let show = |v: Option<&toml::Value>| v.map_or("none".into(), ToString::to_string);
            out.push(format!("{key} ({} instead of {})", show(new), show(kept)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overrides::with_overrides;

    #[test]
    fn a_resume_tells_what_differs_and_may_change_only_the_pace() {
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let kept: TrainConfig = toml::from_str(text).expect("parses");
        let with = |set: &str| {
            with_overrides(kept.clone(), &[set.parse().expect("a pair")]).expect("sets")
        };
        let run = Path::new("runs/R");
        let refused = same(with("stage.0.lr=0.2"), &kept, run).expect_err("is refused");
        assert!(refused.to_string().contains("stage.0.lr (0.2 instead of 0.1)"), "{refused}");
        assert!(same(kept.clone(), &kept, run).is_ok());
        assert!(resumable(with("stage.0.lr=0.2"), &kept).is_ok());
        let refused =
            resumable(with("method={kind=\"lora\", rank=2}"), &kept).expect_err("is refused");
        assert!(refused.to_string().contains("method.kind"), "{refused}");
    }
}

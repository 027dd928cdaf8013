//! Values of a configuration that are replaced (`KEY=VALUE`) or swept (`KEY=VALUE,...`).

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Which of several overrides is wrong is found by leaving each out; of many only these are tried.
const MAX_TRIED: usize = 4;

/// One replaced value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// A dotted path such as `stage.0.lr`; stages count from 0.
    pub key: String,
    /// A TOML value; a bare word is a string.
    pub value: String,
}

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let pair = text.split_once('=').ok_or_else(|| OverrideError::NotAPair(text.into()))?;
        Ok(Self { key: pair.0.into(), value: pair.1.into() })
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// One key with all values that it takes in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// A dotted path such as `stage.0.lr`.
    pub key: String,
    /// The values, in order.
    pub values: Vec<String>,
}

impl FromStr for Sweep {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let pair = text.split_once('=').ok_or_else(|| OverrideError::NotASweep(text.into()))?;
        Ok(Self { key: pair.0.into(), values: pair.1.split(',').map(String::from).collect() })
    }
}

/// Why a value cannot be replaced.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// Not KEY=VALUE.
    #[error("`{0}` is not KEY=VALUE")]
    NotAPair(String),
    /// Not KEY=VALUE,...
    #[error("`{0}` is not KEY=VALUE,...")]
    NotASweep(String),
    /// The key leads nowhere.
    #[error("there is nothing at {0} to set")]
    Nowhere(String),
    /// A value does not fit.
    #[error("the training configuration is wrong: {0}")]
    Config(String),
    /// A key of a stage, without the number of the stage.
    #[error("the training configuration is wrong: {reason}")]
    StageKey {
        /// Why.
        reason: String,
        /// The same override with the stage in its key.
        instead: Override,
    },
}

/// Applies each override to the TOML form of the configuration.
pub fn with_overrides<C>(config: C, set: &[Override]) -> Result<C, OverrideError>
where
    C: Serialize + DeserializeOwned + Clone,
{
    let whole = toml::Value::try_from(&config).map_err(|e| OverrideError::Config(e.to_string()))?;
    let mut value = whole.clone();
    for change in set {
        apply::<C>(&mut value, change)?;
    }
    value.try_into().map_err(|e: toml::de::Error| {
        let reason = match wrong_one(&config, set) {
            Some(change) => format!("{change}: {}", e.message()),
            None => e.message().to_string(),
        };
        // A key of the stages, without the number of the stage.
        let meant = set.iter().find(|change| {
            !change.key.contains('.')
                && whole.get(&change.key).is_none()
                && stage_takes::<C>(&whole, change)
        });
        match meant {
            Some(change) => {
                let key = format!("stage.0.{}", change.key);
                let instead = Override { key, value: change.value.clone() };
                OverrideError::StageKey { reason, instead }
            }
            None => OverrideError::Config(reason),
        }
    })
}

fn apply<C: DeserializeOwned>(
    value: &mut toml::Value,
    change: &Override,
) -> Result<(), OverrideError> {
    let nowhere = || OverrideError::Nowhere(change.key.clone());
    let text = || toml::Value::String(change.value.clone());
    let new = parsed(&change.value).unwrap_or_else(text);
    let is_text = new.is_str();
    *slot(value, &change.key).ok_or_else(nowhere)? = new;
    // A number can be a text, such as a time.
    if !is_text && C::deserialize(value.clone()).is_err() {
        let mut as_text = value.clone();
        *slot(&mut as_text, &change.key).ok_or_else(nowhere)? = text();
        if C::deserialize(as_text.clone()).is_ok() {
            *value = as_text;
        }
    }
    Ok(())
}

fn parsed(text: &str) -> Option<toml::Value> {
    format!("v = {text}").parse::<toml::Table>().ok()?.remove("v")
}

/// The override without which the others are right.
fn wrong_one<'a, C>(config: &C, set: &'a [Override]) -> Option<&'a Override>
where
    C: Serialize + DeserializeOwned + Clone,
{
    let right_without = |at: &usize| {
        let mut others = set.to_vec();
        others.remove(*at);
        with_overrides(config.clone(), &others).is_ok()
    };
    (0..set.len().min(MAX_TRIED)).find(right_without).map(|at| &set[at])
}

fn stage_takes<C: DeserializeOwned>(whole: &toml::Value, change: &Override) -> bool {
    let mut value = whole.clone();
    let Some(stage) = slot(&mut value, "stage.0").and_then(toml::Value::as_table_mut) else {
        return false;
    };
    let Some(new) = parsed(&change.value) else { return false };
    stage.insert(change.key.clone(), new);
    C::deserialize(value).is_ok()
}

/// The value at a key; a missing table is created. `None` where no value can be.
fn slot<'a>(value: &'a mut toml::Value, key: &str) -> Option<&'a mut toml::Value> {
    let mut slot = value;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        slot = match slot {
            toml::Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            toml::Value::Table(table) => {
                let new = match parts.peek() {
                    Some(_) => toml::Value::Table(toml::Table::new()),
                    None => toml::Value::Boolean(false),
                };
                table.entry(part).or_insert(new)
            }
            _ => return None,
        };
    }
    Some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppError, hint};
    use artgpt_rundir::TrainConfig;

    #[test]
    fn overrides_reach_into_stages() {
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let set = |pairs: &[&str]| {
            let pairs: Vec<Override> =
                pairs.iter().map(|pair| pair.parse().expect("a pair")).collect();
            with_overrides(config.clone(), &pairs)
        };
        let new = set(&["seed=3", "stage.0.lr=0.5", "data=other"]).expect("sets");
        assert_eq!((new.seed, new.stage[0].lr, new.data.to_string()), (3, 0.5, "other".into()));
        let new = set(&["slurm.time=1:00:00"]).expect("sets");
        assert_eq!(new.slurm.and_then(|s| s.time), Some("1:00:00".into()));
        let minutes = set(&["slurm.time=10"]).expect("sets");
        assert_eq!(minutes.slurm.and_then(|s| s.time), Some("10".into()));
        let advice = |pair: &str| {
            let error = set(&[pair]).map(drop).expect_err("is wrong");
            hint(&AppError::from(error)).expect("has a hint")
        };
        assert!(advice("lr=0.5").contains("stage.0.lr=0.5"));
        assert!(!advice("sead=3").contains("stage.0"));
        let message = |pairs: &[&str]| set(pairs).map(drop).expect_err("is wrong").to_string();
        assert!(
            message(&["seed=2", "stage.0.steps=abc"]).contains("stage.0.steps=abc: invalid type")
        );
        assert!(message(&["stage.5.lr=1"]).contains("nothing at stage.5.lr"));
        assert!("seed".parse::<Override>().is_err());
        assert_eq!(
            "seed=1,2".parse::<Sweep>().expect("a sweep").values,
            ["1".to_string(), "2".to_string()]
        );
    }
}

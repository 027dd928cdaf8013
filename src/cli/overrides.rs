//! `--set key=value` on a configuration.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use artgpt_train::TrainError;

/// Trying without each of many would try without each of the others, too.
const MOST_TRIED: usize = 4;

/// Applies each `a.b=c` on the TOML form of the configuration.
pub fn with_overrides<C>(config: C, set: &[String]) -> Result<C, Failure>
where
    C: Serialize + DeserializeOwned + Clone,
{
    let wrong = |e: &dyn std::fmt::Display| Failure::from(TrainError::Config(e.to_string()));
    let whole = toml::Value::try_from(&config).map_err(|e| wrong(&e))?;
    let mut value = whole.clone();
    for pair in set {
        let bad = || Failure::usage(format!("--set {pair} is not KEY=VALUE"), "try --set seed=3");
        let (key, text) = pair.split_once('=').ok_or_else(bad)?;
        // A bare word is a string.
        let parsed = format!("v = {text}").parse::<toml::Table>().ok();
        let new = parsed
            .and_then(|t| t.get("v").cloned())
            .unwrap_or_else(|| toml::Value::String(text.to_string()));
        let nowhere =
            || Failure::usage(format!("there is nothing at {key} to set"), "stages count from 0");
        *place(&mut value, key).ok_or_else(nowhere)? = new.clone();
        // A number can be a text, such as a time.
        if !new.is_str() && C::deserialize(value.clone()).is_err() {
            let mut as_text = value.clone();
            *place(&mut as_text, key).ok_or_else(nowhere)? = toml::Value::String(text.to_string());
            if C::deserialize(as_text.clone()).is_ok() {
                value = as_text;
            }
        }
    }
    value.try_into().map_err(|e: toml::de::Error| {
        // The one without which the others are right.
        let right_without = |at: &usize| {
            let mut others = set.to_vec();
            others.remove(*at);
            with_overrides(config.clone(), &others).is_ok()
        };
        let wrong_one = match set.len() {
            0 => None,
            // Of many each would be tried; one is enough to tell.
            count => (0..count.min(MOST_TRIED)).find(right_without).map(|at| &set[at]),
        };
        let failure = match wrong_one {
            Some(pair) => wrong(&format!("{pair}: {}", e.message())),
            None => wrong(&e.message()),
        };
        // A key of the stages, and which of them is not said.
        let meant = set.iter().filter_map(|pair| pair.split_once('=')).find(|(key, text)| {
            !key.contains('.') && whole.get(key).is_none() && stage_takes::<C>(&whole, key, text)
        });
        match meant {
            Some((key, text)) => Failure { hint: format!("say stage.0.{key}={text}"), ..failure },
            None => failure,
        }
    })
}

fn stage_takes<C: DeserializeOwned>(whole: &toml::Value, key: &str, text: &str) -> bool {
    let mut value = whole.clone();
    let Some(first) = place(&mut value, "stage.0") else { return false };
    let Some(stage) = first.as_table_mut() else { return false };
    let Some(new) =
        format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"))
    else {
        return false;
    };
    stage.insert(key.into(), new);
    C::deserialize(value).is_ok()
}

/// What stands at a key; a table that is left out is begun. `None` where nothing can stand.
fn place<'a>(value: &'a mut toml::Value, key: &str) -> Option<&'a mut toml::Value> {
    let mut place = value;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        place = match place {
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
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_rundir::TrainConfig;

    #[test]
    fn overrides_reach_into_stages() {
        let text = "model = \"m\"\ndata = \"d\"\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let config: TrainConfig = toml::from_str(text).expect("parses");
        let set = ["seed=3", "stage.0.lr=0.5", "data=other"].map(String::from);
        let new = with_overrides(config.clone(), &set).expect("sets");
        assert_eq!((new.seed, new.stage[0].lr, new.data.to_string()), (3, 0.5, "other".into()));
        let time = ["slurm.time=1:00:00".to_string()];
        let new = with_overrides(config.clone(), &time).expect("sets");
        assert_eq!(new.slurm.and_then(|s| s.time), Some("1:00:00".into()));
        let minutes = with_overrides(config.clone(), &["slurm.time=10".into()]).expect("sets");
        assert_eq!(minutes.slurm.and_then(|s| s.time), Some("10".into()));
        let hint = |set: &str| {
            with_overrides(config.clone(), &[set.to_string()]).map(drop).expect_err("is wrong").hint
        };
        assert_eq!(hint("lr=0.5"), "say stage.0.lr=0.5");
        let message = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|pair| pair.to_string()).collect();
            with_overrides(config.clone(), &set).map(drop).expect_err("is wrong").message
        };
        assert!(
            message(&["seed=2", "stage.0.steps=abc"]).contains("stage.0.steps=abc: invalid type")
        );
        assert!(message(&["stage.5.lr=1"]).contains("nothing at stage.5.lr"));
        assert!(!hint("sead=3").contains("stage.0"));
        assert!(with_overrides(config, &["stage.9.lr=1.0".into()]).is_err());
    }
}

//! Configurations of runs of any training program, as flat keys and values, and where runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::readers::{repaired, unrepaired};
use artgpt_base::files::read_text;

/// Names of configuration files, the most complete first.
const FILES: &[&str] = &[
    "config.toml",
    "config.json",
    "config.yaml",
    "hparams.yaml",
    "args.json",
    "training_args.json",
    "args.yaml",
];
/// Limit on a configuration file's bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Limit on the keys of a configuration.
pub(crate) const MAX_KEYS: usize = 10_000;
/// Limit on a key's bytes.
const MAX_KEY_BYTES: usize = 512;

/// A configuration: keys such as `stage.0.lr`, with their values as text.
pub type Settings = BTreeMap<String, String>;

/// The configuration of the run in a directory; empty if there is none that can be read.
pub fn settings(run: &Path) -> Settings {
    let mut all = Settings::new();
    for name in FILES {
        let path = run.join(name);
        if let Ok(text) = read_text(&path, MAX_FILE_BYTES)
            && let Some(value) = parse(name, &text)
        {
            flatten("", &value, &mut all);
            return all;
        }
    }
    all
}

fn parse(name: &str, text: &str) -> Option<serde_json::Value> {
    match Path::new(name).extension()?.to_str()? {
        "toml" => toml::from_str(text).ok(),
        "json" => serde_json::from_slice(&repaired(text.as_bytes())).ok(),
        _ => serde_saphyr::from_str(text).ok(),
    }
}

/// Adds a value under `key`, or what it contains under keys below that.
pub(crate) fn flatten(key: &str, value: &serde_json::Value, all: &mut Settings) {
    // Bounds memory: each key repeats the keys above it.
    if key.len() > MAX_KEY_BYTES || all.len() >= MAX_KEYS {
        return;
    }
    let below =
        |part: &str| if key.is_empty() { part.to_string() } else { format!("{key}.{part}") };
    match value {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(part, value)| flatten(&below(part), value, all));
        }
        // A list of numbers or words stays one value.
        serde_json::Value::Array(items) if items.iter().any(|v| v.is_object() || v.is_array()) => {
            items.iter().enumerate().for_each(|(i, v)| flatten(&below(&i.to_string()), v, all));
        }
        value => drop(all.insert(key.to_string(), text(value))),
    }
}

/// A value as text; NaN and infinities as Python writes them.
fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(word) => match unrepaired(word) {
            Some(_) => word.trim_start_matches('\0').to_string(),
            None => word.clone(),
        },
        serde_json::Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                serde_json::Value::String(word) if unrepaired(word).is_none() => item.to_string(),
                item => text(item),
            });
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        value => value.to_string(),
    }
}

/// The keys whose values differ between the runs, with each run's value. Runs without a configuration do
/// not count.
pub fn differing(all: &[Settings]) -> Vec<(String, Vec<Option<String>>)> {
    let values = |key: &String| all.iter().map(|run| run.get(key).cloned()).collect();
    differing_keys(all.iter()).into_iter().map(|key| (key.clone(), values(&key))).collect()
}

/// The keys whose values differ between the runs; see [`differing`].
pub fn differing_keys<'a>(all: impl Iterator<Item = &'a Settings>) -> Vec<String> {
    let known: Vec<&Settings> = all.filter(|run| !run.is_empty()).collect();
    let keys: BTreeSet<&String> = known.iter().flat_map(|run| run.keys()).collect();
    let differs = |key: &&String| {
        let mut values = known.iter().map(|run| run.get(*key));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    keys.into_iter().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_differ_in_keys_of_any_format() {
        let dir = tempfile::tempdir().expect("a folder");
        let make = |run: &str, file: &str, text: &str| {
            let path = dir.path().join(run);
            std::fs::create_dir_all(&path).expect("makes");
            std::fs::write(path.join(file), text).expect("writes");
            settings(&path)
        };
        let all = [
            make("a", "config.toml", "lr = 0.1\nbetas = [0.9, 0.98]\n[[stage]]\nsteps = 5\n"),
            make(
                "b",
                "config.json",
                r#"{"lr": 0.1, "betas": [0.9, 0.99], "stage": [{"steps": 5}]}"#,
            ),
            make("c", "hparams.yaml", "lr: 0.2\nbetas: [0.9, 0.98]\nstage:\n  - steps: 5\n"),
        ];
        let lines: Vec<String> =
            differing(&all).into_iter().map(|(key, values)| format!("{key}: {values:?}")).collect();
        assert_eq!(
            lines,
            [
                r#"betas: [Some("[0.9,0.98]"), Some("[0.9,0.99]"), Some("[0.9,0.98]")]"#,
                r#"lr: [Some("0.1"), Some("0.1"), Some("0.2")]"#,
            ]
        );
        assert!(make("d", "args.json", "{").is_empty());
    }
}

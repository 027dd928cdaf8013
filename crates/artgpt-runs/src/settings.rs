//! What a run was told, whoever trained: the keys of its configuration, and where runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files that programs keep their configuration in, the one that tells most first.
const FILES: &[&str] = &[
    "config.toml",
    "config.json",
    "config.yaml",
    "hparams.yaml",
    "args.json",
    "training_args.json",
    "args.yaml",
];
/// Larger ones are no configuration.
const LARGEST: u64 = 1 << 20;

pub const MOST_KEYS: usize = 10_000;
const LONGEST_KEY: usize = 512;

/// Keys such as `stage.0.lr`, with their values as they are written.
pub type Settings = BTreeMap<String, String>;

/// Of the run in a folder; empty where it keeps none that can be read.
pub fn settings(run: &Path) -> Settings {
    let mut all = Settings::new();
    for name in FILES {
        let path = run.join(name);
        if path.metadata().is_ok_and(|m| m.len() <= LARGEST)
            && let Ok(text) = std::fs::read_to_string(&path)
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
        "json" => serde_json::from_str(text).ok(),
        _ => serde_saphyr::from_str(text).ok(),
    }
}

/// Puts a value under its key, and what it holds under keys below it.
pub fn flatten(key: &str, value: &serde_json::Value, all: &mut Settings) {
    // Longer ones are no configuration, and each key repeats those above it.
    if key.len() > LONGEST_KEY || all.len() >= MOST_KEYS {
        return;
    }
    let below =
        |part: &str| if key.is_empty() { part.to_string() } else { format!("{key}.{part}") };
    match value {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(part, value)| flatten(&below(part), value, all));
        }
        // Numbers and words stay together.
        serde_json::Value::Array(items) if items.iter().any(|v| v.is_object() || v.is_array()) => {
            items.iter().enumerate().for_each(|(i, v)| flatten(&below(&i.to_string()), v, all));
        }
        serde_json::Value::String(text) => drop(all.insert(key.to_string(), text.clone())),
        value => drop(all.insert(key.to_string(), value.to_string())),
    }
}

/// Keys in which the runs are not all the same, with each run's value. One that keeps no configuration
/// differs in nothing.
pub fn differing(all: &[Settings]) -> Vec<(String, Vec<Option<String>>)> {
    let values = |key: &String| all.iter().map(|run| run.get(key).cloned()).collect();
    differing_keys(all.iter()).into_iter().map(|key| (key.clone(), values(&key))).collect()
}

/// The keys alone.
pub fn differing_keys<'a>(all: impl Iterator<Item = &'a Settings>) -> Vec<String> {
    let told: Vec<&Settings> = all.filter(|run| !run.is_empty()).collect();
    let keys: BTreeSet<&String> = told.iter().flat_map(|run| run.keys()).collect();
    let differs = |key: &&String| {
        let mut values = told.iter().map(|run| run.get(*key));
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
        let told: Vec<String> =
            differing(&all).into_iter().map(|(key, values)| format!("{key}: {values:?}")).collect();
        assert_eq!(
            told,
            [
                r#"betas: [Some("[0.9,0.98]"), Some("[0.9,0.99]"), Some("[0.9,0.98]")]"#,
                r#"lr: [Some("0.1"), Some("0.1"), Some("0.2")]"#,
            ]
        );
        assert!(make("d", "args.json", "{").is_empty());
    }
}

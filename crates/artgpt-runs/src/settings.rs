//! Configurations of runs of any training program, as flat keys and values, and where runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

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
        "toml" => toml::from_str(text).ok().map(Plain::into_json),
        "json" => serde_json::from_slice(&repaired(text.as_bytes())).ok(),
        _ => yaml::<Plain>(text).map(Plain::into_json).or_else(|| yaml(text)),
    }
}

/// Parses YAML, in which numbers may be NaN and keys need not be words.
fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let options = serde_saphyr::options! {
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough
    };
    serde_saphyr::from_str_with_options(text, options).ok()
}

/// A value of TOML or YAML, where numbers may be NaN or infinite.
enum Plain {
    Truth(bool),
    Whole(i64),
    Large(u64),
    Number(f64),
    Word(String),
    List(Vec<Plain>),
    Map(BTreeMap<String, Plain>),
    Nothing,
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyPlain)
    }
}

/// Reads any value. Serde's untagged enums would make keys of YAML's tags, such as `!!python/tuple`.
struct AnyPlain;

impl<'de> Visitor<'de> for AnyPlain {
    type Value = Plain;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Plain, E> {
        Ok(Plain::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Plain, E> {
        Ok(Plain::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Plain, E> {
        Ok(Plain::Large(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Plain, E> {
        Ok(Plain::Number(number))
    }

    fn visit_str<E>(self, word: &str) -> Result<Plain, E> {
        Ok(Plain::Word(word.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Plain, E> {
        Ok(Plain::Nothing)
    }

    fn visit_none<E>(self) -> Result<Plain, E> {
        Ok(Plain::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Plain, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Plain::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((key, value)) = items.next_entry()? {
            all.insert(key, value);
        }
        Ok(Plain::Map(all))
    }
}

impl Plain {
    /// As JSON, in which [`repaired`] has the same form for NaN and infinities.
    fn into_json(self) -> serde_json::Value {
        match self {
            Self::Truth(truth) => truth.into(),
            Self::Whole(number) => number.into(),
            Self::Large(number) => number.into(),
            Self::Number(number) if number.is_nan() => "\0NaN".into(),
            Self::Number(f64::INFINITY) => "\0Infinity".into(),
            Self::Number(f64::NEG_INFINITY) => "\0-Infinity".into(),
            Self::Number(number) => number.into(),
            Self::Word(word) => word.into(),
            Self::List(all) => all.into_iter().map(Self::into_json).collect(),
            Self::Map(all) => {
                let all = all.into_iter().map(|(key, value)| (key, value.into_json()));
                serde_json::Value::Object(all.collect())
            }
            Self::Nothing => serde_json::Value::Null,
        }
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
        // Some programs say so that nothing is chosen.
        serde_json::Value::Object(map) if map.is_empty() && !key.is_empty() => {
            all.insert(key.to_string(), "{}".into());
        }
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
    fn numbers_that_are_not_finite_are_kept_in_every_format() {
        let expected = [
            ("a", "NaN"),
            ("b", "Infinity"),
            ("c.0.d", "-Infinity"),
            ("e", "18446744073709551615"),
            ("f", "[NaN,1,\"x\"]"),
            ("g", "0.5"),
            ("h", "true"),
        ];
        for (name, text) in [
            (
                "x.toml",
                "a = nan\nb = inf\nf = [nan, 1, \"x\"]\ng = 0.5\nh = true\n[[c]]\nd = -inf\n",
            ),
            (
                "x.json",
                "{\"a\":NaN,\"b\":Infinity,\"c\":[{\"d\":-Infinity}],\"e\":18446744073709551615,\
                 \"f\":[NaN,1,\"x\"],\"g\":0.5,\"h\":true}",
            ),
            (
                "x.yaml",
                "a: .nan\nb: .inf\nc:\n  - d: -.inf\ne: 18446744073709551615\nf: [.nan, 1, x]\n\
                 g: 0.5\nh: true\n",
            ),
        ] {
            let mut all = Settings::new();
            flatten("", &parse(name, text).expect("parses"), &mut all);
            // TOML has no such integers.
            let wanted = expected.iter().filter(|(key, _)| name != "x.toml" || *key != "e");
            let found = all.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            assert_eq!(found.collect::<Vec<_>>(), wanted.copied().collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn keys_of_yaml_need_not_be_words() {
        let mut all = Settings::new();
        flatten("", &parse("x.yaml", "1: 2\na: .inf\n").expect("parses"), &mut all);
        assert_eq!(all.get("1").map(String::as_str), Some("2"));
    }

    #[test]
    fn tags_of_yaml_are_no_keys_and_empty_maps_are_kept() {
        let told = |name, text| {
            let mut all = Settings::new();
            flatten("", &parse(name, text).expect("parses"), &mut all);
            all.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        let yaml = "betas: !!python/tuple [0.9, 0.999]\nlist: !!python/tuple\n- 1\n- .inf\n\
                    ns: !!python/object:argparse.Namespace\n  a: 1\nempty: {}\nnone: []\nnothing: ~\n\
                    mode: !Mode {deep: {}}\n";
        assert_eq!(
            told("hparams.yaml", yaml),
            [
                "betas=[0.9,0.999]",
                "empty={}",
                "list=[1,Infinity]",
                "mode.deep={}",
                "none=[]",
                "nothing=null",
                "ns.a=1"
            ]
        );
        assert_eq!(told("x.json", r#"{"a":{},"b":{"c":{}}}"#), ["a={}", "b.c={}"]);
        assert!(told("x.json", "{}").is_empty());
        assert_eq!(told("x.toml", "lr = 0.1\n[optimizer]\n"), ["lr=0.1", "optimizer={}"]);
    }

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

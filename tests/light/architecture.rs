//! Which crate may depend on which: `cargo metadata` against a table. `ARCHITECTURE.md` says why.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Tensors, and what turns text into their numbers, which `candle-core` brings along: half of the time
/// of a clean build.
const TENSORS: &[&str] = &["candle-", "tokenizers"];
/// Screens, keys and arguments; only the root package has them.
const TERMINAL: &[&str] = &["clap", "crossterm", "ratatui", "viuer"];

/// What a crate of ours may depend on.
struct Rule {
    name: &'static str,
    /// Our crates that it may name in its manifest.
    may_use: &'static [&'static str],
    /// Packages, by the beginning of their names, that must not be in its whole dependency tree.
    never: &'static [&'static [&'static str]],
}

/// From the bottom to the top: a crate uses only what stands above it in this table.
const RULES: &[Rule] = &[
    Rule { name: "base", may_use: &[], never: &[TENSORS, TERMINAL] },
    Rule { name: "machine", may_use: &["base"], never: &[TENSORS, TERMINAL] },
    Rule { name: "manifest", may_use: &["base"], never: &[TENSORS, TERMINAL] },
    Rule { name: "plot", may_use: &["base"], never: &[TENSORS, TERMINAL] },
    Rule { name: "art", may_use: &["base"], never: &[TENSORS, TERMINAL] },
    Rule { name: "kernels", may_use: &["base", "machine"], never: &[TERMINAL] },
    Rule {
        name: "rundir",
        may_use: &["base", "machine", "manifest", "art"],
        never: &[TENSORS, TERMINAL],
    },
    Rule {
        name: "model",
        may_use: &["base", "machine", "manifest", "art", "kernels"],
        never: &[TERMINAL],
    },
    Rule { name: "chat", may_use: &["base", "manifest", "art"], never: &[&["candle-"], TERMINAL] },
    Rule {
        name: "runs",
        may_use: &["base", "machine", "art", "rundir", "plot"],
        never: &[TENSORS, TERMINAL],
    },
    Rule { name: "store", may_use: &["base", "art", "chat"], never: &[&["candle-"], TERMINAL] },
    Rule { name: "fetch", may_use: &["base", "machine", "manifest", "model"], never: &[TERMINAL] },
    Rule {
        name: "engine",
        may_use: &["base", "machine", "manifest", "art", "kernels", "model", "chat", "fetch"],
        never: &[&["sled"], TERMINAL],
    },
    Rule {
        name: "train",
        may_use: &["base", "machine", "manifest", "art", "kernels", "rundir", "model", "chat"],
        never: &[&["sled"], TERMINAL],
    },
    Rule {
        name: "eval",
        may_use: &[
            "base", "machine", "manifest", "plot", "art", "rundir", "model", "chat", "runs",
            "engine", "train",
        ],
        never: &[TERMINAL],
    },
    Rule {
        name: "jobs",
        may_use: &["base", "machine", "manifest", "rundir", "runs"],
        never: &[TENSORS, TERMINAL],
    },
    Rule {
        name: "app",
        may_use: &[
            "base", "machine", "manifest", "plot", "art", "kernels", "rundir", "model", "chat",
            "runs", "store", "fetch", "engine", "train", "eval", "jobs",
        ],
        never: &[TERMINAL],
    },
];

/// Names of packages and of what each depends on to run.
struct Graph {
    ours: BTreeSet<String>,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host()])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("text").to_string();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let ours = list(&metadata["workspace_members"]);
        let ours = ours.iter().map(|id| names[&text(id)].clone()).collect();
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let of = uses.entry(names[&text(&node["id"])].clone()).or_default();
            for dependency in list(&node["deps"]) {
                // Neither for tests nor for build scripts.
                if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                    of.insert(names[&text(&dependency["pkg"])].clone());
                }
            }
        }
        Self { ours, uses }
    }

    /// How `from` comes to depend on a package whose name begins with `part`, if it does.
    fn way(&self, from: &str, part: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::from([from.to_string()]);
        let mut ways = vec![vec![from.to_string()]];
        while let Some(way) = ways.pop() {
            for next in &self.uses[&way[way.len() - 1]] {
                let longer = [&way[..], std::slice::from_ref(next)].concat();
                if next.starts_with(part) {
                    return Some(longer);
                }
                if seen.insert(next.clone()) {
                    ways.push(longer);
                }
            }
        }
        None
    }
}

/// The platform that the tests are built for.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_string()
}

fn package(name: &str) -> String {
    format!("artgpt-{name}")
}

#[test]
fn every_crate_has_a_rule() {
    let mut with_rule: BTreeSet<String> = RULES.iter().map(|rule| package(rule.name)).collect();
    with_rule.insert(package("tui"));
    assert_eq!(Graph::read().ours, with_rule);
}

#[test]
fn rules_allow_only_what_stands_above() {
    for (i, rule) in RULES.iter().enumerate() {
        for used in rule.may_use {
            assert!(RULES[..i].iter().any(|above| above.name == *used), "{}: {used}", rule.name);
        }
    }
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let graph = Graph::read();
    let mut wrong = Vec::new();
    for rule in RULES {
        let name = package(rule.name);
        let allowed: BTreeSet<String> = rule.may_use.iter().map(|used| package(used)).collect();
        let used = graph.uses.get(&name).unwrap_or_else(|| panic!("there is no crate {name}"));
        let more = used.intersection(&graph.ours).filter(|used| !allowed.contains(*used));
        wrong.extend(more.map(|used| format!("{name} -> {used}")));
        for part in rule.never.iter().flat_map(|parts| parts.iter()) {
            wrong.extend(graph.way(&name, part).map(|way| way.join(" -> ")));
        }
    }
    assert!(wrong.is_empty(), "forbidden dependencies:\n{}", wrong.join("\n"));
}

/// The table would forbid nothing if these names were not those of the packages.
#[test]
fn forbidden_packages_exist() {
    let graph = Graph::read();
    for part in [TENSORS, TERMINAL, &["sled"]].concat() {
        let known = graph.way(&package("tui"), part);
        assert!(known.is_some(), "nothing depends on {part}");
    }
}

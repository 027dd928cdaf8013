//! Comparison of fine-tuning methods on the same data, steps and seeds (the open question of the
//! paper's section 6).

mod plot;
mod report;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Extent, Row};
use artgpt_manifest::Method;
use artgpt_rundir::DataConfig;
use artgpt_rundir::{Stage, TrainConfig};

pub use plot::{PlotError, accuracy_plot, loss_plot};
pub use report::{csv, markdown};

/// `eval peft CONFIG.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// RNG seeds; each method trains once with each.
    pub seeds: Vec<u64>,
    /// Views of each held-out painting to evaluate; see `eval seeing`.
    #[serde(default = "one")]
    pub views: usize,
    /// See [`Extent::things`].
    #[serde(default = "two")]
    pub things: usize,
    /// The methods to compare.
    pub method: Vec<Method>,
    /// Factors on the learning rate of the language model, by kind of method, such as `full = 0.1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// A preparatory run; all others start from its weights. If they learn captions, it may learn from a
    /// museum, also from pictures that they hold out, the same for all methods.
    #[serde(default)]
    pub prepare: Option<TrainConfig>,
    /// The configuration of the runs; each replaces its method and seed.
    pub train: TrainConfig,
}

impl Comparison {
    /// The first problem of the settings, if there is one.
    pub fn problem(&self) -> Option<String> {
        if self.seeds.is_empty() || self.method.is_empty() {
            return Some("it needs a seed and a [[method]]".into());
        }
        let mut names: Vec<String> = self.trials().map(|t| t.name()).collect();
        names.sort();
        names.dedup();
        if names.len() < self.seeds.len() * self.method.len() {
            return Some("a method or a seed stands there twice".into());
        }
        if self.rates.values().any(|factor| !(*factor > 0.0 && factor.is_finite())) {
            return Some("[rates] has a factor that is not above 0".into());
        }
        let known = |kind: &String| self.method.iter().any(|m| m.kind() == kind);
        if let Some(kind) = self.rates.keys().find(|kind| !known(kind)) {
            return Some(format!("[rates] names {kind}, which is no kind of its methods"));
        }
        let museum = matches!(self.train.data, DataConfig::Museum(_));
        if museum && self.prepare.as_ref().is_some_and(|p| p.data != self.train.data) {
            return Some("[prepare] and [train] name different data".into());
        }
        if self.prepare.is_some() && self.train.init.is_some() {
            return Some("either [prepare] or train.init says where the runs start".into());
        }
        None
    }

    /// The preparatory run with the comparison's split, so that it does not train on held-out paintings.
    pub fn preparation(&self) -> Option<TrainConfig> {
        self.prepare.clone().map(|prepare| TrainConfig {
            split_seed: Some(self.split_seed()),
            held_out: self.train.held_out,
            ..prepare
        })
    }

    /// All runs, seed by seed, so that an interrupted comparison has complete seeds.
    pub fn trials(&self) -> impl Iterator<Item = Trial> + '_ {
        let methods = || self.method.iter();
        self.seeds
            .iter()
            .flat_map(move |seed| methods().map(|m| Trial { method: m.clone(), seed: *seed }))
    }

    /// The configuration of one run; all share the comparison's split.
    pub fn config_of(&self, trial: &Trial) -> TrainConfig {
        let factor = self.rates.get(trial.method.kind()).copied().unwrap_or(1.0);
        let stage = self.train.stage.iter().map(|stage| Stage {
            lr: stage.lr * factor,
            min_lr: stage.min_lr * factor,
            warmup_lr: stage.warmup_lr * factor,
            // What is common to all methods learns at the same rate under each.
            bridge_lr_scale: stage.bridge_lr_scale / factor,
            ..stage.clone()
        });
        TrainConfig {
            method: trial.method.clone(),
            seed: trial.seed,
            // Sample answers must not count as training time.
            samples: 0,
            split_seed: Some(self.split_seed()),
            stage: stage.collect(),
            ..self.train.clone()
        }
    }

    /// The evaluation after a run: the questions of its last stage, without controls.
    pub fn extent(&self) -> Extent {
        let only = self.train.stage.last().map_or_else(Vec::new, |s| s.only.clone());
        let things = if only.is_empty() { self.things } else { 0 };
        Extent { only, views: self.views, things, trained_wording: false, controls: false }
    }

    /// RNG seed of the held-out split, common to all runs.
    pub fn split_seed(&self) -> u64 {
        self.train.split_drawn_by()
    }
}

/// One method and one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The method.
    pub method: Method,
    /// The RNG seed.
    pub seed: u64,
}

impl Trial {
    /// The name of the run's folder.
    pub fn name(&self) -> String {
        let size = match &self.method {
            Method::Lora { rank, alpha, targets } => {
                let names: Vec<&str> =
                    targets.iter().map(|t| t.name().trim_end_matches("_proj")).collect();
                format!("-{rank}-alpha{alpha}-{}", names.join("-"))
            }
            Method::Prefix { tokens } => format!("-{tokens}"),
            Method::Adapter { zero_up: false } => "-random-up".into(),
            _ => String::new(),
        };
        format!("{}{size}-seed{}", self.method.kind(), self.seed)
    }
}

/// The results of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Method and seed.
    pub trial: Trial,
    /// Trainable parameters, including the bridge's.
    pub trainable: u64,
    /// Trainable parameters in the language model.
    pub in_language_model: u64,
    /// Mean training loss of the last tenth of the steps.
    pub train_loss: f64,
    /// Loss of the last validation.
    pub held_out_loss: Option<f64>,
    /// Training time.
    pub seconds: f64,
    /// Peak resident memory of the process, bytes.
    pub peak_memory: Option<u64>,
    /// Size of the run's weights, bytes.
    pub weights_bytes: u64,
    /// The highest learning rate of the last stage.
    #[serde(default)]
    pub lr: f64,
    /// Step and training loss.
    pub curve: Vec<(usize, f64)>,
    /// Accuracies by question type; empty for captions.
    pub rows: Vec<Row>,
}

impl Measured {
    /// Mean over question types, in percent.
    pub fn accuracy(&self) -> Option<f64> {
        (!self.rows.is_empty()).then(|| mean(self.rows.iter().map(|r| r.right_picture)))
    }
}

/// The mean; NaN of no values.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    sum / count
}

/// Mean, and half the width of its 95 % interval by Student's t over seeds; `None` for one seed.
fn over_seeds(values: &[f64]) -> (f64, Option<f64>) {
    // Two-sided 97.5 % quantiles for 1 to 9 degrees of freedom.
    const T: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    let n = values.len();
    let average = mean(values.iter().copied());
    if n < 2 {
        return (average, None);
    }
    let variance = values.iter().map(|v| (v - average).powi(2)).sum::<f64>() / (n - 1) as f64;
    // Beyond the table the quantile is this to two hundredths.
    let t = T.get(n - 2).copied().unwrap_or(1.96 + 2.5 / (n - 1) as f64);
    (average, Some(t * (variance / n as f64).sqrt()))
}

/// The results of each method, in the order of the comparison.
fn by_method(all: &[Measured]) -> Vec<(&Method, Vec<&Measured>)> {
    let mut groups: Vec<(&Method, Vec<&Measured>)> = Vec::new();
    for one in all {
        match groups.iter_mut().find(|(method, _)| **method == one.trial.method) {
            Some((_, group)) => group.push(one),
            None => groups.push((&one.trial.method, vec![one])),
        }
    }
    groups
}

fn one() -> usize {
    1
}
fn two() -> usize {
    2
}

#[cfg(test)]
mod tests {
    use super::*;
    use artgpt_art::Question;

    #[test]
    fn the_interval_over_seeds_is_students() {
        // Mean 2, standard deviation 1, standard error 1 / sqrt(3), t 4.303.
        let (average, half) = over_seeds(&[1.0, 2.0, 3.0]);
        assert_eq!(average, 2.0);
        assert!((half.expect("has one") - 4.303 / 3f64.sqrt()).abs() < 1e-9);
        assert_eq!(over_seeds(&[5.0]), (5.0, None));
    }

    #[test]
    fn the_examples_are_comparisons() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/peft");
        let files: Vec<_> = std::fs::read_dir(folder).expect("reads").flatten().collect();
        assert!(files.len() >= 3);
        for file in files {
            let text = std::fs::read_to_string(file.path()).expect("reads");
            let comparison: Comparison = toml::from_str(&text).expect("parses");
            assert_eq!(comparison.problem(), None);
            for trial in comparison.trials() {
                comparison.config_of(&trial).check().expect("is sound");
            }
            let (extent, last) = (comparison.extent(), comparison.train.stage.last());
            assert_eq!(extent.only, last.expect("a stage").only);
            let classifies = file.file_name() == "classification.toml";
            assert_eq!(extent.only == [Question::LightKey], classifies);
        }
    }

    #[test]
    fn runs_share_the_split_and_differ_in_method_and_seed() {
        let text = "seeds = [1, 2]\nrates = { lora = 0.5 }\n[[method]]\nkind = \"bitfit\"\n[[method]]\nkind = \"lora\"\nrank = 2\n\
            [train]\nmodel = \"m\"\ndata = \"d\"\nseed = 7\n\
            [[train.stage]]\nkind = \"answer\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";
        let comparison: Comparison = toml::from_str(text).expect("parses");
        assert_eq!(comparison.problem(), None);
        let names: Vec<String> = comparison.trials().map(|t| t.name()).collect();
        let lora = "lora-2-alpha16-q-v";
        let expected = ["bitfit", lora].map(|m| [format!("{m}-seed1"), format!("{m}-seed2")]);
        assert_eq!(names, [0, 1].map(|seed| expected.each_ref().map(|m| m[seed].clone())).concat());
        let last = comparison.trials().last().expect("has some");
        let config = comparison.config_of(&last);
        assert_eq!((config.seed, config.split_seed, config.stage[0].lr), (2, Some(7), 0.05));
        let first = comparison.trials().next().expect("has some");
        assert_eq!(comparison.config_of(&first).stage[0].lr, 0.1);
        let rates = BTreeMap::from([("full".to_string(), 0.1)]);
        assert!(Comparison { rates, ..comparison.clone() }.problem().is_some());
        let twice = Comparison { seeds: vec![1, 1], ..comparison };
        assert!(twice.problem().is_some());
    }
}

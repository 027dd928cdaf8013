//! Lists the parts of a model and checks that its files hold all tensors, without loading them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::Device;
use serde::Serialize;

use super::bridge::Bridge;
use super::checkpoint::audit::{DryRun, Fit, Recorder, Requested, Stored, grouped};
use super::checkpoint::{Extras, LanguageFile, Tensors, read_llama};
use super::detector::Detector;
use super::llama::LlamaConfig;
use super::manifest::Model;
use super::source::{RenamedTensors, VisionSource, bridge_source, tuning_source};
use super::{Error, Result};
use artgpt_kernels::mode::Fused;
use artgpt_manifest::{Method, Target};

/// The name of the part that is not of the network.
pub(crate) const DETECTOR: &str = "detector";

/// One part of a model and its file.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// For people: `language model`.
    pub name: &'static str,
    /// Its file or folder.
    pub path: PathBuf,
    /// Number of values.
    pub parameters: u64,
    /// Bytes of these tensors in the file.
    pub bytes: u64,
    /// Number of tensors by type.
    pub dtypes: BTreeMap<String, usize>,
    /// Missing keys; those of all layers are one entry.
    pub missing: Vec<String>,
    /// Keys with a wrong shape, with both shapes.
    pub misshaped: Vec<String>,
}

/// What `models show` prints about weights.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The parts of the network.
    pub parts: Vec<Part>,
    /// Keys that no part requests, by file; those of all layers are one entry.
    pub unused: BTreeMap<String, Vec<String>>,
    /// Trainable parameters of each method; see [`Method`].
    pub trainable: BTreeMap<String, u64>,
    /// Estimated memory for inference in bytes.
    pub memory_to_chat: u64,
    /// Estimated memory for training adapters in bytes.
    pub memory_to_train_adapters: u64,
}

impl Inspection {
    /// Parameters of all parts.
    pub fn parameters(&self) -> u64 {
        self.parts.iter().map(|p| p.parameters).sum()
    }

    /// The first key that is missing or has a wrong shape, and its file.
    pub fn first_problem(&self) -> Option<(&Path, String)> {
        self.parts.iter().find_map(|part| {
            let missing = part.missing.iter().map(|key| format!("the key {key} is missing"));
            let problem = missing.chain(part.misshaped.iter().cloned()).next()?;
            Some((part.path.as_path(), problem))
        })
    }
}

/// The keys in all files, and the keys that all parts request.
#[derive(Default)]
struct Files {
    names: BTreeMap<PathBuf, BTreeSet<String>>,
    requested: BTreeSet<String>,
    /// From our names of tensors to those of the file, where they differ.
    shown: BTreeMap<String, String>,
}

impl Files {
    fn hold(&mut self, files: Vec<(PathBuf, Vec<String>)>) {
        for (path, names) in files {
            self.names.entry(path).or_default().extend(names);
        }
    }

    /// Adds the files of `tensors`, and what each file calls its tensors.
    fn hold_tensors(&mut self, tensors: &Tensors) {
        self.hold(tensors.names_by_file());
        self.shown.extend(tensors.names_in_files());
    }

    fn unused(self) -> BTreeMap<String, Vec<String>> {
        let (requested, shown) = (&self.requested, &self.shown);
        self.names
            .into_iter()
            .filter_map(|(path, names)| {
                let unused = names.difference(requested);
                let unused = grouped(unused.map(|n| shown.get(n).unwrap_or(n).as_str()));
                (!unused.is_empty()).then(|| (path.display().to_string(), unused))
            })
            .collect()
    }
}

/// Inspects a model: reads headers and configurations only. The memory estimates are those of `device`.
///
/// # Errors
/// A file cannot be read, or its header or configuration is damaged or not supported. Missing and
/// misshaped tensors are no error; they are in the result.
pub fn inspect(model: &Model, device: &Device) -> Result<Inspection> {
    let mut inspector = Inspector::default();
    inspector.vision(model)?;
    let config = inspector.language(model)?;
    let projection = match &config {
        Some(config) => inspector.bridge(model, config)?,
        None => 0,
    };
    inspector.detector(model)?;
    let mut inspection = Inspection {
        parts: inspector.parts,
        unused: inspector.files.unused(),
        trainable: BTreeMap::new(),
        memory_to_chat: 0,
        memory_to_train_adapters: 0,
    };
    if let Some(config) = &config {
        inspection.estimate(config, projection, device);
    }
    Ok(inspection)
}

/// Collects the parts of a model and the keys of its files.
#[derive(Default)]
struct Inspector {
    parts: Vec<Part>,
    files: Files,
}

impl Inspector {
    fn add(
        &mut self,
        name: &'static str,
        path: PathBuf,
        requested: &Requested,
        stored: &BTreeMap<String, Stored>,
    ) {
        self.files.requested.extend(requested.keys().cloned());
        self.parts.push(part(name, path, Fit::of(requested, stored)));
    }

    fn vision(&mut self, model: &Model) -> Result<()> {
        let Some(source) = VisionSource::of(model)? else { return Ok(()) };
        let files = source.files();
        let mut stored = BTreeMap::new();
        for named in files.iter().rev() {
            stored.extend(named.tensors.stored());
        }
        let recorder = Recorder::new(&stored);
        source.load(|named| record(&recorder, named))?;
        for named in &files {
            self.files.hold_tensors(&named.tensors);
        }
        if let Some(own) = files.first() {
            let path = own.tensors.path.clone();
            self.add("vision encoder", path, &recorder.requested(), &stored);
        }
        Ok(())
    }

    /// The detector, whose file holds numbers without names.
    fn detector(&mut self, model: &Model) -> Result<()> {
        if let Some((path, parameters)) = Detector::examine(model)? {
            self.parts.push(Part {
                name: DETECTOR,
                path,
                parameters,
                bytes: 4 * parameters,
                dtypes: BTreeMap::new(),
                missing: Vec::new(),
                misshaped: Vec::new(),
            });
        }
        Ok(())
    }

    /// The language model and its adapters.
    fn language(&mut self, model: &Model) -> Result<Option<LlamaConfig>> {
        let Some(path) = model.language_path() else { return Ok(None) };
        let mut file = LanguageFile::open(&path)?;
        let stored = file.weights().stored();
        let recorder = Recorder::new(&stored);
        let config = file.weights().config()?;
        let tuning = tuning_source(model)?;
        let trained = tuning.as_ref().map(|(tensors, _)| tensors.stored()).unwrap_or_default();
        let trained = Recorder::new(&trained);
        let extras = Extras {
            weights: tuning.as_ref().map(|_| trained.builder(str::to_string)),
            method: tuning.as_ref().map_or(Method::Projection {}, |(_, method)| method.clone()),
            train: None,
        };
        let mut dry_run = DryRun { inner: file.weights(), recorder: recorder.clone() };
        read_llama::<Fused>(&mut dry_run, &extras, &Device::Cpu, |_, _| {})?;
        self.files.hold(match &file {
            LanguageFile::HuggingFace(folder) => folder.names_by_file(),
            LanguageFile::Gguf(file) => file.names_by_file(),
        });
        // The configuration holds its values.
        self.files.requested.insert("rope_freqs.weight".into());
        self.add("language model", path, &recorder.requested(), &stored);
        if let Some((tensors, _)) = tuning {
            let mut requested = trained.requested();
            // Loading takes trained norms from this file, too.
            requested.extend(replaced(&tensors, &config));
            self.files.hold_tensors(&tensors);
            self.add("adapters", tensors.path.clone(), &requested, &tensors.stored());
        }
        Ok(Some(config))
    }

    /// The Q-Former and the projection; returns the projection's parameters.
    fn bridge(&mut self, model: &Model, config: &LlamaConfig) -> Result<u64> {
        let Some(part) = &model.manifest.qformer else { return Ok(0) };
        let named = bridge_source(model, part)?;
        let recorder = Recorder::new(&named.tensors.stored());
        Bridge::load(&part.config, config.hidden_size, record(&recorder, &named))
            .map_err(|e| Error::in_part(&model.path(&part.path), e))?;
        self.files.hold_tensors(&named.tensors);
        let (path, stored) = (named.tensors.path.clone(), named.tensors.stored());
        self.add("Q-Former and projection", path, &recorder.requested(), &stored);
        Ok(((part.config.hidden_size + 1) * config.hidden_size) as u64)
    }
}

impl Inspection {
    /// Fills in trainable parameters and memory; `projection` is the projection's parameters.
    fn estimate(&mut self, config: &LlamaConfig, projection: u64, device: &Device) {
        let trainable = &mut self.trainable;
        for method in Method::all() {
            trainable.insert(method.describe(), config.trainable_parameters(&method));
        }
        let paper = projection
            + config.trainable_parameters(&Method::default())
            + config.trainable_parameters(&Method::Norms {});
        trainable.insert("adapters, norms and projection (the paper)".into(), paper);
        trainable.remove(Method::Projection {}.kind());
        trainable.insert("projection (MiniGPT-4)".into(), projection);
        let network = self.parts.iter().filter(|part| part.name != DETECTOR);
        let parameters = network.map(|part| part.parameters).sum();
        self.trainable.insert("full".into(), parameters);
        let weights: u64 = self.parts.iter().map(|part| resident(part, device)).sum();
        let cached = [
            config.num_hidden_layers,
            config.num_key_value_heads,
            config.head_dim,
            config.context_length,
        ];
        let key_values = cached.iter().fold(8u64, |n, size| n.saturating_mul(*size as u64));
        self.memory_to_chat = weights.saturating_add(key_values);
        // Frozen matrices in f32; weight, gradient and two moments of what trains.
        self.memory_to_train_adapters = 4 * parameters + 16 * paper;
    }
}

/// Bytes in memory for inference: matrices in their stored types, vision on a GPU in 16 bits, Q-Former
/// and trained parts in f32.
fn resident(part: &Part, device: &Device) -> u64 {
    match part.name {
        "vision encoder" if !device.is_cpu() => 2 * part.parameters,
        "language model" | "vision encoder" | DETECTOR => part.bytes,
        _ => 4 * part.parameters,
    }
}

/// A builder that records the requests of modules under the file's names.
fn record(recorder: &Recorder, named: &RenamedTensors) -> candle_nn::VarBuilder<'static> {
    let rename = named.rename.clone();
    recorder.builder(move |name| rename(name))
}

/// Norms and matrices in the adapters' file that replace those of the language model.
fn replaced(tensors: &Tensors, config: &LlamaConfig) -> Requested {
    let names: BTreeSet<&str> = tensors.names().collect();
    let hidden = config.hidden_size;
    let table = vec![config.vocab_size, hidden];
    let whole = [("norm", vec![hidden]), ("embed_tokens", table.clone()), ("lm_head", table)];
    let whole = whole.into_iter().map(|(name, shape)| (name.to_string(), shape));
    let in_blocks = (0..config.num_hidden_layers).flat_map(|i| {
        let norms = ["input_layernorm", "post_attention_layernorm"];
        let norms = norms.map(|norm| (format!("layers.{i}.{norm}"), vec![hidden]));
        let matrices = Target::ALL.into_iter().flat_map(move |target| {
            let (out, width) = config.dims(target);
            let path = target.path();
            [path.clone(), path.replace("self_attn.", "self_attn.0.")]
                .map(|path| (format!("layers.{i}.{path}"), vec![out, width]))
        });
        norms.into_iter().chain(matrices)
    });
    whole
        .chain(in_blocks)
        .map(|(name, shape)| (format!("llama_model.model.{name}.weight"), shape))
        .filter(|(name, _)| names.contains(name.as_str()))
        .collect()
}

fn part(name: &'static str, path: PathBuf, fit: Fit) -> Part {
    let misshaped = fit
        .misshaped
        .iter()
        .map(|(name, found, expected)| format!("{name}: {found:?} instead of {expected:?}"))
        .collect();
    Part {
        name,
        path,
        parameters: fit.parameters,
        bytes: fit.bytes,
        dtypes: fit.dtypes,
        missing: grouped(fit.missing.iter().map(String::as_str)),
        misshaped,
    }
}

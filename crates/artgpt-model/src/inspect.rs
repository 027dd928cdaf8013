//! What a model is made of, and whether its files hold it, without loading them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::Device;
use serde::Serialize;

use super::Result;
use super::bridge::Bridge;
use super::checkpoint::audit::{Asked, Fit, Recorder, Stored, Unread, grouped};
use super::checkpoint::{Extras, LanguageFile, Tensors, read_llama};
use super::llama::LlamaConfig;
use super::manifest::Model;
use super::source::{Named, VisionSource, bridge_source, tuning_source};
use artgpt_kernels::mode::Fused;
use artgpt_manifest::{Method, Target};

/// One part of the network and its file.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    pub name: &'static str,
    pub path: PathBuf,
    pub parameters: u64,
    /// Bytes of these tensors in the file.
    pub bytes: u64,
    /// Tensors of each type.
    pub dtypes: BTreeMap<String, usize>,
    /// Layers folded into one line.
    pub missing: Vec<String>,
    pub misshaped: Vec<String>,
}

/// Everything that `models show` says of weights.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    pub parts: Vec<Part>,
    /// Keys that no part asks for, by file; layers folded.
    pub unused: BTreeMap<String, Vec<String>>,
    /// Parameters that train under each method; see [`Method`].
    pub trainable: BTreeMap<String, u64>,
    /// Estimates, bytes.
    pub memory_to_chat: u64,
    pub memory_to_train_adapters: u64,
}

impl Inspection {
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

/// What the files hold, and what all parts together ask for.
#[derive(Default)]
struct Files {
    names: BTreeMap<PathBuf, BTreeSet<String>>,
    asked: BTreeSet<String>,
}

impl Files {
    fn hold(&mut self, files: Vec<(PathBuf, Vec<String>)>) {
        for (path, names) in files {
            self.names.entry(path).or_default().extend(names);
        }
    }

    fn unused(self) -> BTreeMap<String, Vec<String>> {
        let asked = &self.asked;
        self.names
            .into_iter()
            .filter_map(|(path, names)| {
                let unused = grouped(names.difference(asked).map(String::as_str));
                (!unused.is_empty()).then(|| (path.display().to_string(), unused))
            })
            .collect()
    }
}

/// Reads headers and configurations only; memory is that of `device`.
pub fn inspect(model: &Model, device: &Device) -> Result<Inspection> {
    let mut parts = Vec::new();
    let mut files = Files::default();
    let mut add =
        |files: &mut Files, name, path: PathBuf, asked: Asked, stored: BTreeMap<String, Stored>| {
            let fit = Fit::of(&asked, &stored);
            files.asked.extend(asked.keys().cloned());
            parts.push(part(name, path, fit));
        };
    if let Some(source) = VisionSource::of(model)? {
        let recorder = Recorder::default();
        source.load(|named| record(&recorder, named))?;
        let mut stored = BTreeMap::new();
        for named in source.files().into_iter().rev() {
            stored.extend(named.tensors.stored());
        }
        let path = source.files()[0].tensors.path.clone();
        source.files().iter().for_each(|named| files.hold(named.tensors.names_by_file()));
        add(&mut files, "vision encoder", path, recorder.asked(), stored);
    }
    let mut language_config = None;
    if let Some(path) = model.language_path() {
        let mut file = LanguageFile::open(&path)?;
        let recorder = Recorder::default();
        let stored = file.weights().stored();
        language_config = Some(file.weights().config()?);
        let trained = Recorder::default();
        let tuning = tuning_source(model)?;
        let extras = Extras {
            weights: tuning.as_ref().map(|_| trained.builder(str::to_string)),
            method: tuning.as_ref().map_or(Method::Projection {}, |(_, method)| method.clone()),
            train: None,
        };
        let mut unread = Unread { inner: file.weights(), recorder: recorder.clone() };
        read_llama::<Fused>(&mut unread, &extras, &Device::Cpu, |_, _| {})?;
        files.hold(match &file {
            LanguageFile::HuggingFace(folder) => folder.names_by_file(),
            LanguageFile::Gguf(_) => vec![(path.clone(), stored.keys().cloned().collect())],
        });
        add(&mut files, "language model", path, recorder.asked(), stored);
        if let Some((tensors, _)) = tuning {
            let mut asked = trained.asked();
            // Norms that were trained are read from here, too.
            asked.extend(replaced(&tensors, language_config.as_ref()));
            files.hold(tensors.names_by_file());
            add(&mut files, "adapters", tensors.path.clone(), asked, tensors.stored());
        }
    }
    let mut projection = 0;
    if let (Some(part), Some(config)) = (&model.manifest.qformer, &language_config) {
        let named = bridge_source(model, part)?;
        let recorder = Recorder::default();
        let builder = record(&recorder, &named);
        Bridge::load(&part.config, config.hidden_size, builder)?;
        let asked = recorder.asked();
        projection = ((part.config.hidden_size + 1) * config.hidden_size) as u64;
        files.hold(named.tensors.names_by_file());
        let (path, stored) = (named.tensors.path.clone(), named.tensors.stored());
        add(&mut files, "Q-Former and projection", path, asked, stored);
    }
    let mut trainable = BTreeMap::new();
    let mut inspection = Inspection {
        parts,
        unused: files.unused(),
        trainable: BTreeMap::new(),
        memory_to_chat: 0,
        memory_to_train_adapters: 0,
    };
    if let Some(config) = &language_config {
        for method in Method::all() {
            trainable.insert(method.describe(), config.trainable_parameters(&method));
        }
        let paper = projection
            + config.trainable_parameters(&Method::default())
            + config.trainable_parameters(&Method::Norms {});
        trainable.insert("adapters, norms and projection (the paper)".into(), paper);
        trainable.remove(Method::Projection {}.kind());
        trainable.insert("projection (MiniGPT-4)".into(), projection);
        trainable.insert("full".into(), inspection.parameters());
        let weights: u64 = inspection.parts.iter().map(|part| resident(part, device)).sum();
        let key_values = 2
            * 4
            * config.num_hidden_layers as u64
            * (config.num_key_value_heads * config.head_dim * config.context_length) as u64;
        inspection.memory_to_chat = weights + key_values;
        // Frozen matrices in f32; weight, gradient and two moments of what trains.
        inspection.memory_to_train_adapters = 4 * inspection.parameters() + 16 * paper;
    }
    inspection.trainable = trainable;
    Ok(inspection)
}

/// Bytes in memory when the part runs: matrices as they are stored, on a GPU vision in 16 bits, the
/// Q-Former and what trained in f32.
fn resident(part: &Part, device: &Device) -> u64 {
    match part.name {
        "vision encoder" if !device.is_cpu() => 2 * part.parameters,
        "language model" | "vision encoder" => part.bytes,
        _ => 4 * part.parameters,
    }
}

fn record(recorder: &Recorder, named: &Named) -> candle_nn::VarBuilder<'static> {
    let rename = named.rename.clone();
    recorder.builder(move |name| rename(name))
}

/// Norms and matrices in the adapters' file that take the place of the language model's.
fn replaced(tensors: &Tensors, config: Option<&LlamaConfig>) -> Asked {
    let Some(config) = config else { return Asked::new() };
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

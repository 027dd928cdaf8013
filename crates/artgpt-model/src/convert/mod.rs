//! `models convert`: any layout to ours, safetensors and a manifest, with the language model
//! quantised to a GGUF file if that is wished.
//!
//! Everything is written into a folder beside the target, which gets its name at the end: a target
//! that is there is whole. What an earlier, interrupted run left is begun anew.

use crate::rows::interleave;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};

use super::checkpoint::hf::HfConfig;
use super::checkpoint::{
    EOS_IDS, LanguageFile, LanguageWeights, Tensors, gguf_name, replaces_base,
};
use super::inspect::inspect;
use super::llama::{LlamaConfig, RopeScaling};
use super::manifest::{Model, PeftMethod, check_name};
use super::peft::merge::{Delta, Merged};
use super::peft::package;
use super::source::tuning_source;
use super::{Error, Result};
use artgpt_kernels::mode::RopeLayout;
use artgpt_manifest::Manifest;
use artgpt_manifest::{Method, Target};

/// What the language model's matrices become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanguageType {
    /// As they are.
    Keep,
    Q8_0,
    /// Matrices whose width is no multiple of 256 become Q8_0.
    Q4K,
}

/// What the other parts' tensors become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    Keep,
    F16,
    /// In a GGUF file: matrices whose width the blocks divide; the others keep their type.
    Q8_0,
    /// Matrices whose width is no multiple of 256 become Q8_0.
    Q4K,
}

impl FloatType {
    fn quantised(self) -> Option<GgmlDType> {
        match self {
            Self::Keep | Self::F16 => None,
            Self::Q8_0 => Some(GgmlDType::Q8_0),
            Self::Q4K => Some(GgmlDType::Q4K),
        }
    }

    /// How the names of its files end.
    fn extension(self) -> &'static str {
        if self.quantised().is_some() { ".gguf" } else { ".safetensors" }
    }
}

/// The tokens that begin and end a text.
pub type Ends = (Option<u32>, Vec<u32>);

/// Files of a Hugging Face folder that stay beside its weights.
const KEPT: &[&str] = &[
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

/// What to do with a LoRA on the way.
pub enum Fold {
    /// It stays beside the matrices.
    No,
    /// The model's own goes into its matrices.
    Own,
    /// This one is added to the matrices, or taken from them.
    Other(Delta),
}

/// Writes `model` to `target`, which must not be there. `tokenizer` writes the language model's
/// `tokenizer.json` and says which tokens begin and end a text.
pub fn convert(
    model: &Model,
    target: &Path,
    language: LanguageType,
    float: FloatType,
    fold: Fold,
    tokenizer: &dyn Fn(&Path) -> std::io::Result<Ends>,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    if target.exists() {
        return Err(Error::Unsupported {
            path: target.display().to_string(),
            what: "a target that is there already".into(),
            hint: "name another, or remove it first".into(),
        });
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    check_name(&name, target)?;
    if let Some((path, problem)) = inspect(model, &Device::Cpu)?.first_problem() {
        return Err(Error::corrupt(path, problem));
    }
    let own = matches!(fold, Fold::Own);
    let delta = match fold {
        Fold::No => None,
        Fold::Own => Some(Delta::of(model)?),
        Fold::Other(delta) => Some(delta),
    };
    let changes = match (&delta, model.language_path()) {
        (Some(delta), Some(path)) => {
            if tuning_source(model)?.is_some_and(|(t, _)| t.names().any(replaces_base)) {
                return Err(Error::Unsupported {
                    path: model.dir.display().to_string(),
                    what: "a LoRA for matrices that training replaced".into(),
                    hint: "convert the model without --merge first".into(),
                });
            }
            let names = delta.stored_names(LanguageFile::open(&path)?.weights())?;
            Some(Changes { delta, names, made: Mutex::default() })
        }
        _ => None,
    };
    let staging = target.with_file_name(format!(".{name}.partial"));
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Io { path, source }
    };
    if staging.exists() {
        std::fs::remove_dir_all(&staging).map_err(io(&staging))?;
    }
    std::fs::create_dir_all(&staging).map_err(io(&staging))?;
    let mut writer = Writer {
        model,
        dir: staging.clone(),
        float,
        language_leaves: language != LanguageType::Keep,
        changes,
        drops_lora: own,
        done: BTreeMap::new(),
    };
    let mut manifest = Manifest { name, source: Vec::new(), ..model.manifest.clone() };
    if let Some(part) = &mut manifest.vision {
        progress("vision encoder");
        part.path = writer.part(&part.path)?;
    }
    if let Some(part) = &mut manifest.qformer {
        progress("Q-Former");
        part.path = writer.part(&part.path)?;
    }
    if let Some(part) = &mut manifest.projection {
        part.path = writer.part(&part.path)?;
    }
    if own {
        // Norms that were trained with it stay.
        let norms = tuning_source(model)?
            .is_some_and(|(t, _)| t.names().any(|n| n.ends_with("layernorm.weight")));
        manifest.adapters = manifest.adapters.filter(|_| norms);
        if let Some(part) = &mut manifest.adapters {
            (part.method, part.alpha) = (PeftMethod::Norms, None);
        }
    }
    if let Some(part) = &mut manifest.adapters {
        progress("adapters");
        if let (false, Some((_, Method::Lora { alpha, .. }))) = (own, tuning_source(model)?) {
            part.alpha = Some(alpha); // only a folder of `peft` says it otherwise
        }
        part.path = writer.part(&part.path)?;
    }
    if let (Some(part), Some(path)) = (&mut manifest.language, model.language_path()) {
        progress("language model");
        let mut file = LanguageFile::open(&path)?;
        part.requantise = None;
        match (language, &file) {
            (LanguageType::Keep, LanguageFile::Gguf(_)) if delta.is_none() => {
                part.path = "language.gguf".into();
                let to = staging.join(&part.path);
                std::fs::copy(&path, &to).map_err(io(&to))?;
                File::open(&to).and_then(|f| f.sync_all()).map_err(io(&to))?;
                if let Some(name) = &part.tokenizer {
                    let to = staging.join("tokenizer.json");
                    std::fs::copy(model.path(name), &to).map_err(io(&to))?;
                    part.tokenizer = Some("tokenizer.json".into());
                }
            }
            (LanguageType::Keep, LanguageFile::HuggingFace(_)) => {
                part.path = writer.language(&part.path)?;
                if let Some(name) = &part.tokenizer {
                    let named = model.path(name);
                    let to = staging.join(named.file_name().unwrap_or_default());
                    std::fs::copy(&named, &to).map_err(io(&to))?;
                    part.tokenizer = Some(relative(&staging, &to));
                }
                if let Some(name) = writer.changes.as_ref().and_then(Changes::missed) {
                    return Err(Error::corrupt(&path, format!("the LoRA did not reach {name}")));
                }
            }
            (LanguageType::Q8_0 | LanguageType::Q4K, _) | (_, LanguageFile::Gguf(_)) => {
                part.path = "language.gguf".into();
                let json = staging.join("tokenizer.json");
                let (bos, eos) = tokenizer(&json).map_err(io(&json))?;
                part.tokenizer = Some("tokenizer.json".into());
                let dtype = match language {
                    LanguageType::Q4K => GgmlDType::Q4K,
                    LanguageType::Q8_0 => GgmlDType::Q8_0,
                    // A sum of two matrices has no blocks to keep.
                    LanguageType::Keep => GgmlDType::F16,
                };
                let to = staging.join(&part.path);
                match &delta {
                    Some(delta) => {
                        let mut merged = Merged { inner: file.weights(), delta };
                        write_gguf(&mut merged, dtype, (bos, &eos), &to)?;
                    }
                    None => write_gguf(file.weights(), dtype, (bos, &eos), &to)?,
                }
            }
        }
    }
    let text = toml::to_string(&manifest).map_err(|e| Error::corrupt(&staging, e))?;
    let path = staging.join("manifest.toml");
    std::fs::write(&path, text).map_err(io(&path))?;
    File::open(&path).and_then(|f| f.sync_all()).map_err(io(&path))?;
    // What was written is read as it will be, before it gets its name.
    let written = Model::find(&staging.display().to_string(), &staging)?;
    if let Some((path, problem)) = inspect(&written, &Device::Cpu)?.first_problem() {
        return Err(Error::corrupt(path, problem));
    }
    std::fs::rename(&staging, target).map_err(io(target))?;
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent).and_then(|f| f.sync_all()).map_err(io(parent))
}

fn relative(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

/// Writes each source file or folder once.
struct Writer<'a> {
    model: &'a Model,
    dir: PathBuf,
    float: FloatType,
    /// The language model gets a file of its own.
    language_leaves: bool,
    changes: Option<Changes<'a>>,
    /// A LoRA that is merged is not written again.
    drops_lora: bool,
    /// Source path in the manifest, and the path it got.
    done: BTreeMap<String, String>,
}

/// What changes matrices of the language model as they are written.
struct Changes<'a> {
    delta: &'a Delta,
    /// Which, by the names of their file.
    names: BTreeMap<String, String>,
    made: Mutex<BTreeSet<String>>,
}

impl Changes<'_> {
    /// One that was not made.
    fn missed(&self) -> Option<&str> {
        let made = self.made.lock().unwrap_or_else(|e| e.into_inner());
        self.names.keys().find(|name| !made.contains(*name)).map(String::as_str)
    }

    /// The tensor as it is to be written.
    fn apply(&self, name: &str, tensor: Tensor) -> Result<Tensor> {
        let ours = self.names.get(name);
        let Some(change) = ours.map(|n| self.delta.of_matrix(n)).transpose()?.flatten() else {
            return Ok(tensor);
        };
        self.made.lock().unwrap_or_else(|e| e.into_inner()).insert(name.into());
        let dtype = tensor.dtype();
        Ok((tensor.to_dtype(DType::F32)? + change)?.to_dtype(dtype)?)
    }
}

impl Writer<'_> {
    fn read(&self, tensors: &Tensors, name: &str) -> Result<Tensor> {
        let tensor = tensors.read(name)?;
        match &self.changes {
            Some(changes) => changes.apply(name, tensor),
            None => Ok(tensor),
        }
    }

    fn part(&mut self, source: &str) -> Result<String> {
        if let Some(done) = self.done.get(source) {
            return Ok(done.clone());
        }
        let path = self.model.path(source);
        let tensors = self.model.tensors(source)?;
        let name = match path.is_dir() && !path.join(package::CONFIG).is_file() {
            true => self.folder(&path, source, &tensors)?,
            false => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let name = self.free_name(&stem, self.float.extension());
                let wanted = |name: &str| !(self.drops_lora && name.contains(".lora_"));
                self.tensors(&tensors, &self.dir.join(&name), wanted, |_| true)?;
                name
            }
        };
        self.done.insert(source.into(), name.clone());
        Ok(name)
    }

    /// A language model of Hugging Face: its folder, also when the manifest names a file in it.
    fn language(&mut self, source: &str) -> Result<String> {
        let path = self.model.path(source);
        if path.is_dir() {
            return self.part(source);
        }
        let name = self.free_name("language", "");
        let to = self.dir.join(&name);
        copy_kept(path.parent().unwrap_or(Path::new(".")), &to)?;
        let tensors = self.model.tensors(source)?;
        self.tensors(&tensors, &to.join("model.safetensors"), |_| true, |_| false)?;
        Ok(name)
    }

    /// A name in the target that no other source has.
    fn free_name(&self, stem: &str, end: &str) -> String {
        let mut name = format!("{stem}{end}");
        let mut number = 2;
        while self.dir.join(&name).exists() {
            name = format!("{stem}-{number}{end}");
            number += 1;
        }
        name
    }

    /// A Hugging Face folder: the target itself, or a folder in it.
    fn folder(&self, path: &Path, source: &str, tensors: &Tensors) -> Result<String> {
        let name = match source {
            "." | "./" | "" => ".".to_string(),
            _ => self.free_name("language", ""),
        };
        let to = self.dir.join(&name);
        let io = |source| Error::Io { path: to.display().to_string(), source };
        copy_kept(path, &to)?;
        let words = path.join("qformer_tokenizer");
        if words.is_dir() {
            let to = to.join("qformer_tokenizer");
            std::fs::create_dir_all(&to).map_err(io)?;
            for entry in std::fs::read_dir(&words).map_err(io)? {
                let entry = entry.map_err(io)?;
                std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(io)?;
            }
        }
        // A language model that goes into a GGUF file of its own is left out here.
        let joined = HfConfig::open(path)?.vision_config.is_some();
        let leaves = joined && self.language_leaves;
        let of_language = |name: &str| {
            ["language_model.", "model.language_model.", "lm_head."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let wanted = |name: &str| !(leaves && of_language(name));
        let rest = |name: &str| joined && !of_language(name);
        self.tensors(tensors, &to.join("model.safetensors"), wanted, rest)?;
        Ok(name)
    }

    /// Those of `rest` are changed as was asked for; others keep their type.
    fn tensors(
        &self,
        tensors: &Tensors,
        to: &Path,
        wanted: impl Fn(&str) -> bool,
        rest: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let quantised = self.float.quantised().filter(|_| tensors.names().any(&rest));
        if let Some(dtype) = quantised {
            let names = tensors.names().filter(|n| wanted(n));
            let of = |name: &str| rest(name).then_some(dtype);
            let read = |name: &str| self.read(tensors, name);
            return write_quantised(tensors, names, read, of, &to.with_extension("gguf"));
        }
        let failed = Mutex::new(None);
        let views = tensors.names().filter(|n| wanted(n)).filter_map(|name| {
            let info = tensors.info(name)?;
            let dtype = match (self.float, info.dtype?) {
                (_, dtype) if !rest(name) => dtype,
                (FloatType::F16, DType::F32 | DType::F64 | DType::BF16) => DType::F16,
                (_, dtype) => dtype,
            };
            let shape = info.shape.clone();
            Some((name, Later { writer: self, tensors, name, dtype, shape, failed: &failed }))
        });
        let io = |source| Error::Io { path: to.display().to_string(), source };
        safetensors::serialize_to_file(views, None, to)
            .map_err(|e| io(std::io::Error::other(e.to_string())))?;
        if let Some(e) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
            return Err(e);
        }
        File::open(to).and_then(|f| f.sync_all()).map_err(io)
    }
}

/// Writes tensors as a GGUF file under their own names; `of` says what a matrix becomes.
fn write_quantised<'a>(
    tensors: &Tensors,
    names: impl Iterator<Item = &'a str>,
    read: impl Fn(&str) -> Result<Tensor>,
    of: impl Fn(&str) -> Option<GgmlDType>,
    to: &Path,
) -> Result<()> {
    let mut all = Vec::new();
    for name in names {
        let Some(found) = tensors.info(name).and_then(|i| i.dtype) else { continue };
        let tensor = read(name)?;
        let fitting = match (tensor.dims(), of(name)) {
            ([_, width], Some(dtype)) => {
                [dtype, GgmlDType::Q8_0].into_iter().find(|d| width % d.block_size() == 0)
            }
            _ => None,
        };
        let plain = match found {
            DType::F32 | DType::F64 => GgmlDType::F32,
            DType::BF16 => GgmlDType::BF16,
            _ => GgmlDType::F16,
        };
        let values = tensor.to_dtype(DType::F32)?;
        all.push((name.to_string(), QTensor::quantize(&values, fitting.unwrap_or(plain))?));
    }
    write_file(to, &[], &all)
}

fn write_file(to: &Path, metadata: &[(&str, Value)], tensors: &[(String, QTensor)]) -> Result<()> {
    let io = |source| Error::Io { path: to.display().to_string(), source };
    let mut out = BufWriter::new(File::create(to).map_err(io)?);
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (*k, v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, t)| (k.as_str(), t)).collect();
    candle_core::quantized::gguf_file::write(&mut out, &metadata, &tensors)?;
    out.flush().map_err(io)?;
    out.get_ref().sync_all().map_err(io)
}

/// A tensor that is read when its turn to be written comes, so that only one is in memory.
struct Later<'a> {
    writer: &'a Writer<'a>,
    tensors: &'a Tensors,
    name: &'a str,
    dtype: DType,
    shape: Vec<usize>,
    /// The first error; what is written after it is thrown away.
    failed: &'a Mutex<Option<Error>>,
}

impl safetensors::View for Later<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        self.dtype.into()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.writer.read(self.tensors, self.name).and_then(|t| {
            let tensor = t.to_dtype(self.dtype)?;
            Ok(safetensors::View::data(&tensor).into_owned())
        });
        match bytes {
            Ok(bytes) => Cow::Owned(bytes),
            Err(e) => {
                self.failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
                Cow::Owned(vec![0; self.data_len()])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size_in_bytes()
    }
}

/// Configuration and tokenizer of a Hugging Face folder.
fn copy_kept(from: &Path, to: &Path) -> Result<()> {
    let io = |source| Error::Io { path: to.display().to_string(), source };
    std::fs::create_dir_all(to).map_err(io)?;
    for file in KEPT.iter().map(|f| from.join(f)).filter(|f| f.is_file()) {
        std::fs::copy(&file, to.join(file.file_name().unwrap_or_default())).map_err(io)?;
    }
    Ok(())
}

/// A LLaMA as GGUF: matrices quantised, norms f32, q and k in GGUF's row order.
fn write_gguf(
    source: &mut dyn LanguageWeights,
    dtype: GgmlDType,
    (bos, eos): (Option<u32>, &[u32]),
    to: &Path,
) -> Result<()> {
    let config = source.config()?;
    let device = &Device::Cpu;
    let mut tensors: Vec<(String, QTensor)> = Vec::new();
    let hidden = config.hidden_size;
    let mut matrices = vec![("embed_tokens".to_string(), config.vocab_size, hidden)];
    if !source.ties_output() {
        matrices.push(("lm_head".into(), config.vocab_size, hidden));
    }
    let mut norms = vec!["norm".to_string()];
    for i in 0..config.num_hidden_layers {
        for target in Target::ALL {
            let (out, width) = config.dims(target);
            matrices.push((format!("layers.{i}.{}", target.path()), out, width));
        }
        norms.push(format!("layers.{i}.input_layernorm"));
        norms.push(format!("layers.{i}.post_attention_layernorm"));
    }
    for (name, out, width) in matrices {
        let full = format!("{name}.weight");
        let mut rows = source.matrix(&[(full.as_str(), out)], width, device)?.to_f32(device)?;
        let turns = name.ends_with("q_proj") || name.ends_with("k_proj");
        if turns && config.rope_layout == RopeLayout::Halves {
            rows = interleave(&rows, config.head_dim)?;
        }
        let fitting = [dtype, GgmlDType::Q8_0, GgmlDType::F16]
            .into_iter()
            .find(|d| width.is_multiple_of(d.block_size()))
            .unwrap_or(GgmlDType::F32);
        tensors.push((gguf_name(&full), QTensor::quantize(&rows, fitting)?));
    }
    for name in norms {
        let full = format!("{name}.weight");
        let norm = source.vector(&full, hidden, device)?;
        tensors.push((gguf_name(&full), QTensor::quantize(&norm, GgmlDType::F32)?));
    }
    let mut metadata = metadata(&config, bos, eos);
    match &config.rope_scaling {
        RopeScaling::None => {}
        RopeScaling::Linear(factor) => {
            metadata.push(("llama.rope.scaling.type", Value::String("linear".into())));
            metadata.push(("llama.rope.scaling.factor", Value::F32(*factor)));
        }
        scaling @ (RopeScaling::Llama3 { .. } | RopeScaling::Divisors(_)) => {
            let divisors = Tensor::new(scaling.divisors(&config), device)?;
            let divisors = QTensor::quantize(&divisors, GgmlDType::F32)?;
            tensors.push(("rope_freqs.weight".into(), divisors));
        }
    }
    write_file(to, &metadata, &tensors)
}

fn metadata(config: &LlamaConfig, bos: Option<u32>, eos: &[u32]) -> Vec<(&'static str, Value)> {
    let number = |n: usize| Value::U32(u32::try_from(n).unwrap_or(u32::MAX));
    let mut all = vec![
        ("general.architecture", Value::String("llama".into())),
        ("llama.embedding_length", number(config.hidden_size)),
        ("llama.block_count", number(config.num_hidden_layers)),
        ("llama.feed_forward_length", number(config.intermediate_size)),
        ("llama.attention.head_count", number(config.num_attention_heads)),
        ("llama.attention.head_count_kv", number(config.num_key_value_heads)),
        ("llama.attention.key_length", number(config.head_dim)),
        ("llama.attention.value_length", number(config.head_dim)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32)),
        ("llama.context_length", number(config.context_length)),
        ("llama.rope.dimension_count", number(config.head_dim)),
        ("llama.rope.freq_base", Value::F32(config.rope_theta)),
        ("llama.vocab_size", number(config.vocab_size)),
    ];
    if let Some(bos) = bos {
        all.push(("tokenizer.ggml.bos_token_id", Value::U32(bos)));
    }
    if let Some(first) = eos.first() {
        all.push(("tokenizer.ggml.eos_token_id", Value::U32(*first)));
        // GGUF knows one; a tokenizer reads all of them from here.
        all.push((EOS_IDS, Value::Array(eos.iter().map(|id| Value::U32(*id)).collect())));
    }
    all
}

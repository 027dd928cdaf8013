//! Writes each source file or folder of a model into the staging folder once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Tensor};

use super::gguf::write_quantised;
use super::{FloatType, io, sync};
use crate::checkpoint::hf::HfConfig;
use crate::checkpoint::{LanguageFile, Tensors, replaces_base};
use crate::manifest::Model;
use crate::peft::merge::Delta;
use crate::peft::package;
use crate::source::tuning_source;
use crate::{Error, Result};

/// Files of a Hugging Face folder that its copy keeps beside the weights.
const SIDE_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

/// Writes each source file or folder once.
pub(super) struct Writer<'a> {
    pub(super) model: &'a Model,
    pub(super) dir: PathBuf,
    pub(super) float: FloatType,
    /// The language model goes into a GGUF file of its own.
    pub(super) separates_language: bool,
    pub(super) changes: Option<Changes<'a>>,
    /// The model's LoRA is merged into the matrices and not written again.
    pub(super) drops_lora: bool,
    /// The new path of each path in the source's manifest.
    pub(super) written: BTreeMap<String, String>,
}

/// The LoRA that changes matrices of the language model as they are written.
pub(super) struct Changes<'a> {
    pub(super) delta: &'a Delta,
    /// Their names in the checkpoint, and the LoRA's names for them.
    names: BTreeMap<String, String>,
    /// Names in the checkpoint of those changed so far.
    applied: Mutex<BTreeSet<String>>,
}

impl<'a> Changes<'a> {
    /// An error if full fine-tuning replaced the matrices, or the LoRA belongs to another base.
    pub(super) fn new(model: &Model, path: &Path, delta: &'a Delta) -> Result<Self> {
        if tuning_source(model)?.is_some_and(|(t, _)| t.names().any(replaces_base)) {
            return Err(Error::Unsupported {
                path: model.dir.display().to_string(),
                what: "a LoRA for matrices that training replaced".into(),
                hint: "convert the model without --merge first".into(),
            });
        }
        let names = delta.stored_names(LanguageFile::open(path)?.weights())?;
        Ok(Self { delta, names, applied: Mutex::default() })
    }

    /// The first matrix that was not written, and so not changed.
    pub(super) fn first_missed(&self) -> Option<&str> {
        let applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        self.names.keys().find(|name| !applied.contains(*name)).map(String::as_str)
    }

    /// The tensor with its change added, in its own type.
    fn apply(&self, name: &str, tensor: Tensor) -> Result<Tensor> {
        let lora_name = self.names.get(name);
        let Some(change) = lora_name.map(|n| self.delta.of_matrix(n)).transpose()?.flatten() else {
            return Ok(tensor);
        };
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into());
        let dtype = tensor.dtype();
        Ok((tensor.to_dtype(DType::F32)? + change)?.to_dtype(dtype)?)
    }
}

impl Writer<'_> {
    /// A tensor as it is written.
    fn read(&self, tensors: &Tensors, name: &str) -> Result<Tensor> {
        let tensor = tensors.read(name)?;
        match &self.changes {
            Some(changes) => changes.apply(name, tensor),
            None => Ok(tensor),
        }
    }

    /// Writes a file or folder; returns its path in the target.
    pub(super) fn part(&mut self, source: &str) -> Result<String> {
        if let Some(name) = self.written.get(source) {
            return Ok(name.clone());
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
        self.written.insert(source.into(), name.clone());
        Ok(name)
    }

    /// Copies a file that is not of tensors; returns its path in the target.
    ///
    /// # Errors
    /// The file cannot be read, or its copy not written.
    pub(super) fn copy(&self, source: &str) -> Result<String> {
        let path = self.model.path(source);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let end = path.extension().map(|end| format!(".{}", end.to_string_lossy()));
        let name = self.free_name(&stem, &end.unwrap_or_default());
        let to = self.dir.join(&name);
        std::fs::File::open(&path).map_err(io(&path))?;
        std::fs::copy(&path, &to).map_err(io(&to))?;
        sync(&to)?;
        Ok(name)
    }

    /// Writes a Hugging Face language model as a folder, also when the manifest names a file in it.
    pub(super) fn language(&mut self, source: &str) -> Result<String> {
        let path = self.model.path(source);
        if path.is_dir() {
            return self.part(source);
        }
        let name = self.free_name("language", "");
        let to = self.dir.join(&name);
        copy_side_files(path.parent().unwrap_or(Path::new(".")), &to)?;
        let tensors = self.model.tensors(source)?;
        self.tensors(&tensors, &to.join("model.safetensors"), |_| true, |_| false)?;
        Ok(name)
    }

    /// A name that no file in the target has.
    fn free_name(&self, stem: &str, end: &str) -> String {
        let mut name = format!("{stem}{end}");
        let mut number = 2;
        while self.dir.join(&name).exists() {
            name = format!("{stem}-{number}{end}");
            number += 1;
        }
        name
    }

    /// Writes a Hugging Face folder into the target itself, or into a folder there.
    fn folder(&self, path: &Path, source: &str, tensors: &Tensors) -> Result<String> {
        let name = match source {
            "." | "./" | "" => ".".to_string(),
            _ => self.free_name("language", ""),
        };
        let to = self.dir.join(&name);
        copy_side_files(path, &to)?;
        let qformer_tokenizer = path.join("qformer_tokenizer");
        if qformer_tokenizer.is_dir() {
            let to = to.join("qformer_tokenizer");
            std::fs::create_dir_all(&to).map_err(io(&to))?;
            for entry in std::fs::read_dir(&qformer_tokenizer).map_err(io(&to))? {
                let entry = entry.map_err(io(&to))?;
                std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(io(&to))?;
            }
        }
        // This leaves out a language model that goes into a GGUF file of its own.
        let joined = HfConfig::open(path)?.vision_config.is_some();
        let separate = joined && self.separates_language;
        let of_language = |name: &str| {
            ["language_model.", "model.language_model.", "lm_head."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let wanted = |name: &str| !(separate && of_language(name));
        let rest = |name: &str| joined && !of_language(name);
        self.tensors(tensors, &to.join("model.safetensors"), wanted, rest)?;
        Ok(name)
    }

    /// Writes the tensors that `wanted` selects. Those of `rest` get the requested type, others keep
    /// theirs.
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
            let block_type = |name: &str| rest(name).then_some(dtype);
            let read = |name: &str| self.read(tensors, name);
            return write_quantised(tensors, names, read, block_type, &to.with_extension("gguf"));
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
            Some((name, LazyTensor { writer: self, tensors, name, dtype, shape, failed: &failed }))
        });
        safetensors::serialize_to_file(views, None, to)
            .map_err(|e| io(to)(std::io::Error::other(e.to_string())))?;
        if let Some(e) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(e);
        }
        sync(to)
    }
}

/// A tensor that is read only when it is written, so that one at a time is in memory.
struct LazyTensor<'a> {
    writer: &'a Writer<'a>,
    tensors: &'a Tensors,
    name: &'a str,
    dtype: DType,
    shape: Vec<usize>,
    /// The first error. The file that is written after it is discarded.
    failed: &'a Mutex<Option<Error>>,
}

impl safetensors::View for LazyTensor<'_> {
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
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                Cow::Owned(vec![0; self.data_len()])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size_in_bytes()
    }
}

/// Copies configuration and tokenizer of a Hugging Face folder.
fn copy_side_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(io(to))?;
    for file in SIDE_FILES.iter().map(|f| from.join(f)).filter(|f| f.is_file()) {
        std::fs::copy(&file, to.join(file.file_name().unwrap_or_default())).map_err(io(to))?;
    }
    Ok(())
}

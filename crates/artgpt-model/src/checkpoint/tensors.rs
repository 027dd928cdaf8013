//! Tensors by name from one file or several, read on demand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artgpt_base::panics;
use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::audit::Stored;
use super::gguf_tensors::GgufTensors;
use super::pth::PthFile;
use super::safetensors::SafetensorsFile;
use crate::peft::package;
use crate::{Error, Result};

/// A tensor's entry in the header of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Its type in memory; `None` for a type that no weight has (such as 64-bit indices).
    pub dtype: Option<DType>,
    /// The name of its type in the file: `F16`, `I64`, `IQ4_XS`.
    pub type_name: String,
    /// The type in the file of a quantised tensor.
    pub stored: Option<GgmlDType>,
}

impl TensorInfo {
    /// The type in memory of a weight, which is a floating type.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names file, tensor and type.
    pub(crate) fn weight_type(&self, file: &Path, name: &str) -> Result<DType> {
        let floats = [DType::F32, DType::F16, DType::BF16, DType::F64, DType::F8E4M3];
        self.dtype.filter(|d| floats.contains(d)).ok_or_else(|| Error::Unsupported {
            path: file.display().to_string(),
            what: format!("the type {} of {}", self.type_name, artgpt_base::text::printable(name)),
            hint: "use weights in F32, F16 or BF16, or a GGUF file".into(),
        })
    }
}

/// One file of tensors.
pub(crate) trait TensorFile: Send + Sync {
    fn path(&self) -> &Path;
    fn infos(&self) -> BTreeMap<String, TensorInfo>;
    /// From our names of tensors to those of the file, where they differ.
    fn names_in_file(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    /// Each file, if there are several, with the names of its tensors.
    fn names_by_file(&self) -> Vec<(PathBuf, Vec<String>)> {
        vec![(self.path().to_path_buf(), self.infos().into_keys().collect())]
    }
    /// A tensor in its own type, on the CPU.
    fn read(&self, name: &str) -> Result<Tensor>;
}

/// All tensors of a checkpoint.
#[derive(Clone)]
pub struct Tensors {
    /// The opened file or folder, for messages.
    pub path: PathBuf,
    files: Vec<Arc<dyn TensorFile>>,
    by_name: Arc<BTreeMap<String, (usize, TensorInfo)>>,
}

impl Tensors {
    /// Opens a `.safetensors`, `.pth`, `.pt`, `.bin` or `.gguf` file, a Hugging Face folder, or a folder
    /// of the package `peft`, whose names become ours.
    ///
    /// # Errors
    /// A file cannot be read, is damaged, or has an unsupported layout.
    pub fn open(path: &Path) -> Result<Self> {
        if path.join(package::CONFIG).is_file() {
            let weights = path.join(package::WEIGHTS);
            // Older versions of the package write a pickle.
            let pickle = weights.with_extension("bin");
            let file =
                open_file(if weights.exists() || !pickle.exists() { &weights } else { &pickle })?;
            return Self::of(path, vec![Arc::new(PeftFile::new(file)?)]);
        }
        if path.is_dir() {
            let files = super::safetensors::weight_files(path)?;
            return Self::of(path, files.iter().map(|f| open_file(f)).collect::<Result<_>>()?);
        }
        Self::of(path, vec![open_file(path)?])
    }

    /// Opens a safetensors file inside the program.
    pub(crate) fn inside(path: &Path, bytes: &'static [u8]) -> Result<Self> {
        Self::of(path, vec![Arc::new(SafetensorsFile::inside(path, bytes)?)])
    }

    fn of(path: &Path, files: Vec<Arc<dyn TensorFile>>) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for (i, file) in files.iter().enumerate() {
            by_name.extend(file.infos().into_iter().map(|(name, info)| (name, (i, info))));
        }
        Ok(Self { path: path.to_path_buf(), files, by_name: Arc::new(by_name) })
    }

    /// The tensors of both; a tensor of `over` replaces one of the same name.
    pub(crate) fn under(&self, over: &Self) -> Self {
        let shift = self.files.len();
        let mut by_name = BTreeMap::clone(&self.by_name);
        by_name.extend(
            over.by_name.iter().map(|(n, (i, info))| (n.clone(), (i + shift, info.clone()))),
        );
        Self {
            path: self.path.clone(),
            files: self.files.iter().chain(&over.files).cloned().collect(),
            by_name: Arc::new(by_name),
        }
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// All tensors of the files, by name.
    pub fn stored(&self) -> BTreeMap<String, Stored> {
        self.by_name
            .iter()
            .map(|(name, (_, info))| {
                let count = info.shape.iter().fold(1usize, |n, d| n.saturating_mul(*d));
                let bytes = match (info.stored, info.dtype) {
                    (Some(q), _) => (count / q.block_size()).saturating_mul(q.type_size()),
                    (None, Some(d)) => count.saturating_mul(d.size_in_bytes()),
                    (None, None) => 0,
                };
                let dtype = info.type_name.clone();
                (name.clone(), Stored { shape: info.shape.clone(), dtype, bytes: bytes as u64 })
            })
            .collect()
    }

    /// Each file with the names of its tensors.
    pub(crate) fn names_by_file(&self) -> Vec<(PathBuf, Vec<String>)> {
        self.files.iter().flat_map(|f| f.names_by_file()).collect()
    }

    /// From our names of tensors to those of their files, where they differ.
    pub(crate) fn names_in_files(&self) -> BTreeMap<String, String> {
        self.files.iter().flat_map(|f| f.names_in_file()).collect()
    }

    /// Shape and type of a tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|(_, info)| info)
    }

    /// The file that contains a tensor.
    pub(crate) fn file_of(&self, name: &str) -> &Path {
        self.by_name.get(name).map_or(&self.path, |(file, _)| self.files[*file].path())
    }

    /// Reads a tensor in its own type, on the CPU.
    ///
    /// # Errors
    /// There is no such tensor, or its file is damaged.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let Some((file, _)) = self.by_name.get(name) else {
            return Err(Error::corrupt(&self.path, format!("the key {name} is missing")));
        };
        self.files[*file].read(name)
    }

    /// Reads a tensor that must have the shape `shape`.
    ///
    /// # Errors
    /// As for [`Self::read`]; the tensor has another shape.
    pub fn read_shaped(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.by_name.get(name) {
            Some((file, info)) if info.shape != shape => Err(Error::corrupt(
                self.files[*file].path(),
                format!("{name} has the shape {:?}, {shape:?} was expected", info.shape),
            )),
            _ => self.read(name),
        }
    }

    /// A builder for the network's modules on `device`; `rename` maps a module's tensor name to the
    /// file's.
    pub fn builder(
        &self,
        rename: impl Fn(&str) -> String + Send + Sync + 'static,
        device: &Device,
    ) -> VarBuilder<'static> {
        let backend = RenamingBackend { tensors: self.clone(), rename: Box::new(rename) };
        VarBuilder::from_backend(Box::new(backend), DType::F32, device.clone())
    }
}

fn open_file(path: &Path) -> Result<Arc<dyn TensorFile>> {
    let open = || -> Result<Arc<dyn TensorFile>> {
        Ok(match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => Arc::new(SafetensorsFile::open(path)?),
            Some("gguf") => Arc::new(GgufTensors::open(path)?),
            _ => Arc::new(PthFile::open(path)?),
        })
    };
    // Parts of the readers are not ours, and a damaged file may make them panic.
    panics::guarded(open).unwrap_or_else(|panic| Err(Error::corrupt(path, panic)))
}

/// A file of the package `peft`, under our names.
struct PeftFile {
    file: Arc<dyn TensorFile>,
    theirs: BTreeMap<String, String>,
}

impl PeftFile {
    fn new(file: Arc<dyn TensorFile>) -> Result<Self> {
        let ours = |name: String| match package::our_name(&name) {
            Some(ours) => Ok((ours, name)),
            None => Err(Error::Unsupported {
                path: file.path().display().to_string(),
                what: format!("the tensor {}", artgpt_base::text::printable(&name)),
                hint: "plain LoRA of a language model is read".into(),
            }),
        };
        let theirs = file.infos().into_keys().map(ours).collect::<Result<_>>()?;
        Ok(Self { theirs, file })
    }
}

impl TensorFile for PeftFile {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn infos(&self) -> BTreeMap<String, TensorInfo> {
        let mut infos = self.file.infos();
        let ours = self.theirs.iter();
        ours.filter_map(|(ours, theirs)| Some((ours.clone(), infos.remove(theirs)?))).collect()
    }

    fn names_in_file(&self) -> BTreeMap<String, String> {
        self.theirs.clone()
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.file.read(self.theirs.get(name).map_or(name, String::as_str))
    }
}

/// Converts to the requested type; a request for f16 accepts any floating type without loss.
fn in_type(stored: Tensor, requested: DType) -> candle_core::Result<Tensor> {
    match (requested, stored.dtype()) {
        (DType::F16, DType::F16 | DType::BF16 | DType::F32) => Ok(stored),
        (DType::F16, _) => stored.to_dtype(DType::F32),
        _ => stored.to_dtype(requested),
    }
}

/// Reads tensors for modules under other names.
struct RenamingBackend {
    tensors: Tensors,
    rename: Box<dyn Fn(&str) -> String + Send + Sync>,
}

impl SimpleBackend for RenamingBackend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.tensors
            .read_shaped(&(self.rename)(name), shape.dims())
            .map_err(Error::into_candle)?
            .to_device(device)
            .and_then(|t| in_type(t, dtype))
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.tensors
            .read(&(self.rename)(name))
            .map_err(Error::into_candle)?
            .to_device(device)
            .and_then(|t| in_type(t, dtype))
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.by_name.contains_key(&(self.rename)(name))
    }
}

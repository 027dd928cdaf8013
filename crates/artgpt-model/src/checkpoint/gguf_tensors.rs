//! A GGUF file of any tensors, as `models convert --rest q8_0` writes for a vision encoder or a
//! Q-Former. It is small on disk; in memory its matrices are 16-bit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Tensor};

use super::GgufFile;
use super::tensors::{TensorFile, TensorInfo};
use crate::Result;

pub(crate) struct GgufTensors(GgufFile);

impl GgufTensors {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        GgufFile::open(path).map(Self)
    }
}

/// The type of a tensor in memory.
fn read_as(dtype: GgmlDType) -> DType {
    match dtype {
        GgmlDType::F32 => DType::F32,
        GgmlDType::BF16 => DType::BF16,
        _ => DType::F16,
    }
}

impl TensorFile for GgufTensors {
    fn path(&self) -> &Path {
        self.0.file_path()
    }

    fn infos(&self) -> BTreeMap<String, TensorInfo> {
        let named = |name: &str| {
            let (shape, dtype) = self.0.form(name)?;
            let plain = matches!(dtype, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16);
            let stored = (!plain).then_some(dtype);
            let type_name = format!("{dtype:?}");
            let info = TensorInfo { shape, dtype: Some(read_as(dtype)), type_name, stored };
            Some((name.to_string(), info))
        };
        self.0.names().filter_map(named).collect()
    }

    fn names_by_file(&self) -> Vec<(PathBuf, Vec<String>)> {
        self.0.names_by_file()
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let dtype = self.0.form(name).map_or(DType::F32, |(_, dtype)| read_as(dtype));
        Ok(self.0.values(name)?.to_dtype(dtype)?)
    }
}

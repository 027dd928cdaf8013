//! Image tokens on disk, so that an image of an earlier session is not encoded again. Only a cache:
//! what cannot be read or written is computed again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use candle_core::{DType, Device, Tensor};

use artgpt_base::hash::sha256;
use artgpt_base::private;

/// Bytes of the folder; the least recently used files go first. 32 query tokens of width 4096 take
/// half a megabyte.
const LIMIT: u64 = 256 << 20;
/// A file that is still being written is younger.
const HALF_WRITTEN: Duration = Duration::from_secs(600);

/// A folder of small safetensors files, named by the image and by the weights that encoded it.
#[derive(Debug)]
pub(crate) struct EmbeddingStore {
    folder: PathBuf,
    /// See `Model::seeing_fingerprint`.
    model: String,
    limit: u64,
}

impl EmbeddingStore {
    pub(crate) fn new(folder: &Path, model: String) -> Self {
        sweep(folder);
        Self { folder: folder.to_path_buf(), model, limit: LIMIT }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(sha256(format!("{}\n{key}", self.model).as_bytes()))
    }

    /// The tokens of `key`, (1, queries, hidden), if they are stored.
    pub(crate) fn get(&self, key: &str, device: &Device) -> Option<Tensor> {
        let path = self.path(key);
        let mut tensors = candle_core::safetensors::load(&path, device).ok()?;
        let tensor = tensors.remove("query_tokens").filter(|t| t.dtype() == DType::F32)?;
        // The modification time is the time of the last use.
        if let Ok(file) = std::fs::File::options().append(true).open(&path) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(tensor)
    }

    /// Stores tokens, then removes old files until the folder is within its limit.
    pub(crate) fn insert(&self, key: &str, tensor: &Tensor) {
        // On a full or read-only disk nothing is stored.
        let _ = self.write(key, tensor);
        self.shrink();
    }

    fn write(&self, key: &str, tensor: &Tensor) -> Option<()> {
        private::folder(&self.folder).ok()?;
        let file = tempfile::NamedTempFile::new_in(&self.folder).ok()?;
        let named = [("query_tokens".to_string(), tensor.to_device(&Device::Cpu).ok()?)];
        candle_core::safetensors::save(&named.into(), file.path()).ok()?;
        file.persist(self.path(key)).ok()?;
        Some(())
    }

    /// Removes the least recently used files until the rest fits.
    fn shrink(&self) {
        let Ok(entries) = self.folder.read_dir() else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|e| {
                let about = e.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), e.path()))
            })
            .collect();
        let mut total: u64 = files.iter().map(|f| f.1).sum();
        files.sort();
        for (_, bytes, path) in files {
            if total <= self.limit {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                total -= bytes;
            }
        }
    }
}

/// Removes what killed processes left half written.
fn sweep(folder: &Path) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let written = entry.metadata().ok().and_then(|meta| meta.modified().ok());
        let is_old = written.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > HALF_WRITTEN);
        if is_old && entry.file_name().to_string_lossy().starts_with(".tmp") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, model: &str) -> EmbeddingStore {
        EmbeddingStore::new(folder, model.into())
    }

    #[test]
    fn what_was_kept_comes_back_for_the_same_picture_and_model_only() {
        let dir = tempfile::tempdir().expect("temp dir");
        let t = Tensor::new(&[[[1f32, 2.0, 3.0]]], &Device::Cpu).expect("a tensor");
        store(dir.path(), "m").insert("picture", &t);
        let get = |model: &str, key: &str| store(dir.path(), model).get(key, &Device::Cpu);
        let back = get("m", "picture").expect("is kept");
        assert_eq!(back.to_vec3::<f32>().expect("values"), vec![vec![vec![1.0, 2.0, 3.0]]]);
        assert!(get("m", "other").is_none() && get("n", "picture").is_none());
        let kept = store(dir.path(), "m").path("picture");
        std::fs::write(kept, b"cut off").expect("write");
        assert!(get("m", "picture").is_none());
    }

    #[test]
    fn the_folder_stays_within_its_limit_and_keeps_what_was_used_last() {
        let dir = tempfile::tempdir().expect("temp dir");
        let t = Tensor::zeros((1, 8, 8), DType::F32, &Device::Cpu).expect("a tensor");
        let mut store = store(dir.path(), "m");
        for key in ["a", "b", "c"] {
            store.insert(key, &t);
            let file = std::fs::File::options().append(true).open(store.path(key)).expect("opens");
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("sets");
        }
        assert!(store.get("a", &Device::Cpu).is_some());
        let one = store.path("a").metadata().expect("is there").len();
        store.limit = 2 * one;
        store.insert("d", &t);
        let kept = |key: &str| store.path(key).exists();
        assert_eq!([kept("a"), kept("b"), kept("c"), kept("d")], [true, false, false, true]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::write(dir.path().join("file"), b"").expect("write");
        let t = Tensor::zeros(1, DType::F32, &Device::Cpu).expect("a tensor");
        let store = store(&dir.path().join("file/inside"), "m");
        store.insert("a", &t);
        assert!(store.get("a", &Device::Cpu).is_none());
    }
}

//! Fingerprints of weights: for cached query tokens, shared bases, and the base of a training run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::checkpoint::{replaces_base, split_files};
use super::manifest::{Model, VisionKind};
use super::source::tuning_source;
use super::{Error, Result};
use artgpt_base::hash::hex;

impl Model {
    /// A hash that changes with anything that can change query tokens: this program, the manifest, or
    /// a file of the vision encoder, Q-Former, projection or adapters. It covers name, size and
    /// modification time of files, as reading gigabytes takes longer than encoding an image.
    ///
    /// # Errors
    /// A file cannot be examined.
    pub fn seeing_fingerprint(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        add(env!("CARGO_PKG_VERSION"));
        let unknown = |source| Error::Io { path: "this program's own file".into(), source };
        state(&std::env::current_exe().map_err(unknown)?, &mut add)?;
        let manifest = toml::to_string(&self.manifest).map_err(|e| Error::Unsupported {
            path: self.dir.display().to_string(),
            what: format!("this manifest ({e})"),
            hint: "compare it with `artgpt-tui models show artgpt-smol`".into(),
        })?;
        add(&manifest);
        let vision = self.manifest.vision.as_ref().map(|p| p.path.as_str());
        for part in vision.into_iter().chain(self.trained_parts()) {
            // Files inside the program change with it.
            if self.inside(part).is_none() {
                state(&self.path(part), &mut add)?;
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// A text that is equal for two models that can share their frozen base in memory: the same files,
    /// unchanged, loaded in the same way. `None` if full fine-tuning changed the base.
    ///
    /// # Errors
    /// A file cannot be examined or is damaged.
    pub fn base_fingerprint(&self) -> Result<Option<String>> {
        let Some(language) = self.language_path() else { return Ok(None) };
        if tuning_source(self)?.is_some_and(|(t, _)| t.names().any(replaces_base)) {
            return Ok(None);
        }
        let mut all = String::new();
        let mut add = |text: &str| {
            all.push_str(text);
            all.push('\n');
        };
        for file in split_files(&language) {
            state(&file, &mut add)?;
        }
        let m = &self.manifest;
        match m.language.as_ref().and_then(|l| l.tokenizer.as_ref()) {
            Some(tokenizer) => state(&self.path(tokenizer), &mut add)?,
            None => add("its own tokenizer"),
        }
        if let Some(vision) = m.vision.as_ref().filter(|v| v.kind != VisionKind::None) {
            add(&format!("{:?} {:?}", vision.kind, vision.num_attention_heads));
            state(&self.path(&vision.path), &mut add)?;
            // The originals keep the encoder's last norm with the trained tensors.
            for part in self.trained_parts() {
                if self.tensors(part)?.names().any(|name| name.starts_with("ln_vision.")) {
                    state(&self.path(part), &mut add)?;
                }
            }
        }
        Ok(Some(all))
    }

    /// Approximate bytes of the trained files; in memory they take up to twice as much.
    pub fn trained_bytes(&self) -> u64 {
        let bytes = |part: &str| match self.inside(part) {
            Some(bytes) => bytes.len() as u64,
            None => self.path(part).metadata().map_or(0, |m| if m.is_file() { m.len() } else { 0 }),
        };
        self.trained_parts().into_iter().map(bytes).sum()
    }

    /// Q-Former, projection and adapters: each file or folder once.
    fn trained_parts(&self) -> BTreeSet<&str> {
        let m = &self.manifest;
        let parts = [
            m.qformer.as_ref().map(|p| p.path.as_str()),
            m.projection.as_ref().map(|p| p.path.as_str()),
            m.adapters.as_ref().map(|p| p.path.as_str()),
        ];
        parts.into_iter().flatten().collect()
    }

    /// A hash of the frozen weights on which a training run builds, by content and independent of
    /// paths: of each file its size and 256 samples spread over it, as reading all of a large model
    /// takes minutes.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn base_hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let m = &self.manifest;
        let parts = [
            m.vision.as_ref().map(|p| &p.path),
            m.qformer.as_ref().map(|p| &p.path),
            m.detector.as_ref().map(|p| &p.path),
        ];
        for part in parts.into_iter().flatten() {
            match self.inside(part) {
                Some(bytes) => hash.update(Sha256::digest(bytes)),
                None => sample(&self.path(part), &mut hash)?,
            }
        }
        for file in self.language_path().iter().flat_map(|path| split_files(path)) {
            sample(&file, &mut hash)?;
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Samples per file, and their size.
const SAMPLES: u64 = 256;
const SAMPLE_BYTES: u64 = 1 << 14;

/// Hashes samples of a file, or of all weights in a folder.
fn sample(path: &Path, hash: &mut Sha256) -> Result<()> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    if path.is_dir() {
        let mut files: Vec<_> =
            path.read_dir().map_err(io)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
        let weights = ["safetensors", "bin", "pth", "pt", "gguf"];
        files.retain(|f| f.extension().is_some_and(|e| weights.iter().any(|w| e == *w)));
        files.sort();
        return files.iter().try_for_each(|f| sample(f, hash));
    }
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    hash.update(length.to_le_bytes());
    let mut piece = Vec::new();
    for i in 0..SAMPLES {
        let start = (length / SAMPLES) * i;
        file.seek(SeekFrom::Start(start)).map_err(io)?;
        piece.clear();
        (&mut file).take(SAMPLE_BYTES).read_to_end(&mut piece).map_err(io)?;
        hash.update(&piece);
    }
    Ok(())
}

/// Passes name, size and modification time of a file, or of all files in a folder, to `add`.
fn state(path: &Path, add: &mut impl FnMut(&str)) -> Result<()> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let about = path.metadata().map_err(io)?;
    if about.is_dir() {
        let mut files: Vec<_> =
            path.read_dir().map_err(io)?.filter_map(|e| e.ok().map(|e| e.path())).collect();
        files.retain(|f| f.is_file());
        files.sort();
        return files.iter().try_for_each(|f| state(f, add));
    }
    let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let changed = changed.map_or(0, |t| t.as_nanos());
    let name = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    add(&format!("{} {} {changed}", name.display(), about.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_weights_have_another_fingerprint() {
        let dir = tempfile::tempdir().expect("temp dir");
        let manifest = "name = \"m\"\n[vision]\nkind = \"efficientnet_lite\"\npath = \"v.bin\"\n";
        std::fs::write(dir.path().join("manifest.toml"), manifest).expect("write");
        std::fs::write(dir.path().join("v.bin"), b"one").expect("write");
        let print = || {
            let model = Model::find(&dir.path().to_string_lossy(), dir.path()).expect("finds");
            model.seeing_fingerprint().expect("reads")
        };
        let first = print();
        assert_eq!(first, print());
        let base = || {
            let model = Model::find(&dir.path().to_string_lossy(), dir.path()).expect("finds");
            model.base_hash().expect("reads")
        };
        let based = base();
        std::fs::write(dir.path().join("v.bin"), b"two").expect("write");
        assert_ne!(base(), based);
        std::fs::write(dir.path().join("v.bin"), b"one").expect("write");
        assert_eq!(base(), based, "the time of a file does not matter");
        std::fs::write(dir.path().join("v.bin"), b"other").expect("write");
        assert_ne!(first, print());
    }
}

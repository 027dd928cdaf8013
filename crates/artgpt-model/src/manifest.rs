//! Finds a model by name or path: its manifest and the folder of its files.

use std::io::Read;
use std::path::{Path, PathBuf};

use artgpt_base::decode::strict_text;
use artgpt_base::files::read_limited;
use artgpt_base::foreign::{self, Foreign};

pub use artgpt_manifest::{
    AdaptersPart, DetectorKind, DetectorPart, LanguageKind, LanguagePart, Manifest, PathPart,
    PeftMethod, PromptPart, QFormerPart, Requantise, Source, VisionKind, VisionPart, requantised,
};

use super::checkpoint::Tensors;
use super::{Error, Result};

/// Maximum size of a manifest.
const MAX_BYTES: u64 = 1 << 20;

/// Extensions that programs give to a file while they download it.
const UNFINISHED: [&str; 7] =
    ["incomplete", "part", "partial", "crdownload", "download", "aria2", "tmp"];

/// The built-in manifests: name and TOML text.
pub const BUILTIN: &[(&str, &str)] = &[
    ("artgpt-smol", include_str!("../../../models/artgpt-smol.toml")),
    ("met-paintings", include_str!("../../../models/met-paintings.toml")),
];

/// The default model's trained weights: Q-Former, projection, adapters, norms.
const BUILTIN_WEIGHTS: &[(&str, &[u8])] =
    &[("artgpt-smol.safetensors", include_bytes!("../../../models/artgpt-smol.safetensors"))];

/// The held-out paintings of the default model, as its training run wrote them (JSON).
pub const BUILTIN_SPLIT: &str = include_str!("../../../models/artgpt-smol.split.json");

/// A manifest and the folder of its files.
#[derive(Debug, Clone)]
pub struct Model {
    /// The parts and sources.
    pub manifest: Manifest,
    /// The folder to which the manifest's paths are relative.
    pub dir: PathBuf,
    builtin: bool,
}

impl Model {
    /// Finds a model. `reference` is a name (built in, or installed in `models_dir`), or the path of a
    /// manifest, a folder or a GGUF file.
    ///
    /// # Errors
    /// There is no such model, or its manifest or layout is not supported.
    pub fn find(reference: &str, models_dir: &Path) -> Result<Self> {
        if let Some((name, text)) = BUILTIN.iter().find(|(name, _)| *name == reference) {
            let manifest = parse(text, Path::new(name))?;
            return Ok(Self { manifest, dir: models_dir.join(name), builtin: true });
        }
        let path = Path::new(reference);
        if path.is_file() && path.extension().is_some_and(|e| e == "gguf") {
            let dir = path.parent().unwrap_or(Path::new("")).to_path_buf();
            return Ok(Self { manifest: super::checkpoint::of_gguf(path), dir, builtin: false });
        }
        if path.is_dir()
            && !path.join("manifest.toml").is_file()
            && let Some(manifest) = super::checkpoint::recognise(path)?
        {
            return Ok(Self { manifest, dir: path.to_path_buf(), builtin: false });
        }
        let file = [
            path.is_dir().then(|| path.join("manifest.toml")),
            path.is_file().then(|| path.to_path_buf()),
            Some(models_dir.join(reference).join("manifest.toml")).filter(|p| p.is_file()),
        ]
        .into_iter()
        .flatten()
        .next()
        .ok_or_else(|| match reference.contains(std::path::MAIN_SEPARATOR) {
            true if !path.exists() => Error::Io {
                path: artgpt_base::text::printable(reference),
                source: std::io::ErrorKind::NotFound.into(),
            },
            _ => Error::Unsupported {
            path: artgpt_base::text::printable(reference),
            what: "a model of this name".into(),
            hint: "`artgpt-tui models list` shows what there is; the path of a folder (a run's, too), a manifest or a .gguf file works as well"
                .into(),
        }})?;
        let io = |source| Error::Io { path: file.display().to_string(), source };
        check_is_manifest(&file)?;
        let bytes = read_limited(&file, MAX_BYTES).map_err(io)?;
        let not_text = |e| std::io::Error::new(std::io::ErrorKind::InvalidData, e);
        let text = strict_text(bytes).map_err(not_text).map_err(io)?;
        let dir = file.parent().unwrap_or(Path::new(".")).to_path_buf();
        Ok(Self { manifest: parse(&text, &file)?, dir, builtin: false })
    }

    /// The path of a file of the manifest.
    pub fn path(&self, relative: &str) -> PathBuf {
        if relative == "." && !self.dir.as_os_str().is_empty() {
            return self.dir.clone();
        }
        self.dir.join(relative)
    }

    /// The language model's file: the requantised one if the manifest requests it.
    pub fn language_path(&self) -> Option<PathBuf> {
        let language = self.manifest.language.as_ref()?;
        let path = self.path(&language.path);
        Some(match language.requantise {
            Some(Requantise::Q8_0) => requantised(&path),
            None => path,
        })
    }

    /// Opens a file of tensors, which may be built in.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has an unsupported layout.
    pub fn tensors(&self, relative: &str) -> Result<Tensors> {
        let path = self.path(relative);
        match self.inside(relative) {
            Some(bytes) => Tensors::inside(&path, bytes),
            None => Tensors::open(&path),
        }
    }

    /// Whether a file is built in.
    pub fn is_inside(&self, relative: &str) -> bool {
        self.inside(relative).is_some()
    }

    /// The contents of a built-in file.
    pub(super) fn inside(&self, relative: &str) -> Option<&'static [u8]> {
        let found = BUILTIN_WEIGHTS.iter().find(|(name, _)| self.builtin && *name == relative);
        found.map(|(_, bytes)| *bytes)
    }
}

/// Names what a file is that is no manifest: weights, an unfinished download, a pointer.
fn check_is_manifest(file: &Path) -> Result<()> {
    let io = |source| Error::Io { path: file.display().to_string(), source };
    let unsupported = |what: &str, hint: &str| Error::Unsupported {
        path: file.display().to_string(),
        what: what.into(),
        hint: hint.into(),
    };
    let extension = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if UNFINISHED.contains(&extension.as_str()) {
        return Err(unsupported("an unfinished download", "finish or repeat the download"));
    }
    let mut head = Vec::new();
    let meta = std::fs::metadata(file).map_err(io)?;
    if !meta.is_file() {
        // The open of a FIFO waits for a writer.
        return Err(io(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "it is not a regular file",
        )));
    }
    let bytes = meta.len();
    let opened = std::fs::File::open(file).map_err(io)?;
    opened.take(foreign::HEAD as u64).read_to_end(&mut head).map_err(io)?;
    match foreign::recognise(&head) {
        Some(Foreign::Safetensors | Foreign::Pickle) => {
            let hint = "name the folder that holds it with its config.json";
            return Err(unsupported("a file of weights without its folder", hint));
        }
        Some(Foreign::Text | Foreign::Json) | None => {}
        Some(found) => return Err(Error::Foreign { path: file.display().to_string(), found }),
    }
    if bytes > MAX_BYTES {
        let hint = "name a manifest, a folder with a model in it, or a .gguf file";
        return Err(unsupported("a file of this size as a manifest", hint));
    }
    Ok(())
}

/// Checks that `name` can be the name of a folder; `path` is for the message.
pub(crate) fn check_name(name: &str, path: &Path) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::Unsupported {
            path: path.display().to_string(),
            what: format!("the name `{}`", artgpt_base::text::printable(name)),
            hint: "use letters, digits, `-`, `_` and `.`".into(),
        });
    }
    Ok(())
}

fn parse(text: &str, path: &Path) -> Result<Manifest> {
    let manifest: Manifest = toml::from_str(text).map_err(|e| Error::Unsupported {
        path: path.display().to_string(),
        what: format!("a file that is no manifest ({})", e.message().trim()),
        hint: "a manifest is TOML, as `artgpt-tui models show artgpt-smol` prints it".into(),
    })?;
    check_name(&manifest.name, path)?;
    let penalty = manifest.prompt.as_ref().and_then(|prompt| prompt.repetition_penalty);
    if penalty.is_some_and(|penalty| !penalty.is_finite() || penalty <= 0.0) {
        return Err(Error::Unsupported {
            path: path.display().to_string(),
            what: "a prompt.repetition_penalty that is not above 0".into(),
            hint: "1 is off; 1.1 is usual for a small model".into(),
        });
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_manifests_parse_and_name_their_files() {
        for (name, text) in BUILTIN {
            let manifest = parse(text, Path::new(name)).expect("parses");
            assert_eq!(manifest.name, *name);
            assert!(manifest.source.iter().all(|s| s.sha256.len() == 64));
        }
        let model = Model::find("artgpt-smol", Path::new("/data")).expect("is built in");
        let language = model.language_path().expect("has one");
        assert!(language.ends_with("artgpt-smol/SmolLM2-135M-Instruct.Q8_0.gguf"));
        assert_eq!(model.manifest.source[0].file_name(), Some("SmolLM2-135M-Instruct.Q4_1.gguf"));
    }

    #[test]
    fn a_penalty_that_divides_by_nothing_is_refused() {
        let penalty = |p: &str| {
            let text =
                format!("name = \"m\"\n[prompt]\ntemplate = \"chatml\"\nrepetition_penalty = {p}");
            parse(&text, Path::new("m")).map_err(|e| e.to_string())
        };
        assert!(penalty("1.1").is_ok());
        for wrong in ["0.0", "-1.0", "nan", "inf"] {
            assert!(penalty(wrong).is_err_and(|e| e.contains("repetition_penalty")), "{wrong}");
        }
    }

    #[test]
    fn a_manifest_that_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("manifest.toml");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("links");
        let e = Model::find(&folder.path().to_string_lossy(), folder.path()).expect_err("is none");
        assert!(e.to_string().contains("not a regular file"), "{e}");
    }

    #[test]
    fn a_name_cannot_leave_the_models_folder() {
        assert!(parse("name = \"../x\"", Path::new("m")).is_err());
    }
}

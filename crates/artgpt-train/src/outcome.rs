//! The results of a finished run for `--model`: a manifest beside the weights, and LoRA also as a
//! folder of the Python package `peft`.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;

use super::Result;
use artgpt_manifest::Manifest;
use artgpt_manifest::Method;
use artgpt_model::manifest::{AdaptersPart, Model, PathPart, PeftMethod};
use artgpt_model::peft::package;
use artgpt_rundir::TrainConfig;

/// The file of the run's weights.
pub const WEIGHTS: &str = "bridge.safetensors";
/// The folder of LoRA weights in the format of `peft`.
pub const PEFT: &str = "peft";

/// The manifest of the base model with the run's weights; its folder is the run's.
pub fn manifest(base: &Model, config: &TrainConfig, run: &str) -> Manifest {
    let absolute = |path: &Path| {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
    };
    let own = || WEIGHTS.to_string();
    let mut manifest = base.manifest.clone();
    manifest.name = format!("{}-{}", base.manifest.name, run.to_lowercase());
    manifest.description =
        format!("{} by {}, run {run}", base.manifest.name, config.method.describe());
    manifest.source.clear();
    if let Some(part) = &mut manifest.vision {
        part.path = absolute(&base.path(&part.path));
    }
    if let Some(part) = &mut manifest.detector {
        part.path = absolute(&base.path(&part.path));
    }
    // The run's tensors override those of the base's file, which may hold more (`ln_vision`, a
    // tokenizer). A file embedded in the program has no path.
    if let Some(part) = &mut manifest.qformer {
        part.path = match base.is_inside(&part.path) {
            true => own(),
            false => absolute(&base.path(&part.path)),
        };
    }
    manifest.projection = Some(PathPart { path: own() });
    if let (Some(part), Some(path)) = (&mut manifest.language, base.language_path()) {
        part.path = absolute(&path);
        part.requantise = None;
        part.tokenizer = part.tokenizer.take().map(|name| absolute(&base.path(&name)));
    }
    let part = |method| Some(AdaptersPart { method, path: own(), alpha: None });
    manifest.adapters = match &config.method {
        Method::Adapter { .. } => part(PeftMethod::Bottleneck),
        Method::Lora { alpha, .. } => {
            part(PeftMethod::Lora).map(|part| AdaptersPart { alpha: Some(*alpha), ..part })
        }
        Method::Bitfit {} => part(PeftMethod::Bitfit),
        Method::Prefix { .. } => part(PeftMethod::Prefix),
        Method::Full {} => part(PeftMethod::Full),
        Method::Norms {} => part(PeftMethod::Norms),
        Method::Projection {} if config.opens_norms() => part(PeftMethod::Norms),
        Method::Projection {} => None,
    };
    manifest
}

/// Writes the manifest, and the `peft` folder for LoRA. The weights must exist.
///
/// # Errors
/// [`crate::TrainError::Run`] if TOML cannot express the manifest, and those of files and tensors.
pub fn leave(run: &Path, manifest: &Manifest, config: &TrainConfig, base: &str) -> Result<()> {
    let text = toml::to_string(manifest).map_err(|e| crate::config_error(e.to_string()))?;
    artgpt_rundir::write_whole(&run.join("manifest.toml"), text.as_bytes())?;
    if let Method::Lora { .. } = config.method {
        let all = candle_core::safetensors::load(run.join(WEIGHTS), &candle_core::Device::Cpu)?;
        let all: BTreeMap<String, Tensor> = all.into_iter().collect();
        package::write(&run.join(PEFT), &config.method, &all, base)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str) -> Manifest {
        let base = Model::find("artgpt-smol", Path::new("/data/models")).expect("is built in");
        let text = format!(
            "model = \"artgpt-smol\"\ndata = \"d\"\nmethod = {method}\n[[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n"
        );
        manifest(&base, &toml::from_str(&text).expect("parses"), "01ABC")
    }

    #[test]
    fn a_run_names_the_base_by_whole_paths_and_its_own_weights() {
        let lora = of("{ kind = \"lora\", rank = 4, alpha = 3.0 }");
        assert_eq!(lora.name, "artgpt-smol-01abc");
        let language = lora.language.expect("has one");
        assert!(Path::new(&language.path).is_absolute() && language.requantise.is_none());
        let adapters = lora.adapters.expect("has some");
        assert_eq!((adapters.method, adapters.alpha), (PeftMethod::Lora, Some(3.0)));
        assert_eq!(lora.qformer.expect("has one").path, WEIGHTS);
        assert_eq!(of("{ kind = \"projection\" }").adapters, None);
    }
}

//! What models there are to name: built in, installed, and made by training runs.

use std::path::{Path, PathBuf};

use artgpt_fetch::is_installed;
use artgpt_model::manifest::{BUILTIN, Model};

/// A model to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What [`Model::find`] takes: a name, or a run's folder.
    pub reference: String,
    /// A model's name, or a run's id.
    pub heading: String,
    /// What the model is, in one line.
    pub description: String,
}

/// The names of those that are built in (data sets among them), then of those below `models`.
pub fn names(models: &Path) -> Vec<String> {
    let mut names: Vec<String> = BUILTIN.iter().map(|(n, _)| (*n).to_string()).collect();
    let installed = with_manifest(models).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        (!names.contains(&name)).then_some(name)
    });
    let installed: Vec<String> = installed.collect();
    names.extend(installed);
    names
}

/// What can talk: the models, then what the runs below `runs` made, newest first. A manifest that
/// cannot be read is left out.
pub fn choices(models_dir: &Path, runs: &Path) -> Vec<Choice> {
    let mut runs = with_manifest(runs);
    runs.reverse(); // a run's name begins with its time
    let models = names(models_dir).into_iter().map(|name| (name.clone(), name));
    let runs = runs.into_iter().filter_map(|path| {
        Some((path.display().to_string(), path.file_name()?.to_string_lossy().into_owned()))
    });
    let all = models.chain(runs).filter_map(|(reference, heading)| {
        let model = Model::find(&reference, models_dir).ok()?;
        model.manifest.language.as_ref()?;
        let installed = is_installed(&model);
        let told = model.manifest.description;
        // A run's id stands before it.
        let told = told.strip_suffix(&format!(", run {heading}")).unwrap_or(&told);
        // What people call it tells more than how it was made.
        let name = artgpt_rundir::job::called(Path::new(&reference));
        let told = &name.map_or(told.to_string(), |name| format!("{name} · {told}"));
        let description =
            if installed { told.to_string() } else { format!("(to be fetched) {told}") };
        Some(Choice { reference, heading, description })
    });
    all.collect()
}

/// The folders below `dir` that hold a manifest, by name.
fn with_manifest(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.join("manifest.toml").is_file()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_can_be_chosen_and_a_data_set_cannot() {
        let dir = tempfile::tempdir().expect("temp dir");
        let (models, runs) = (dir.path().join("models"), dir.path().join("runs"));
        for (id, text) in [
            ("01A", "name = \"old\"\n[language]\nkind = \"llama\"\npath = \"l.gguf\"\n"),
            ("01B", "name = \"new\"\n[language]\nkind = \"llama\"\npath = \"l.gguf\"\n"),
            ("01C", "not a manifest"),
        ] {
            std::fs::create_dir_all(runs.join(id)).expect("makes");
            std::fs::write(runs.join(id).join("manifest.toml"), text).expect("writes");
        }
        let found = choices(&models, &runs);
        let names: Vec<&str> = found.iter().map(|c| c.heading.as_str()).collect();
        assert_eq!(names, ["artgpt-smol", "01B", "01A"]);
        assert!(found[0].description.starts_with("(to be fetched)"));
        assert!(Model::find(&found[1].reference, &models).is_ok());
    }
}

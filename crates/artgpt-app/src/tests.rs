//! An application layer on a temporary data folder, for the tests of the use cases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{App, AppError, Silent, runs, sessions};
use crate::settings::{Paths, Settings};
use artgpt_jobs::JobError;
use artgpt_rundir::job::RecordError;
use artgpt_store::StoreError;

pub(super) const CONFIG: &str = "model = \"MODEL\"\ndata = \"DATA\"\nmethod = { kind = \"projection\" }\n\
     [[stage]]\nkind = \"align\"\nsteps = 1\nbatch = 1\nlr = 0.1\n";

pub(super) fn app(data: &Path) -> App {
    let settings = Settings { device: "cpu".into(), ..Settings::default() };
    let paths = Paths { data: data.into(), config_file: data.join("config.toml") };
    App { settings, paths, own_variables: Vec::new(), observer: Arc::new(Silent) }
}

/// A configuration with a model and a museum that exist, and hold as little as can be.
pub(super) fn config_file(folder: &Path) -> PathBuf {
    let model = folder.join("tiny.toml");
    std::fs::write(&model, "name = \"tiny\"\n").expect("writes");
    let museum = folder.join("museum");
    std::fs::create_dir_all(&museum).expect("makes");
    let objects = "{\"objects\":[{\"objectID\":1},{\"objectID\":2},{\"objectID\":3}]}";
    std::fs::write(museum.join("objects.json"), objects).expect("writes");
    for id in 1..=3 {
        std::fs::write(museum.join(format!("{id}.jpg")), "").expect("writes");
    }
    let text = CONFIG
        .replace("MODEL", &model.display().to_string())
        .replace("DATA", &museum.display().to_string())
        .replacen("data", "held_out = 1\ndata", 1);
    let path = folder.join("quick.toml");
    std::fs::write(&path, text).expect("writes");
    path
}

#[test]
fn an_unknown_id_is_the_same_error_in_each_use_case() {
    let data = tempfile::tempdir().expect("a folder");
    let app = app(data.path());
    let unknown = |result: super::Result<()>| result.expect_err("is unknown");
    let names = ["nowhere".to_string()];
    for error in [
        unknown(runs::open(&app, "nowhere", None).map(drop)),
        unknown(runs::diff(&app, &names).map(drop)),
        unknown(runs::remove(&app, &names).map(drop)),
    ] {
        assert!(matches!(error, AppError::Record(RecordError::NoRun { .. })), "{error:?}");
    }
    for error in [
        unknown(super::jobs::one(&app, "nowhere").map(drop)),
        unknown(super::jobs::remove(&app, &names).map(drop)),
        unknown(super::jobs::request(&app, &names, artgpt_rundir::job::Wanted::Run).map(drop)),
    ] {
        assert!(matches!(error, AppError::Jobs(JobError::Unknown(_))), "{error:?}");
    }
    let error = unknown(sessions::get(&app, "nowhere").map(drop));
    assert!(matches!(error, AppError::Store(StoreError::Unknown(_))), "{error:?}");
    let error = unknown(super::models::data_folder(&app, "nowhere").map(drop));
    assert!(matches!(error, AppError::Models(_)), "{error:?}");
}

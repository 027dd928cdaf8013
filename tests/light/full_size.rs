//! Every key and shape of the full-size models, as transformers writes them
//! (`tests/reference/make_full_size.py`), against what the loaders ask for.
//!
//! The files are sparse: a true header, and data that takes no disk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;

use crate::common;

#[derive(Deserialize)]
struct Table {
    config: serde_json::Value,
    keys: BTreeMap<String, Vec<usize>>,
}

fn tables() -> BTreeMap<String, Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/full_size.json");
    let text = std::fs::read_to_string(path).expect("reads");
    serde_json::from_str(&text).expect("parses")
}

/// A folder as Hugging Face writes it, all tensors f16 and zero.
fn write(dir: &Path, table: &Table) {
    std::fs::write(dir.join("config.json"), table.config.to_string()).expect("writes");
    write_tensors(&dir.join("model.safetensors"), &table.keys);
}

fn write_tensors(path: &Path, keys: &BTreeMap<String, Vec<usize>>) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in keys {
        let bytes = 2 * shape.iter().product::<usize>() as u64;
        let entry = serde_json::json!({
            "dtype": "F16", "shape": shape, "data_offsets": [end, end + bytes]
        });
        header.insert(name.clone(), entry);
        end += bytes;
    }
    let header = serde_json::Value::from(header).to_string();
    let mut file = std::fs::File::create(path).expect("creates");
    file.write_all(&(header.len() as u64).to_le_bytes()).expect("writes");
    file.write_all(header.as_bytes()).expect("writes");
    file.set_len(8 + header.len() as u64 + end).expect("a file system with sparse files");
}

#[test]
fn the_loaders_ask_for_every_key_and_no_other() {
    for (name, table) in tables() {
        let dir = tempfile::tempdir().expect("temp dir");
        write(dir.path(), &table);
        let out =
            common::bare_json(&["models", "show", "--json", &dir.path().display().to_string()]);
        let weights = &out["weights"];
        let mut parameters = 0;
        for part in weights["parts"].as_array().expect("parts") {
            assert_eq!(part["missing"], serde_json::json!([]), "{name} {part}");
            assert_eq!(part["misshaped"], serde_json::json!([]), "{name} {part}");
            parameters += part["parameters"].as_u64().expect("a number");
        }
        assert_eq!(weights["unused"], serde_json::json!({}), "{name}");
        let all: usize = table.keys.values().map(|s| s.iter().product::<usize>()).sum();
        assert_eq!(parameters, all as u64, "{name}");
        if name == "vicuna-13b" {
            // 13,113,600 an adapter in 40 blocks, 60 norms of 5120 (the paper's section 4).
            let trains = &weights["trainable"]["adapters, norms and projection (the paper)"];
            assert_eq!(*trains, 40 * 13_113_600 + 60 * 5120);
        }
    }
}

type Keys = BTreeMap<String, Vec<usize>>;

fn linear(keys: &mut Keys, name: &str, out: usize, width: usize) {
    keys.insert(format!("{name}.weight"), vec![out, width]);
    keys.insert(format!("{name}.bias"), vec![out]);
}

fn norm(keys: &mut Keys, name: &str, width: usize) {
    keys.insert(format!("{name}.weight"), vec![width]);
    keys.insert(format!("{name}.bias"), vec![width]);
}

/// `eva_vit_g.pth`: 39 blocks of 1408, 224 pixels in patches of 14.
fn eva_vit_g() -> Keys {
    let (width, inner) = (1408, 6144);
    let mut keys = Keys::new();
    keys.insert("cls_token".into(), vec![1, 1, width]);
    keys.insert("pos_embed".into(), vec![1, 257, width]);
    keys.insert("patch_embed.proj.weight".into(), vec![width, 3, 14, 14]);
    keys.insert("patch_embed.proj.bias".into(), vec![width]);
    for i in 0..39 {
        let block = format!("blocks.{i}");
        norm(&mut keys, &format!("{block}.norm1"), width);
        norm(&mut keys, &format!("{block}.norm2"), width);
        keys.insert(format!("{block}.attn.q_bias"), vec![width]);
        keys.insert(format!("{block}.attn.v_bias"), vec![width]);
        keys.insert(format!("{block}.attn.qkv.weight"), vec![3 * width, width]);
        linear(&mut keys, &format!("{block}.attn.proj"), width, width);
        linear(&mut keys, &format!("{block}.mlp.fc1"), inner, width);
        linear(&mut keys, &format!("{block}.mlp.fc2"), width, inner);
    }
    keys
}

/// The part of `blip2_pretrained_flant5xxl.pth` that is used: BERT-base over 32 queries.
fn blip2_qformer() -> Keys {
    let (width, inner, seen) = (768, 3072, 1408);
    let mut keys = Keys::new();
    keys.insert("query_tokens".into(), vec![1, 32, width]);
    norm(&mut keys, "ln_vision", seen);
    norm(&mut keys, "Qformer.bert.embeddings.LayerNorm", width);
    for i in 0..12 {
        let layer = format!("Qformer.bert.encoder.layer.{i}");
        let mut attention = |name: &str, seen: usize| {
            let at = format!("{layer}.{name}");
            linear(&mut keys, &format!("{at}.self.query"), width, width);
            linear(&mut keys, &format!("{at}.self.key"), width, seen);
            linear(&mut keys, &format!("{at}.self.value"), width, seen);
            linear(&mut keys, &format!("{at}.output.dense"), width, width);
            norm(&mut keys, &format!("{at}.output.LayerNorm"), width);
        };
        attention("attention", width);
        if i % 2 == 0 {
            attention("crossattention", seen);
        }
        linear(&mut keys, &format!("{layer}.intermediate_query.dense"), inner, width);
        linear(&mut keys, &format!("{layer}.output_query.dense"), width, inner);
        norm(&mut keys, &format!("{layer}.output_query.LayerNorm"), width);
    }
    keys
}

/// What `ArtGPT-4.pth` adds to a Vicuna of these sizes.
fn artgpt4(hidden: usize, blocks: usize) -> Keys {
    let mut keys = Keys::new();
    linear(&mut keys, "llama_proj", hidden, 768);
    for i in 0..blocks {
        let block = format!("llama_model.model.layers.{i}");
        linear(&mut keys, &format!("{block}.self_attn.1.down"), hidden / 4, hidden);
        linear(&mut keys, &format!("{block}.self_attn.1.up"), hidden, hidden / 4);
        keys.insert(format!("{block}.post_attention_layernorm.weight"), vec![hidden]);
        if i % 2 == 0 {
            keys.insert(format!("{block}.input_layernorm.weight"), vec![hidden]);
        }
    }
    keys
}

/// The names and shapes of the reference project's own files (section 3 of the design), for both
/// sizes. Writes them as a table to `target/tmp/originals-SIZE.tsv`.
#[test]
fn the_originals_are_asked_for_every_key_and_no_other() {
    for (name, hidden, blocks) in [("vicuna-7b", 4096, 32), ("vicuna-13b", 5120, 40)] {
        let dir = tempfile::tempdir().expect("temp dir");
        let vicuna = tables().remove(name).expect("is there");
        std::fs::create_dir(dir.path().join("vicuna")).expect("creates");
        write(&dir.path().join("vicuna"), &vicuna);
        let files =
            [("eva", eva_vit_g()), ("blip2", blip2_qformer()), ("artgpt", artgpt4(hidden, blocks))];
        let mut rows = String::new();
        for (file, keys) in &files {
            write_tensors(&dir.path().join(format!("{file}.safetensors")), keys);
            for (key, shape) in keys {
                rows.push_str(&format!("{file}\t{key}\t{shape:?}\n"));
            }
        }
        let table = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("originals-{name}.tsv"));
        std::fs::write(table, rows).expect("writes");
        let manifest = "name = \"originals\"\n\
            [vision]\nkind = \"eva_vit\"\npath = \"eva.safetensors\"\n\
            [qformer]\npath = \"blip2.safetensors\"\nnum_query_tokens = 32\nhidden_size = 768\n\
            num_hidden_layers = 12\nnum_attention_heads = 12\nintermediate_size = 3072\n\
            cross_attention_freq = 2\nencoder_width = 1408\nstandardise = false\n\
            [projection]\npath = \"artgpt.safetensors\"\n\
            [adapters]\nmethod = \"bottleneck\"\npath = \"artgpt.safetensors\"\n\
            [language]\nkind = \"llama\"\npath = \"vicuna\"\n";
        std::fs::write(dir.path().join("manifest.toml"), manifest).expect("writes");
        let out =
            common::bare_json(&["models", "show", "--json", &dir.path().display().to_string()]);
        let weights = &out["weights"];
        for part in weights["parts"].as_array().expect("parts") {
            assert_eq!(part["missing"], serde_json::json!([]), "{name} {part}");
            assert_eq!(part["misshaped"], serde_json::json!([]), "{name} {part}");
        }
        // Those norms of Vicuna's that were trained are read from the other file.
        assert_eq!(weights["unused"], serde_json::json!({}), "{name}");
    }
}

#[test]
fn a_lacking_key_and_a_wrong_shape_are_named_before_anything_is_loaded() {
    let mut table = tables().remove("vicuna-7b").expect("is there");
    table.keys.remove("model.layers.3.mlp.up_proj.weight");
    table.keys.insert("model.norm.weight".into(), vec![4095]);
    table.keys.insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), vec![64]);
    let dir = tempfile::tempdir().expect("temp dir");
    write(dir.path(), &table);
    let path = dir.path().display().to_string();
    let out = common::bare_json(&["models", "show", "--json", &path]);
    let part = &out["weights"]["parts"][0];
    assert_eq!(part["missing"], serde_json::json!(["model.layers.3.mlp.up_proj.weight"]));
    let shapes = part["misshaped"].to_string();
    assert!(shapes.contains("model.norm.weight: [4095] instead of [4096]"), "{shapes}");
    assert!(out["weights"]["unused"].to_string().contains("inv_freq"));
}

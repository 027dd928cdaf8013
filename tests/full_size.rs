//! Every key and shape of the full-size models, as transformers writes them
//! (`tests/reference/make_full_size.py`), against what the loaders ask for.
//!
//! The files are sparse: a true header, and data that takes no disk.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Deserialize;

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
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in &table.keys {
        let bytes = 2 * shape.iter().product::<usize>() as u64;
        let entry = serde_json::json!({
            "dtype": "F16", "shape": shape, "data_offsets": [end, end + bytes]
        });
        header.insert(name.clone(), entry);
        end += bytes;
    }
    let header = serde_json::Value::from(header).to_string();
    let mut file = std::fs::File::create(dir.join("model.safetensors")).expect("creates");
    file.write_all(&(header.len() as u64).to_le_bytes()).expect("writes");
    file.write_all(header.as_bytes()).expect("writes");
    file.set_len(8 + header.len() as u64 + end).expect("a file system with sparse files");
}

#[test]
fn the_loaders_ask_for_every_key_and_no_other() {
    for (name, table) in tables() {
        let dir = tempfile::tempdir().expect("temp dir");
        write(dir.path(), &table);
        let out = common::json(&["models", "show", "--json", &dir.path().display().to_string()]);
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

#[test]
fn a_lacking_key_and_a_wrong_shape_are_named_before_anything_is_loaded() {
    let mut table = tables().remove("vicuna-7b").expect("is there");
    table.keys.remove("model.layers.3.mlp.up_proj.weight");
    table.keys.insert("model.norm.weight".into(), vec![4095]);
    table.keys.insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), vec![64]);
    let dir = tempfile::tempdir().expect("temp dir");
    write(dir.path(), &table);
    let path = dir.path().display().to_string();
    let out = common::json(&["models", "show", "--json", &path]);
    let part = &out["weights"]["parts"][0];
    assert_eq!(part["missing"], serde_json::json!(["model.layers.3.mlp.up_proj.weight"]));
    let shapes = part["misshaped"].to_string();
    assert!(shapes.contains("model.norm.weight: [4095] instead of [4096]"), "{shapes}");
    assert!(out["weights"]["unused"].to_string().contains("inv_freq"));
}

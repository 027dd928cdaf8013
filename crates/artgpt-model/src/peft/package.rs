//! LoRA in the format of the Python package `peft`: a folder with `adapter_config.json` and
//! `adapter_model.safetensors`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, Result};
use artgpt_manifest::{Method, Target};

const MAX_CONFIG: u64 = 16 << 20;

/// File names in the folder.
pub(crate) const CONFIG: &str = "adapter_config.json";
pub(crate) const WEIGHTS: &str = "adapter_model.safetensors";
/// The prefix of tensor names that `peft` uses for a `LlamaForCausalLM`.
const PREFIX: &str = "base_model.model.model.";
/// The prefix of our names.
const OURS: &str = "llama_model.model.";

/// The fields of `adapter_config.json` that affect the computation.
#[derive(Debug, Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    target_modules: Value,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    layers_to_transform: Option<Value>,
    #[serde(default)]
    rank_pattern: HashMap<String, usize>,
    #[serde(default)]
    alpha_pattern: HashMap<String, f64>,
    #[serde(default)]
    init_lora_weights: Value,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

/// Settings that affect the computation and that we do not implement.
const UNREAD: [&str; 8] = [
    "lora_bias",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "use_qalora",
    "use_bdlora",
    "alora_invocation_tokens",
    "exclude_modules",
];

/// The method in the configuration of a `peft` folder.
pub(crate) fn read_config(dir: &Path) -> Result<Method> {
    let path = dir.join(CONFIG);
    let text = artgpt_base::files::read_text(&path, MAX_CONFIG)
        .map_err(|source| Error::Io { path: path.display().to_string(), source })?;
    let config: Config = serde_json::from_str(&text).map_err(|e| Error::corrupt(&path, e))?;
    let unsupported = |what: &str| Error::Unsupported {
        path: path.display().to_string(),
        what: what.into(),
        hint: "plain LoRA on LLaMA's Linear layers is read; merge others with `peft` first".into(),
    };
    if config.peft_type != "LORA" {
        return Err(unsupported(&format!("peft_type {}", config.peft_type)));
    }
    let odd = [
        (config.use_dora, "use_dora"),
        (config.fan_in_fan_out, "fan_in_fan_out"),
        (config.bias.as_deref().is_some_and(|b| b != "none"), "a bias"),
        (config.modules_to_save.is_some_and(|m| !m.is_empty()), "modules_to_save"),
        (config.layers_to_transform.is_some_and(|l| !l.is_null()), "layers_to_transform"),
        (!config.rank_pattern.is_empty(), "rank_pattern"),
        (!config.alpha_pattern.is_empty(), "alpha_pattern"),
    ];
    if let Some((_, name)) = odd.iter().find(|(used, _)| *used) {
        return Err(unsupported(name));
    }
    let set = |v: &Value| !matches!(v, Value::Null | Value::Bool(false));
    if let Some(name) = UNREAD.iter().find(|name| config.others.get(**name).is_some_and(set)) {
        return Err(unsupported(name));
    }
    // All other initialisations begin by changing the base model's weights.
    let plain = ["gaussian", "eva", "orthogonal"];
    match &config.init_lora_weights {
        Value::Null | Value::Bool(_) => {}
        Value::String(kind) if plain.contains(&kind.as_str()) => {}
        other => return Err(unsupported(&format!("init_lora_weights {other}"))),
    }
    let targets = match &config.target_modules {
        Value::String(all) if all == "all-linear" => Target::ALL.to_vec(),
        Value::Array(names) => names
            .iter()
            .map(|name| {
                let target = serde_json::from_value::<Target>(name.clone());
                target.map_err(|_| unsupported(&format!("the target module {name}")))
            })
            .collect::<Result<_>>()?,
        other => return Err(unsupported(&format!("target_modules {other}"))),
    };
    // rsLoRA divides by the square root of the rank (arXiv 2312.03732).
    let rank = config.r as f64;
    let alpha = if config.use_rslora { config.lora_alpha * rank.sqrt() } else { config.lora_alpha };
    let method = Method::Lora { rank: config.r, alpha, targets };
    method.check().map_err(|reason| Error::corrupt(&path, reason))?;
    Ok(method)
}

/// Our name for a factor of the language model, alone or in BLIP-2 and InstructBLIP; `None` for any other
/// tensor.
pub(crate) fn our_name(theirs: &str) -> Option<String> {
    let prefixes = [
        PREFIX,
        "base_model.model.language_model.model.",
        "base_model.model.model.language_model.",
    ];
    let rest = prefixes.iter().find_map(|p| theirs.strip_prefix(p))?;
    let factor = rest.ends_with(".lora_A.weight") || rest.ends_with(".lora_B.weight");
    (factor && rest.starts_with("layers.")).then(|| format!("{OURS}{rest}"))
}

/// Writes a LoRA as the `peft` folder `dir`, which it replaces. `tensors` have our names; only factors are
/// written. `base` becomes `base_model_name_or_path`.
///
/// # Errors
/// `method` is not LoRA, or a file cannot be written.
pub fn write(
    dir: &Path,
    method: &Method,
    tensors: &BTreeMap<String, Tensor>,
    base: &str,
) -> Result<()> {
    let Method::Lora { rank, alpha, targets } = method else {
        return Err(Error::Unsupported {
            path: dir.display().to_string(),
            what: format!("the method {} in a folder of peft", method.kind()),
            hint: "only lora has one".into(),
        });
    };
    let io = |source| Error::Io { path: dir.display().to_string(), source };
    // Write a staging folder, then rename it.
    let staging = dir.with_extension("partial");
    let _ = std::fs::remove_dir_all(&staging);
    std::fs::create_dir_all(&staging).map_err(io)?;
    let lora: HashMap<String, Tensor> = tensors
        .iter()
        .filter(|(name, _)| name.contains(".lora_"))
        .filter_map(|(name, t)| {
            let name = format!("{PREFIX}{}", name.strip_prefix(OURS)?);
            Some(t.to_dtype(DType::F32).map(|t| (name, t)))
        })
        .collect::<candle_core::Result<_>>()?;
    candle_core::safetensors::save(&lora, staging.join(WEIGHTS))?;
    let names: Vec<&str> = targets.iter().map(|t| t.name()).collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": names,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
    });
    std::fs::write(staging.join(CONFIG), format!("{config:#}\n")).map_err(io)?;
    let _ = std::fs::remove_dir_all(dir);
    std::fs::rename(&staging, dir).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Method> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(CONFIG), text).expect("writes");
        read_config(dir.path())
    }

    #[test]
    fn what_would_be_computed_otherwise_is_refused_by_name() {
        let good = r#""peft_type":"LORA","r":4,"lora_alpha":8"#;
        let lora = parse(&format!("{{{good},\"target_modules\":[\"q_proj\"]}}")).expect("reads");
        assert_eq!(lora, Method::Lora { rank: 4, alpha: 8.0, targets: vec![Target::QProj] });
        let rs =
            parse(&format!("{{{good},\"use_rslora\":true,\"target_modules\":\"all-linear\"}}"));
        let targets = Target::ALL.to_vec();
        assert_eq!(rs.expect("reads"), Method::Lora { rank: 4, alpha: 16.0, targets });
        for (text, named) in [
            (r#""target_modules":["q_proj"],"use_dora":true"#, "use_dora"),
            (r#""target_modules":["lm_head"]"#, "lm_head"),
            (r#""target_modules":["q_proj"],"bias":"all""#, "bias"),
            (r#""target_modules":["q_proj"],"rank_pattern":{"x":2}"#, "rank_pattern"),
            (r#""target_modules":["q_proj"],"lora_bias":true"#, "lora_bias"),
            (r#""target_modules":["q_proj"],"init_lora_weights":"pissa""#, "pissa"),
        ] {
            let error = parse(&format!("{{{good},{text}}}")).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
        let other = r#"{"peft_type":"IA3","r":4,"lora_alpha":8,"target_modules":[]}"#;
        assert!(parse(other).expect_err("no LoRA").to_string().contains("IA3"));
    }

    #[test]
    fn names_of_peft_become_ours_also_inside_a_larger_model() {
        let tail = "layers.3.self_attn.q_proj.lora_A.weight";
        for prefix in [PREFIX, "base_model.model.language_model.model."] {
            let ours = our_name(&format!("{prefix}{tail}")).expect("is one of a block");
            assert_eq!(ours, format!("{OURS}{tail}"));
        }
        for other in [
            "base_model.model.lm_head.lora_A.weight",
            "base_model.model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
        ] {
            assert_eq!(our_name(other), None, "{other}");
        }
    }
}

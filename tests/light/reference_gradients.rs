//! Gradients of every fine-tuning method against PyTorch's (`tests/reference/make_gradients.py`).

use std::collections::HashMap;

use artgpt_kernels::matrix::{Matrix, Precision};
use artgpt_kernels::mode::{Differentiable, RopeLayout};
use artgpt_kernels::ops::attention::{Sight, Span};
use artgpt_kernels::ops::cross_entropy::cross_entropy;
use artgpt_manifest::{Method, Target};
use artgpt_model::llama::{Block, Llama, LlamaConfig, RopeScaling};
use artgpt_model::peft::Tuning;
use artgpt_train::Params;
use candle_core::{DType, Device, Result, Tensor};

const LAYERS: usize = 2;

fn reference() -> HashMap<String, Tensor> {
    let bytes = include_bytes!("../reference/gradients.safetensors");
    candle_core::safetensors::load_buffer(bytes, &Device::Cpu).expect("the reference is readable")
}

/// The network of the script, in which `method` trains what the script says.
fn network(
    all: &HashMap<String, Tensor>,
    method: &Method,
    params: &Params,
) -> Result<Llama<Differentiable>> {
    let config = LlamaConfig {
        hidden_size: 16,
        num_hidden_layers: LAYERS,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        intermediate_size: 20,
        vocab_size: 24,
        context_length: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_layout: RopeLayout::Halves,
        rope_scaling: RopeScaling::None,
    };
    let prefix = format!("{}.value.", method.kind());
    for (name, value) in all {
        if let Some(name) = name.strip_prefix(&prefix) {
            params.set(name, value)?;
        }
    }
    let full = *method == Method::Full {};
    let layers = (0..LAYERS)
        .map(|i| {
            let base = |name: &str| all[&format!("base.{i}.{name}")].clone();
            let vb = params.builder().pp("llama_model.model.layers").pp(i);
            let matrix = |names: &[&str]| -> Result<Matrix> {
                let parts = names.iter().map(|name| match full {
                    true => vb.get(base(name).dims(), &format!("{name}.weight")),
                    false => Ok(base(name)),
                });
                let parts = parts.collect::<Result<Vec<_>>>()?;
                Ok(match full {
                    true => Matrix::Trained(parts),
                    false => Matrix::Dense(Tensor::cat(&parts, 0)?),
                })
            };
            Ok(Block {
                input_layernorm: base("input_layernorm"),
                qkv_proj: matrix(&["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"])?,
                o_proj: matrix(&["self_attn.o_proj"])?,
                post_attention_layernorm: base("post_attention_layernorm"),
                gate_up_proj: matrix(&["mlp.gate_proj", "mlp.up_proj"])?,
                down_proj: matrix(&["mlp.down_proj"])?,
                tuning: Tuning::load(method, &config, &vb)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let dense = |name: &str| Matrix::Dense(all[&format!("base.{name}")].clone());
    Llama::new(
        config,
        dense("embed"),
        layers,
        all["base.norm"].clone(),
        dense("head"),
        &Device::Cpu,
    )
}

#[test]
fn every_methods_gradients_are_pytorchs() -> Result<()> {
    let all = reference();
    let ids: Vec<u32> = all["ids"].to_dtype(DType::U32)?.to_vec1()?;
    let (read, targets) = (&ids[..ids.len() - 1], ids[1..].to_vec());
    let places = read.len();
    for (method, tensors) in [
        (Method::Adapter { zero_up: false }, 12),
        (Method::Lora { rank: 2, alpha: 3.0, targets: Target::ALL.to_vec() }, 28),
        (Method::Bitfit {}, 14),
        (Method::Prefix { tokens: 3 }, 4),
        (Method::Full {}, 14),
    ] {
        let kind = method.kind();
        let params = Params::new(1, &Device::Cpu);
        let model = network(&all, &method, &params)?;
        let rotary = model.rotary_at(&(0..places as u32).collect::<Vec<_>>())?;
        let sight = Sight::new(vec![Span { places: 0..places, prefix: 0 }]).expect("covers all");
        let hidden = model.forward(&model.embed(read)?, &rotary, &sight)?;
        let logits = model.logits(&hidden, Precision::Exact)?.squeeze(0)?;
        let weights = vec![1.0 / places as f32; places];
        let loss = cross_entropy(&logits, targets.clone(), weights)?;
        let expected = all[&format!("{kind}.loss")].to_vec1::<f32>()?[0];
        assert!((loss.to_scalar::<f32>()? - expected).abs() < 1e-5, "{kind}: {loss} {expected}");
        let grads = loss.backward()?;
        let trainable = params.trainable();
        assert_eq!(trainable.len(), tensors, "{kind}");
        for (name, var) in trainable {
            let theirs = &all[&format!("{kind}.grad.{name}")];
            let ours = grads.get(&var).unwrap_or_else(|| panic!("{kind}: {name} has no gradient"));
            let gap = (ours - theirs)?.abs()?.max_all()?.to_scalar::<f32>()?;
            let size = theirs.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(size > 0.0 && gap <= 1e-5 * size.max(0.1), "{kind} {name}: {gap} of {size}");
        }
    }
    Ok(())
}

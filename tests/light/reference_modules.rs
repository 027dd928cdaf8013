//! Vision encoder, Q-Former and adapter blocks against PyTorch
//! (`tests/reference/make_modules.py`).

use std::collections::HashMap;
use std::path::Path;

use artgpt_kernels::matrix::{Matrix, Precision};
use artgpt_kernels::mode::{Differentiable, Fused, Mode, RopeLayout};
use artgpt_kernels::ops::attention::{Sight, Span};
use artgpt_model::llama::{Block, Llama, LlamaConfig, RopeScaling};
use artgpt_model::peft::{Bottleneck, Tuning};
use artgpt_model::qformer::{QFormer, QFormerConfig};
use artgpt_model::vision::VisionEncoder;
use artgpt_model::vision::efficientnet_lite::{Config, EfficientNetLite, Stage};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

const TOLERANCE: f32 = 1e-4;

fn tensors(name: &str) -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
    candle_core::safetensors::load(path, &Device::Cpu).expect("a reference file")
}

fn assert_close(ours: &Tensor, reference: &Tensor, what: &str) {
    assert_eq!(ours.dims(), reference.dims(), "{what}");
    let gap = (ours - reference).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>());
    let gap = gap.expect("numbers");
    assert!(gap < TOLERANCE, "{what}: {gap}");
}

#[test]
fn the_vision_encoder_is_pytorchs() -> Result<()> {
    let all = tensors("efficientnet_lite.safetensors");
    let stage = |expand, kernel, stride, out| Stage { expand, kernel, stride, out, repeats: 1 };
    let config = Config {
        stem: 8,
        stages: vec![
            stage(1, 3, 1, 4),
            Stage { repeats: 2, ..stage(3, 3, 2, 6) },
            Stage { repeats: 2, ..stage(2, 5, 2, 8) },
        ],
        head: 16,
        taps: vec![0, 2],
    };
    let vb = VarBuilder::from_tensors(all.clone(), DType::F32, &Device::Cpu);
    let encoder = EfficientNetLite::load(&config, vb)?;
    assert_close(&encoder.encode(&all["input"])?, &all["output"], "tokens");
    Ok(())
}

#[test]
fn the_qformer_is_transformers_in_both_modes() -> Result<()> {
    let all = tensors("qformer.safetensors");
    let config = QFormerConfig {
        num_query_tokens: 6,
        hidden_size: 32,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        intermediate_size: 48,
        cross_attention_freq: 2,
        encoder_width: 20,
        layer_norm_eps: 1e-12,
        image_grid: 0,
        relation_channels: 0,
        standardise: true,
        text: None,
    };
    let vb = VarBuilder::from_tensors(all.clone(), DType::F32, &Device::Cpu);
    let qformer = QFormer::load(&config, vb)?;
    assert_close(&qformer.forward::<Fused>(&all["input"], &[], None)?, &all["output"], "fused");
    assert_close(
        &qformer.forward::<Differentiable>(&all["input"], &[], None)?,
        &all["output"],
        "differentiable",
    );
    Ok(())
}

#[test]
fn llama_with_adapters_is_pytorchs_in_both_modes() -> Result<()> {
    let all = tensors("adapter_llama.safetensors");
    let ids: Vec<u32> = all["input"].to_dtype(DType::U32)?.flatten_all()?.to_vec1()?;
    let fused = llama::<Fused>(&all)?;
    let mut cache = fused.new_cache()?;
    // In two pieces, so that the KV cache is part of what is compared.
    let first = fused.extend(&fused.embed(&ids[..7])?, &mut cache, Precision::Exact)?;
    let second = fused.extend(&fused.embed(&ids[7..])?, &mut cache, Precision::Exact)?;
    let logits = fused.logits(&Tensor::cat(&[first, second], 1)?, Precision::Exact)?;
    assert_close(&logits, &all["output"], "fused");

    let trained = llama::<Differentiable>(&all)?;
    let positions: Vec<u32> = (0..ids.len() as u32).collect();
    let sight = Sight::new(vec![Span { places: 0..ids.len(), prefix: 0 }]).expect("covers all");
    let hidden = trained.forward(&trained.embed(&ids)?, &trained.rotary_at(&positions)?, &sight)?;
    assert_close(&trained.logits(&hidden, Precision::Exact)?, &all["output"], "differentiable");
    Ok(())
}

fn llama<M: Mode>(all: &HashMap<String, Tensor>) -> Result<Llama<M>> {
    let config = LlamaConfig {
        hidden_size: 32,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        intermediate_size: all["model.layers.0.mlp.gate_proj.weight"].dim(0)?,
        vocab_size: 40,
        context_length: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_layout: RopeLayout::Halves,
        rope_scaling: RopeScaling::None,
    };
    let vb = VarBuilder::from_tensors(all.clone(), DType::F32, &Device::Cpu);
    let layers = (0..3)
        .map(|i| {
            let key = |name: &str| format!("model.layers.{i}.{name}.weight");
            let stacked = |names: &[&str]| -> Result<Matrix> {
                let parts: Vec<_> = names.iter().map(|n| all[&key(n)].clone()).collect();
                Ok(Matrix::Dense(Tensor::cat(&parts, 0)?))
            };
            Ok(Block {
                input_layernorm: all[&key("input_layernorm")].clone(),
                qkv_proj: stacked(&["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"])?,
                o_proj: stacked(&["self_attn.o_proj"])?,
                post_attention_layernorm: all[&key("post_attention_layernorm")].clone(),
                gate_up_proj: stacked(&["mlp.gate_proj", "mlp.up_proj"])?,
                down_proj: stacked(&["mlp.down_proj"])?,
                tuning: Tuning {
                    adapter: Some(Bottleneck::load(32, false, vb.pp("model.layers").pp(i))?),
                    ..Tuning::default()
                },
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let embed = Matrix::Dense(all["model.embed_tokens.weight"].clone());
    let head = Matrix::Dense(all["lm_head.weight"].clone());
    Llama::new(config, embed, layers, all["model.norm.weight"].clone(), head, &Device::Cpu)
}

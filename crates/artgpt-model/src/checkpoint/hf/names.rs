//! Tensor names: from those of the original checkpoints, which the network uses, to Hugging Face's.

/// The name in a Hugging Face folder of the bridge's tensor `name`. `text`: the Q-Former has a text
/// branch.
pub(crate) fn bridge_name(name: &str, text: bool) -> String {
    if let Some(rest) = name.strip_prefix("llama_proj.") {
        return format!("language_projection.{rest}");
    }
    let Some(rest) = name.strip_prefix("Qformer.bert.") else { return name.to_string() };
    if let Some(rest) = rest.strip_prefix("embeddings.LayerNorm") {
        let norm = if text { "qformer.embeddings.layernorm" } else { "qformer.layernorm" };
        return format!("{norm}{rest}");
    }
    format!("qformer.{}", rest.replace(".self.", ".attention."))
}

/// The name in a Hugging Face folder of the vision encoder's tensor `name`.
pub(crate) fn vision_name(name: &str) -> String {
    let root = "vision_model";
    match name {
        "cls_token" => return format!("{root}.embeddings.class_embedding"),
        "pos_embed" => return format!("{root}.embeddings.position_embedding"),
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("patch_embed.proj.") {
        return format!("{root}.embeddings.patch_embedding.{rest}");
    }
    if let Some(rest) = name.strip_prefix("ln_vision.") {
        return format!("{root}.post_layernorm.{rest}");
    }
    let Some(rest) = name.strip_prefix("blocks.") else { return name.to_string() };
    let rest = rest
        .replace(".norm1.", ".layer_norm1.")
        .replace(".norm2.", ".layer_norm2.")
        .replace(".attn.proj.", ".self_attn.projection.")
        .replace(".attn.", ".self_attn.");
    format!("{root}.encoder.layers.{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_transformers_writes() {
        for (ours, theirs) in [
            (
                "Qformer.bert.encoder.layer.2.crossattention.self.key.weight",
                "qformer.encoder.layer.2.crossattention.attention.key.weight",
            ),
            (
                "Qformer.bert.encoder.layer.0.attention.output.LayerNorm.bias",
                "qformer.encoder.layer.0.attention.output.LayerNorm.bias",
            ),
            ("Qformer.bert.embeddings.LayerNorm.weight", "qformer.embeddings.layernorm.weight"),
            (
                "Qformer.bert.embeddings.word_embeddings.weight",
                "qformer.embeddings.word_embeddings.weight",
            ),
            ("llama_proj.bias", "language_projection.bias"),
            ("query_tokens", "query_tokens"),
        ] {
            assert_eq!(bridge_name(ours, true), theirs);
        }
        assert_eq!(
            bridge_name("Qformer.bert.embeddings.LayerNorm.bias", false),
            "qformer.layernorm.bias"
        );
        assert_eq!(
            vision_name("blocks.3.attn.proj.weight"),
            "vision_model.encoder.layers.3.self_attn.projection.weight"
        );
        assert_eq!(
            vision_name("blocks.0.mlp.fc1.bias"),
            "vision_model.encoder.layers.0.mlp.fc1.bias"
        );
        assert_eq!(
            vision_name("blocks.0.attn.qkv.bias"),
            "vision_model.encoder.layers.0.self_attn.qkv.bias"
        );
    }
}

"""Keys and shapes of the full-size checkpoints, from transformers on the meta device (no memory).

    python tests/reference/make_full_size.py

Writes tests/reference/full_size.json: for each model, `KEY SHAPE` lines. The names of the
originals' files (EVA, Q-Former, adapters) are those of section 3 of the design; here they are
checked through the Hugging Face names that the same loaders map to.
"""

import json
from pathlib import Path

import torch
from transformers import (
    Blip2Config, Blip2ForConditionalGeneration, InstructBlipConfig,
    InstructBlipForConditionalGeneration, LlamaConfig, LlamaForCausalLM,
)

SIZES = {
    "vicuna-7b": dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
                      num_attention_heads=32, vocab_size=32001, max_position_embeddings=2048),
    "vicuna-13b": dict(hidden_size=5120, intermediate_size=13824, num_hidden_layers=40,
                       num_attention_heads=40, vocab_size=32001, max_position_embeddings=2048),
}
out = {}
with torch.device("meta"):
    for name, size in SIZES.items():
        out[name] = LlamaForCausalLM(LlamaConfig(**size))
    text = dict(SIZES["vicuna-7b"], model_type="llama")
    # The defaults of these configurations are EVA-ViT-g with 39 blocks and BERT-base.
    out["instructblip-vicuna-7b"] = InstructBlipForConditionalGeneration(
        InstructBlipConfig(text_config=text))
    out["blip2-vicuna-7b"] = Blip2ForConditionalGeneration(Blip2Config(text_config=text))
tables = {}
for name, model in out.items():
    folder = Path("/tmp") / f"full-size-{name}"
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    keys = {}
    for key, value in model.state_dict().items():
        # The names that saving writes.
        for now, saved in [("model.language_model.", "language_model.model."), ("model.", "")]:
            if "blip" in name and key.startswith(now):
                key = saved + key[len(now):]
                break
        if "blip" in name and key == "lm_head.weight":
            key = "language_model.lm_head.weight"
        keys[key] = list(value.shape)
    tables[name] = {"config": config, "keys": keys}
path = Path(__file__).parent / "full_size.json"
path.write_text(json.dumps(tables, separators=(",", ":")) + "\n")
print(path.stat().st_size)

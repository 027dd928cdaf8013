"""Writes a full-size model with random weights: Vicuna-7B's shape as Q4_K, EVA-ViT-g and Q-Former
in f16, and a manifest that joins them. For benchmarks of speed and memory; its answers are meaningless.

    pip install numpy gguf safetensors
    python scripts/full_size_model.py FOLDER VOCABULARY.gguf

VOCABULARY is any GGUF with LLaMA's vocabulary, for example the small one in
tests/reference/tokenizers; it is padded to 32000 tokens.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

folder, vocabulary = pathlib.Path(sys.argv[1]), sys.argv[2]
folder.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(1)
HIDDEN, INNER, BLOCKS, HEADS, VOCAB = 4096, 11008, 32, 32, 32000
# Random blocks are reused: generating gigabytes takes longer than writing them.
POOL = 4096


def q4_k(out: int, width: int) -> np.ndarray:
    """Blocks of 256 values: f16 scale and minimum, 12 bytes of 6-bit scales, 128 of nibbles."""
    blocks = np.empty((POOL, 144), np.uint8)
    scale = (0.35 / np.sqrt(width) / 8 / 32 * rng.uniform(0.5, 1.5, POOL)).astype(np.float16)
    blocks[:, 0:2] = scale[:, None].view(np.uint8)
    # A minimum that centres the values on zero.
    blocks[:, 2:4] = (scale * np.float16(7.5)).astype(np.float16)[:, None].view(np.uint8)
    # Scales and minima of all eight parts are 32.
    blocks[:, 4:16] = np.frombuffer(bytes([32] * 8 + [0] * 4), np.uint8)
    blocks[:, 16:] = rng.integers(0, 256, (POOL, 128), dtype=np.uint8)
    count = out * width // 256
    return blocks[rng.integers(0, POOL, count)].reshape(out, width // 256 * 144)


def language() -> None:
    old = gguf.GGUFReader(vocabulary)
    field = lambda key: old.fields[f"tokenizer.ggml.{key}"].contents()
    tokens, scores, types = (field(k) for k in ("tokens", "scores", "token_type"))
    while len(tokens) < VOCAB:
        tokens.append(f"<unused{len(tokens)}>")
        scores.append(-1e4)
        types.append(gguf.TokenType.UNUSED)
    writer = gguf.GGUFWriter(folder / "vicuna-7b.Q4_K.gguf", "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    ones = np.ones(HIDDEN, np.float32)
    add = lambda name, out, width: writer.add_tensor(
        f"{name}.weight", q4_k(out, width), raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    add("token_embd", VOCAB, HIDDEN)
    for i in range(BLOCKS):
        writer.add_tensor(f"blk.{i}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{i}.ffn_norm.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{i}.{name}", HIDDEN, HIDDEN)
        add(f"blk.{i}.ffn_gate", INNER, HIDDEN)
        add(f"blk.{i}.ffn_up", INNER, HIDDEN)
        add(f"blk.{i}.ffn_down", HIDDEN, INNER)
    writer.add_tensor("output_norm.weight", ones)
    add("output", VOCAB, HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rest() -> None:
    table = pathlib.Path(__file__).parent.parent / "tests/reference/full_size.json"
    table = json.loads(table.read_text())["blip2-vicuna-7b"]
    pool = rng.normal(0, 1, 1 << 20).astype(np.float16)
    tensors = {}
    for name, shape in table["keys"].items():
        if name.startswith("language_model."):
            continue
        count = int(np.prod(shape))
        values = np.resize(pool, count).reshape(shape)
        norm = "norm" in name.lower() and name.endswith("weight")
        scale = 0.01 if len(shape) < 2 else 0.5 / np.sqrt(np.prod(shape[1:]))
        tensors[name] = (values * np.float16(scale) + np.float16(norm)).astype(np.float16)
    (folder / "sight").mkdir(exist_ok=True)
    (folder / "sight/config.json").write_text(json.dumps(table["config"]))
    save_file(tensors, folder / "sight/model.safetensors")


language()
rest()
(folder / "manifest.toml").write_text("""name = "full-size"
description = "Random weights at full size"

[vision]
kind = "eva_vit"
path = "sight"

[qformer]
path = "sight"
num_query_tokens = 32
hidden_size = 768
num_hidden_layers = 12
num_attention_heads = 12
intermediate_size = 3072
cross_attention_freq = 2
encoder_width = 1408
standardise = false

[language]
kind = "llama"
path = "vicuna-7b.Q4_K.gguf"

[prompt]
template = "vicuna"
""")

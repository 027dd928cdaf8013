"""Gradients of each fine-tuning method by PyTorch's autograd, for tests/light/reference_gradients.rs.

    pip install torch safetensors
    python tests/reference/make_gradients.py

A LLaMA of two blocks is written out here in plain PyTorch, with what each method adds where its
paper puts it. Writes gradients.safetensors: the frozen weights under `base.`, and for each method the
loss, what trains (`METHOD.value.NAME`) and its gradients (`METHOD.grad.NAME`).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

VOCAB, HIDDEN, HEADS, KV, WIDTH, INNER, LAYERS = 24, 16, 4, 2, 4, 20, 2
RANK, ALPHA, PREFIX = 2, 3.0, 3
SIZES = {
    "self_attn.q_proj": (HEADS * WIDTH, HIDDEN), "self_attn.k_proj": (KV * WIDTH, HIDDEN),
    "self_attn.v_proj": (KV * WIDTH, HIDDEN), "self_attn.o_proj": (HIDDEN, HEADS * WIDTH),
    "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER),
}
torch.manual_seed(5)
BASE = {"embed": torch.randn(VOCAB, HIDDEN), "norm": 1 + 0.2 * torch.randn(HIDDEN),
        "head": 0.4 * torch.randn(VOCAB, HIDDEN)}
for layer in range(LAYERS):
    for name, size in SIZES.items():
        BASE[f"{layer}.{name}"] = 0.4 * torch.randn(size)
    for name in ("input_layernorm", "post_attention_layernorm"):
        BASE[f"{layer}.{name}"] = 1 + 0.2 * torch.randn(HIDDEN)
IDS = torch.randint(0, VOCAB, (9,))


def parameters(method):
    """What trains, by the names of a run's file."""
    out = {}
    for layer in range(LAYERS):
        at = f"llama_model.model.layers.{layer}."
        if method == "adapter":
            inner = HIDDEN // 4
            for part, size in (("down", (inner, HIDDEN)), ("up", (HIDDEN, inner))):
                out[f"{at}self_attn.1.{part}.weight"] = 0.3 * torch.randn(size)
                out[f"{at}self_attn.1.{part}.bias"] = 0.3 * torch.randn(size[0])
            for name in ("input_layernorm", "post_attention_layernorm"):
                out[f"{at}{name}.weight"] = BASE[f"{layer}.{name}"].clone()
        for name, (rows, columns) in SIZES.items():
            if method == "lora":
                out[f"{at}{name}.lora_A.weight"] = 0.3 * torch.randn(RANK, columns)
                out[f"{at}{name}.lora_B.weight"] = 0.3 * torch.randn(rows, RANK)
            if method == "bitfit":
                out[f"{at}{name}.bias"] = 0.3 * torch.randn(rows)
        if method == "prefix":
            out[f"{at}self_attn.prefix.keys"] = 0.5 * torch.randn(PREFIX, KV, WIDTH)
            out[f"{at}self_attn.prefix.values"] = 0.5 * torch.randn(PREFIX, KV, WIDTH)
        if method == "full":
            for name in SIZES:
                out[f"{at}{name}.weight"] = BASE[f"{layer}.{name}"].clone()
    return {name: value.requires_grad_() for name, value in out.items()}


def rms(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def rotate(x):  # (heads, tokens, width), Hugging Face's halves
    half = WIDTH // 2
    angle = torch.arange(x.shape[1])[:, None] / 10000 ** (torch.arange(half) * 2 / WIDTH)
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def loss(p):
    x = BASE["embed"][IDS[:-1]]
    tokens = len(x)
    for layer in range(LAYERS):
        at = f"llama_model.model.layers.{layer}."
        norm = lambda name: p.get(f"{at}{name}.weight", BASE[f"{layer}.{name}"])

        def linear(name, x):
            y = x @ p.get(f"{at}{name}.weight", BASE[f"{layer}.{name}"]).T
            if f"{at}{name}.lora_A.weight" in p:
                down, up = p[f"{at}{name}.lora_A.weight"], p[f"{at}{name}.lora_B.weight"]
                y = y + x @ down.T @ up.T * (ALPHA / RANK)
            return y + p.get(f"{at}{name}.bias", 0.0)

        h = rms(x, norm("input_layernorm"))
        split = lambda y, heads: y.view(tokens, heads, WIDTH).transpose(0, 1)
        q = rotate(split(linear("self_attn.q_proj", h), HEADS))
        k = rotate(split(linear("self_attn.k_proj", h), KV))
        v = split(linear("self_attn.v_proj", h), KV)
        seen = torch.ones(tokens, tokens).tril().bool()
        if f"{at}self_attn.prefix.keys" in p:
            k = torch.cat([p[f"{at}self_attn.prefix.keys"].transpose(0, 1), k], 1)
            v = torch.cat([p[f"{at}self_attn.prefix.values"].transpose(0, 1), v], 1)
            seen = torch.cat([torch.ones(tokens, PREFIX).bool(), seen], 1)
        k, v = (t.repeat_interleave(HEADS // KV, 0) for t in (k, v))
        scores = (q @ k.transpose(1, 2) / WIDTH**0.5).masked_fill(~seen, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(0, 1).reshape(tokens, HEADS * WIDTH)
        x = x + linear("self_attn.o_proj", y)
        if f"{at}self_attn.1.down.weight" in p:
            adapter = lambda part, x: F.linear(
                x, p[f"{at}self_attn.1.{part}.weight"], p[f"{at}self_attn.1.{part}.bias"])
            x = x + adapter("up", F.gelu(adapter("down", x)))
        h = rms(x, norm("post_attention_layernorm"))
        x = x + linear("mlp.down_proj", F.silu(linear("mlp.gate_proj", h)) * linear("mlp.up_proj", h))
    return F.cross_entropy(rms(x, BASE["norm"]) @ BASE["head"].T, IDS[1:])


if __name__ == "__main__":
    out = {f"base.{name}": value for name, value in BASE.items()} | {"ids": IDS.float()}
    for method in ("adapter", "lora", "bitfit", "prefix", "full"):
        p = parameters(method)
        value = loss(p)
        value.backward()
        out[f"{method}.loss"] = value.detach().reshape(1)
        for name, tensor in p.items():
            out[f"{method}.value.{name}"] = tensor.detach()
            out[f"{method}.grad.{name}"] = tensor.grad
    save_file({k: v.contiguous().clone() for k, v in out.items()},
              Path(__file__).parent / "gradients.safetensors")

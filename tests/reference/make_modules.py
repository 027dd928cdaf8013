"""Random small modules in PyTorch and what they compute, for tests/light/reference_modules.rs.

    pip install torch transformers safetensors
    python tests/reference/make_modules.py

Writes efficientnet_lite.safetensors, qformer.safetensors and adapter_llama.safetensors beside this
file. Weights have the key names of the checkpoints that our loaders read.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import Blip2QFormerConfig, Blip2QFormerModel, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

HERE = Path(__file__).parent


def save(name, tensors):
    save_file({k: v.detach().float().contiguous().clone() for k, v in tensors.items()}, HERE / name)


# --- EfficientNet-lite: TensorFlow "same" padding, batch norm with eps 1e-3, ReLU6 ---------------

STEM, HEAD, TAPS = 8, 16, [0, 2]
STAGES = [(1, 3, 1, 4, 1), (3, 3, 2, 6, 2), (2, 5, 2, 8, 2)]  # expand, kernel, stride, out, repeats


def same_conv(x, weight, stride, groups=1):
    kernel = weight.shape[-1]
    pads = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def efficientnet_lite():
    torch.manual_seed(1)
    w = {}

    def conv(name, out, inp, kernel):
        w[f"{name}.weight"] = torch.randn(out, inp, kernel, kernel) / (inp * kernel**2) ** 0.5

    def norm(name, width):
        w[f"{name}.weight"] = 1 + 0.1 * torch.randn(width)
        w[f"{name}.bias"] = 0.1 * torch.randn(width)
        w[f"{name}.running_mean"] = 0.1 * torch.randn(width)
        w[f"{name}.running_var"] = 0.5 + torch.rand(width)

    def bn(x, name):
        p = [w[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *p, training=False, eps=1e-3)

    pixels = torch.randn(2, 3, 32, 32)
    conv("_conv_stem", STEM, 3, 3), norm("_bn0", STEM)
    x = F.relu6(bn(same_conv(pixels, w["_conv_stem.weight"], 2), "_bn0"))
    taps, channels, i = [x], STEM, 0
    for expand, kernel, stride, out, repeats in STAGES:
        for repeat in range(repeats):
            p, inner, s = f"_blocks.{i}.", channels * expand, stride if repeat == 0 else 1
            y = x
            if expand != 1:
                conv(p + "_expand_conv", inner, channels, 1), norm(p + "_bn0", inner)
                y = F.relu6(bn(same_conv(y, w[p + "_expand_conv.weight"], 1), p + "_bn0"))
            conv(p + "_depthwise_conv", inner, 1, kernel), norm(p + "_bn1", inner)
            y = F.relu6(bn(same_conv(y, w[p + "_depthwise_conv.weight"], s, inner), p + "_bn1"))
            conv(p + "_project_conv", out, inner, 1), norm(p + "_bn2", out)
            y = bn(same_conv(y, w[p + "_project_conv.weight"], 1), p + "_bn2")
            x = y + x if s == 1 and channels == out else y
            if i in TAPS:
                taps.append(x)
            channels, i = out, i + 1
    conv("_conv_head", HEAD, channels, 1), norm("_bn1", HEAD)
    x = F.relu6(bn(same_conv(x, w["_conv_head.weight"], 1), "_bn1"))
    grid = x.shape[-1]
    parts = [F.avg_pool2d(t, t.shape[-1] // grid) for t in taps] + [x]
    tokens = torch.cat(parts, 1).flatten(2).transpose(1, 2)
    save("efficientnet_lite.safetensors", {**w, "input": pixels, "output": tokens})


# --- Q-Former: transformers' own, under the names of the original checkpoint -----------------------


def qformer():
    torch.manual_seed(2)
    config = Blip2QFormerConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
        cross_attention_frequency=2, encoder_hidden_size=20, layer_norm_eps=1e-12,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    model = Blip2QFormerModel(config).eval()
    for name, p in model.named_parameters():
        torch.nn.init.normal_(p, 1.0 if "norm" in name.lower() and p.dim() == 1 and "weight" in name else 0.0, 0.15)
    queries, image = torch.randn(1, 6, 32), torch.randn(2, 9, 20)
    with torch.no_grad():
        output = model(query_embeds=queries.expand(2, -1, -1), encoder_hidden_states=image).last_hidden_state
    weights = {"query_tokens": queries}
    for name, tensor in model.state_dict().items():
        name = name.replace("attention.attention.", "attention.self.")
        name = name.replace("layernorm.", "embeddings.LayerNorm.") if name.startswith("layernorm") else name
        weights["Qformer.bert." + name] = tensor
    save("qformer.safetensors", {**weights, "input": image, "output": output})


# --- LLaMA with the paper's adapter: after self-attention was added, before the MLP's norm ---------


class AdaptedLayer(LlamaDecoderLayer):
    def __init__(self, config, index):
        super().__init__(config, index)
        h = config.hidden_size
        self.down, self.up = torch.nn.Linear(h, h // 4), torch.nn.Linear(h // 4, h)

    def forward(self, hidden_states, **kwargs):
        x = hidden_states
        x = x + self.self_attn(hidden_states=self.input_layernorm(x), **kwargs)[0]
        x = self.up(F.gelu(self.down(x))) + x
        return x + self.mlp(self.post_attention_layernorm(x))


def adapter_llama():
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=56, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=64,
        tie_word_embeddings=False, attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    model.model.layers = torch.nn.ModuleList(AdaptedLayer(config, i) for i in range(3))
    model.eval()
    for name, p in model.named_parameters():
        torch.nn.init.normal_(p, 1.0 if "norm" in name else 0.0, 0.2)
    ids = torch.randint(0, 40, (1, 11))
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
    save("adapter_llama.safetensors", {**model.state_dict(), "input": ids, "output": logits})


if __name__ == "__main__":
    efficientnet_lite()
    qformer()
    adapter_llama()

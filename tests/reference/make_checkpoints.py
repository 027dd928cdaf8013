"""Small checkpoints with the layouts of real ones, and what PyTorch computes with them.

    pip install torch transformers tokenizers pillow
    python tests/reference/make_checkpoints.py

Writes tests/reference/checkpoints/: Hugging Face folders (InstructBLIP and BLIP-2 with a LLaMA,
plain LLaMAs with grouped-query attention, RoPE scaling, tied embeddings, shards, bf16), a folder
of the originals (`eva_vit_g.pth`, `blip2_pretrained_flant5xxl.pth`, `ArtGPT-4.pth`, a LLaMA), and
`expected.json`: for each, a prompt, greedy token ids, and log-probabilities of an answer.

The originals' vision encoder, Q-Former and image adapter are computed with the modules below,
which follow the papers and the key names of the published files.
"""

import json
import math
import shutil
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import (
    Blip2Config, Blip2ForConditionalGeneration, InstructBlipConfig,
    InstructBlipForConditionalGeneration, LlamaConfig, LlamaForCausalLM,
)

HERE = Path(__file__).resolve().parent
OUT = HERE / "checkpoints"
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
NEW, SIDE = 12, 28
torch.manual_seed(5)
torch.set_grad_enabled(False)


def vocabulary():
    """Letters, a few merges, all bytes: a small relative of LLaMA's."""
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    words = ["▁the", "▁is", "▁a", "▁what", "▁colour", "▁picture", "▁painting", "###", "▁Human",
             "▁Assistant", "ing"]
    letters = sorted({c for w in words for c in w} | set("abcdefghijklmnopqrstuvwxyzHA▁.?:,#<>/I"))
    merges = []
    for word in words:
        parts = list(word)
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts[:2] = ["".join(parts[:2])]
    joined = list(OrderedDict.fromkeys(a + b for a, b in merges))
    pieces += letters + [p for p in joined if p not in letters]
    return pieces, merges


def llama_tokenizer(path):
    pieces, merges = vocabulary()
    vocab = {p: i for i, p in enumerate(pieces)}
    inner = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    inner.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in pieces[:3]])
    path.mkdir(parents=True, exist_ok=True)
    inner.save(str(path / "tokenizer.json"))
    config = {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizer"}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return inner


def qformer_tokenizer(path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + list("abcdefghijklmnopqrstuvwxyz?.")
    words += ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"] + ["what", "is", "the", "colour", "picture"]
    vocab = {w: i for i, w in enumerate(words)}
    inner = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer()
    from tokenizers import pre_tokenizers

    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    path.mkdir(parents=True, exist_ok=True)
    inner.save(str(path / "tokenizer.json"))
    return inner, len(words)


def pixels(image, side):
    small = image.convert("RGB").resize((side, side), Image.BICUBIC)
    x = torch.tensor(list(small.tobytes())).float().reshape(side, side, 3) / 255
    return ((x - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)).permute(2, 0, 1)[None]


def jolt(module):
    """Weights far enough from their start that every part matters."""
    for name, p in module.named_parameters():
        if p.dim() > 1:
            p.copy_(torch.randn_like(p) * (0.6 / math.sqrt(p.shape[-1])))
        elif "norm" in name.lower() and name.endswith("weight"):
            p.copy_(1 + 0.2 * torch.randn_like(p))
        else:
            p.copy_(0.1 * torch.randn_like(p))
    return module


def text_config(vocab, **more):
    base = dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=vocab, max_position_embeddings=128, rms_norm_eps=1e-5,
        bos_token_id=1, eos_token_id=2,
    )
    return {**base, **more}


def rollout(llama, embeds, answer):
    """Greedy ids, and the log-probabilities of `answer`, after input embeddings."""
    table = llama.get_input_embeddings()
    x, ids = embeds, []
    for _ in range(NEW):
        logits = llama(inputs_embeds=x).logits[0, -1].float()
        token = int(logits.argmax())
        if token == 2:
            break
        ids.append(token)
        x = torch.cat([x, table(torch.tensor([[token]]))], 1)
    y = torch.cat([embeds, table(torch.tensor([answer]))], 1)
    rows = llama(inputs_embeds=y).logits[0, embeds.shape[1] - 1 : -1].float().log_softmax(-1)
    return ids, [float(rows[i, t]) for i, t in enumerate(answer)]


def segments(tokenizer, prompt):
    """Token ids around each marker, BOS once."""
    parts = [tokenizer.encode(p, add_special_tokens=False).ids if p else [] for p in prompt.split("<image>")]
    parts[0] = [1] + parts[0]
    return parts


def embed(llama, parts, images):
    table = llama.get_input_embeddings()
    out = []
    for i, ids in enumerate(parts):
        if i:
            out.append(images[i - 1].to(table.weight.dtype))
        if ids:
            out.append(table(torch.tensor([ids])))
    return torch.cat(out, 1)


def beam(llama, embeds, ends, length_penalty):
    """The best of three beams, its end token left out."""
    mask = torch.ones(embeds.shape[:2], dtype=torch.long)
    ids = llama.generate(
        inputs_embeds=embeds, attention_mask=mask, num_beams=3, do_sample=False, max_new_tokens=NEW,
        eos_token_id=ends, pad_token_id=0, length_penalty=length_penalty,
    )[0].tolist()
    ids = ids[1:] if ids[:1] == [1] else ids
    while ids and ids[-1] in [0, *ends]:
        ids.pop()
    return {"length_penalty": length_penalty, "ids": ids}


def case(name, llama, tokenizer, prompt, images=(), answer="the colour is a painting", beams=None, **more):
    ids = tokenizer.encode(answer, add_special_tokens=False).ids
    start = embed(llama, segments(tokenizer, prompt), images)
    greedy, logprobs = rollout(llama, start, ids)
    if beams:
        more["beams"] = [beam(llama, start, [2], p) for p in beams]
    return {
        "model": name, "prompt": prompt, "images": len(images), "answer": answer,
        "answer_ids": ids, "greedy": greedy, "logprobs": logprobs, **more,
    }


# The originals.


class Eva(torch.nn.Module):
    """Keys of `eva_vit_g.pth`."""

    def __init__(self, width=88, blocks=2, inner=40, grid=2, patch=14):
        super().__init__()
        self.heads = width // 88
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.patch_embed = torch.nn.Module()
        self.patch_embed.proj = torch.nn.Conv2d(3, width, patch, patch)
        self.blocks = torch.nn.ModuleList()
        for _ in range(blocks):
            block = torch.nn.Module()
            block.norm1 = torch.nn.LayerNorm(width, eps=1e-6)
            block.norm2 = torch.nn.LayerNorm(width, eps=1e-6)
            block.attn = torch.nn.Module()
            block.attn.q_bias = torch.nn.Parameter(torch.zeros(width))
            block.attn.v_bias = torch.nn.Parameter(torch.zeros(width))
            block.attn.qkv = torch.nn.Linear(width, 3 * width, bias=False)
            block.attn.proj = torch.nn.Linear(width, width)
            block.mlp = torch.nn.Module()
            block.mlp.fc1 = torch.nn.Linear(width, inner)
            block.mlp.fc2 = torch.nn.Linear(inner, width)
            self.blocks.append(block)

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for b in self.blocks:
            h = b.norm1(x)
            bias = torch.cat([b.attn.q_bias, torch.zeros_like(b.attn.q_bias), b.attn.v_bias])
            n, t, w = h.shape
            q, k, v = F.linear(h, b.attn.qkv.weight, bias).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            x = x + b.attn.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, w))
            x = x + b.mlp.fc2(F.gelu(b.mlp.fc1(b.norm2(x))))
        return x


def bert_attention(state, key, x, source, heads):
    w = lambda name: state[f"{key}.{name}"]
    n, t, h = x.shape
    split = lambda y: y.reshape(n, -1, heads, h // heads).transpose(1, 2)
    q, k, v = (split(F.linear(s, w(f"self.{p}.weight"), w(f"self.{p}.bias")))
               for p, s in [("query", x), ("key", source), ("value", source)])
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, h)
    y = F.linear(y, w("output.dense.weight"), w("output.dense.bias")) + x
    return F.layer_norm(y, (h,), w("output.LayerNorm.weight"), w("output.LayerNorm.bias"), 1e-12)


def blip2_state(width, hidden=24, layers=3, inner=36, queries=4):
    """Keys of `blip2_pretrained_flant5xxl.pth`, text branch and all."""
    state = OrderedDict(query_tokens=torch.randn(1, queries, hidden))
    def linear(name, out, inp):
        state[name + ".weight"] = torch.randn(out, inp) * 0.6 / math.sqrt(inp)
        state[name + ".bias"] = 0.1 * torch.randn(out)
    def norm(name, size):
        state[name + ".weight"] = 1 + 0.2 * torch.randn(size)
        state[name + ".bias"] = 0.1 * torch.randn(size)
    norm("ln_vision", width)
    root = "Qformer.bert."
    norm(root + "embeddings.LayerNorm", hidden)
    for i in range(layers):
        layer = f"{root}encoder.layer.{i}."
        sources = [("attention", hidden)] + ([("crossattention", width)] if i % 2 == 0 else [])
        for attention, source in sources:
            linear(f"{layer}{attention}.self.query", hidden, hidden)
            linear(f"{layer}{attention}.self.key", hidden, source)
            linear(f"{layer}{attention}.self.value", hidden, source)
            linear(f"{layer}{attention}.output.dense", hidden, hidden)
            norm(f"{layer}{attention}.output.LayerNorm", hidden)
        linear(layer + "intermediate_query.dense", inner, hidden)
        linear(layer + "output_query.dense", hidden, inner)
        norm(layer + "output_query.LayerNorm", hidden)
    linear("t5_proj", 8, hidden)  # ignored
    return state


def qformer(state, image, heads=12):
    h = state["query_tokens"].shape[-1]
    root = "Qformer.bert."
    ln = lambda x, name: F.layer_norm(x, (h,), state[name + ".weight"], state[name + ".bias"], 1e-12)
    lin = lambda x, name: F.linear(x, state[name + ".weight"], state[name + ".bias"])
    x = ln(state["query_tokens"], root + "embeddings.LayerNorm")
    i = 0
    while f"{root}encoder.layer.{i}.attention.self.query.weight" in state:
        layer = f"{root}encoder.layer.{i}."
        x = bert_attention(state, layer + "attention", x, x, heads)
        if i % 2 == 0:
            x = bert_attention(state, layer + "crossattention", x, image, heads)
        y = lin(F.gelu(lin(x, layer + "intermediate_query.dense")), layer + "output_query.dense")
        x = ln(y + x, layer + "output_query.LayerNorm")
        i += 1
    return x


def wrap_block(layer, adapter):
    """The paper's adapter after the block's self-attention, on the residual stream."""

    def forward(hidden_states, **kwargs):
        attended, _ = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **kwargs)
        x = hidden_states + attended
        x = adapter(layer, (x,))[0]
        return x + layer.mlp(layer.post_attention_layernorm(x))

    layer.forward = forward


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    g = torch.Generator().manual_seed(1)
    picture = torch.randint(0, 256, (37, 53, 3), generator=g, dtype=torch.uint8)
    image = Image.frombytes("RGB", (53, 37), bytes(picture.flatten().tolist()))
    image.save(OUT / "picture.png")
    other = Image.frombytes("RGB", (20, 20), bytes(picture.flatten().tolist()[:1200]))
    other.save(OUT / "other.png")
    vocab = len(vocabulary()[0])
    cases = []
    vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
                  image_size=SIDE, patch_size=14)
    one = "a picture <image> what is the colour?"
    two = "<image> is the painting<image> a picture?"

    for name, Config, Model, resized in [
        ("instructblip", InstructBlipConfig, InstructBlipForConditionalGeneration, None),
        ("blip2", Blip2Config, Blip2ForConditionalGeneration, None),
        ("blip2-resized", Blip2Config, Blip2ForConditionalGeneration, 42),
    ]:
        folder = OUT / name
        words, size = qformer_tokenizer(folder / "qformer_tokenizer")
        tokenizer = llama_tokenizer(folder)
        q = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
                 encoder_hidden_size=24, vocab_size=size, max_position_embeddings=32)
        # A row more than tokens: embeddings that were resized for a marker.
        config = Config(vision_config=vision, qformer_config=q, num_query_tokens=4,
                        text_config=text_config(vocab + 1, model_type="llama"))
        model = jolt(Model(config)).eval()
        model.save_pretrained(folder)
        side = resized or SIDE
        if resized:
            (folder / "preprocessor_config.json").write_text(
                json.dumps({"size": {"height": side, "width": side}}))
        if name != "instructblip":
            shutil.rmtree(folder / "qformer_tokenizer")
        inner = model.model if hasattr(model, "model") else model

        def see(picture, prompt):
            tokens = inner.vision_model(pixels(picture, side), interpolate_pos_encoding=bool(resized)).last_hidden_state
            query = inner.query_tokens
            if name == "instructblip":
                ids = torch.tensor([words.encode(prompt.replace("<image>", "")).ids])
                mask = torch.ones(1, query.shape[1] + ids.shape[1], dtype=torch.long)
                out = inner.qformer(input_ids=ids, attention_mask=mask, query_embeds=query,
                                    encoder_hidden_states=tokens).last_hidden_state
            else:
                out = inner.qformer(query_embeds=query, encoder_hidden_states=tokens).last_hidden_state
            return inner.language_projection(out[:, : query.shape[1]])

        llama = inner.language_model
        cases.append(case(name, llama, tokenizer, one, [see(image, one)], beams=[1.0]))
        cases.append(case(name, llama, tokenizer, two, [see(image, two), see(other, two)]))

    for name, more, dtype, shards in [
        ("llama-gqa-llama3", dict(rope_parameters=dict(
            rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=64), head_dim=16), torch.float32, "20KB"),
        ("llama-linear-tied", dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0),
            tie_word_embeddings=True, num_key_value_heads=4), torch.float32, None),
        ("llama-bf16", {}, torch.bfloat16, None),
    ]:
        folder = OUT / name
        tokenizer = llama_tokenizer(folder)
        llama = jolt(LlamaForCausalLM(LlamaConfig(**text_config(vocab, **more)))).eval()
        llama.tie_weights()
        llama = llama.to(dtype)
        llama.save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
        cases.append(case(name, llama, tokenizer, "what is the colour of the painting? ünicode",
                          tolerance=1e-4 if dtype == torch.float32 else 2e-2,
                          beams=[1.0, 0.0, 3.0] if dtype == torch.float32 else None))

    folder = OUT / "originals"
    tokenizer = llama_tokenizer(folder / "vicuna")
    llama = jolt(LlamaForCausalLM(LlamaConfig(**text_config(vocab)))).eval()
    llama.half().save_pretrained(folder / "vicuna")
    llama = llama.float()  # the same rounded numbers
    vit = jolt(Eva()).eval()
    state = vit.state_dict()
    # As some files have it: f16, and a tensor whose strides are not contiguous.
    state = OrderedDict((k, v.half()) for k, v in state.items())
    state["blocks.0.mlp.fc1.weight"] = state["blocks.0.mlp.fc1.weight"].t().contiguous().t()
    vit.load_state_dict({k: v.float() for k, v in state.items()})
    torch.save(state, folder / "eva_vit_g.pth")
    bridge = blip2_state(88)
    torch.save({"model": bridge}, folder / "blip2_pretrained_flant5xxl.pth",
               _use_new_zipfile_serialization=False)
    trained = OrderedDict()
    hidden = 32
    for i in range(2):
        root = f"llama_model.model.layers.{i}."
        trained[root + "self_attn.1.down.weight"] = torch.randn(hidden // 4, hidden) * 0.1
        trained[root + "self_attn.1.down.bias"] = torch.randn(hidden // 4) * 0.1
        trained[root + "self_attn.1.up.weight"] = torch.randn(hidden, hidden // 4) * 0.1
        trained[root + "self_attn.1.up.bias"] = torch.randn(hidden) * 0.1
        trained[root + "post_attention_layernorm.weight"] = 1 + 0.2 * torch.randn(hidden)
        if i % 2 == 0:
            trained[root + "input_layernorm.weight"] = 1 + 0.2 * torch.randn(hidden)
    trained["llama_proj.weight"] = torch.randn(hidden, 24) * 0.2
    trained["llama_proj.bias"] = torch.randn(hidden) * 0.1
    moments = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(8, 32)}},
               "param_groups": [{"lr": 1e-5, "betas": (0.9, 0.999), "params": [0]}]}
    torch.save({"model": trained, "optimizer": moments, "config": {"run": {"lr": 1e-5}},
                "scaler": None, "epoch": 4}, folder / "ArtGPT-4.pth")
    for i, layer in enumerate(llama.model.layers):
        root = f"llama_model.model.layers.{i}."
        layer.post_attention_layernorm.weight.copy_(trained[root + "post_attention_layernorm.weight"])
        if i % 2 == 0:
            layer.input_layernorm.weight.copy_(trained[root + "input_layernorm.weight"])
        key = root + "self_attn.1."

        def adapter(_, args, key=key):
            x = args[0]
            down = F.gelu(F.linear(x, trained[key + "down.weight"], trained[key + "down.bias"]))
            return (x + F.linear(down, trained[key + "up.weight"], trained[key + "up.bias"]),)

        wrap_block(layer, adapter)

    def see(picture):
        tokens = vit(pixels(picture, SIDE))
        tokens = F.layer_norm(tokens, (88,), bridge["ln_vision.weight"], bridge["ln_vision.bias"], 1e-5)
        return F.linear(qformer(bridge, tokens), trained["llama_proj.weight"], trained["llama_proj.bias"])

    cases.append(case("originals", llama, tokenizer, "###Human: <Img><image></Img> what is the colour?###Assistant:", [see(image)]))
    (OUT / "expected.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


main()

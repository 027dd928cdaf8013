"""Makes a small byte-level vocabulary in a GGUF file, and what llama.cpp makes of some texts with each
pre-tokenizer that it knows by name (`tokenizer.ggml.pre`).

    pip install xllamacpp gguf tokenizers numpy
    python tests/reference/make_pretokenizers.py

Its merges are trained without a pre-tokenizer, so they cross every border that a rule does not draw, and a
rule that draws another border gives other ids.
"""

import ctypes
import glob
import json
import os
import pathlib
import tempfile

import gguf
import numpy as np
import xllamacpp
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).parent / "pretokenizers"
# Each line: names of one rule in llama.cpp.
NAMES = """
default
llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano
minicpm5
deepseek-llm
deepseek-coder
deepseek-v3 hunyuan-dense joyai-llm
youtu
falcon
starcoder refact command-r smollm codeshell exaone minerva-7b
gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert mpt olmo jais trillion
jina-v1-en jina-v2-code roberta-bpe exaone4 granite-docling
jais-2
qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 hunyuan megrez solar-open grok-2
qwen35
dbrx smaug-bpe glm4 chatglm-bpe
bloom poro-chat gpt3-finnish
viking
tekken
chameleon
gpt-4o llama4 kanana2 minimax-m2
granite-embed-multi-97m
tiny_aya
kimi-k2
superbpe
bailingmoe bailingmoe2 llada-moe
seed-coder
afmoe
exaone-moe
ufakzeka
laguna
talkie
spark2_5
hy_v4
cohere2moe
mellum2
k2-horizon
glm5
"""
TEXTS = [
    "DON'T 12345, don't: I'M, we'll THEY'VE he's y'all 'tis O'Neil 'S",
    "1 12 123 1234 12345 123456 1234567 3.14159 -42 1,000,000 2024-11-30 0x1F",
    "a1b22c333 x²+y³=½ Ⅷ ٣٤٥٦ १२३४ ４２",
    "The Starry Night (1889), 73.7 cm × 92.1 cm; oil on canvas...",
    "HelloWorld camelCase ABCdef XMLHttpRequest iPhone naïveCafé ÉCOLEétude ΑΒΓδεζ",
    "  leading,  double   and    four ; trailing   ",
    "line one\nline two\r\n\r\n\n\tindented\n    code\n \n  \n end\n",
    "\t\ttabs\t and \u00a0nbsp\u2003em\u3000wide\u200bzero",
    "def f(x: int) -> str:\n    return f\"{x!r}\"  # '''doc'''\n\nif a != b && c || d:\n\tpass",
    "星月夜は1889年の作品です。 中文，标点！日本語カタカナ 한국어 글자 ㄱㅏ ㄅㄆ",
    "ภาพวาดสีน้ำมัน ရုပ်ပုံ ລາວ ខ្មែរ हिन्दी चित्र বাংলা العربية فارسی עברית",
    "🎨👩‍🎨 🏛️🇫🇷 ☀️✨ emoji😀text 1️⃣",
    "e\u0301tude n\u0303 A\u030a\u0327 Z\u0351\u036b combining c\u0327a",
    "«La Joconde» – “quotes” ‘single’ … — ‰ € £5 $10 §3 ©2024 ¿qué? ¡sí!",
    "<|im_start|>user <s>[INST] ###Human: <image> @user #tag a_b-c/d\\e~f`g^h|i",
    "!!!??? ... ,,, === ---- ((( ))) [[]] {{}} <<>> //** $$ ++ '' \"\" ``",
    "I'm 5'10\" and it'S 9 o'clock; rock'n'roll l'été d'Artagnan Türkiye'nin",
    "Ωmega Straße ǅ ʰ ªº İstanbul ıŞĞ Дом ПРИВЕТ мир ქართული Հայերեն",
    "x=1;y=22;z=333;w=4444\n1\n22\n333\n4444\n 5 66 777 8888 99999",
    "a\n\n\nb\n \n\tc  \n  d \r e\r\r\nf /\n//\n/ \n",
    " ",
    "",
    "\n",
    "   \n\n   x",
    "of the in the 12 of the",
    "<sentinel:12> IMGIMGABCZ <image>  \t{ }",
]


class Params(ctypes.Structure):
    """`llama_model_params`, whatever its fields are: only the defaults are used."""

    _fields_ = [("raw", ctypes.c_uint64 * 64)]


lib = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(xllamacpp.__file__), "xllamacpp*.so"))[0])
lib.llama_model_default_params.restype = Params
lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
lib.llama_model_load_from_file.restype = ctypes.c_void_p
lib.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
lib.llama_model_get_vocab.restype = ctypes.c_void_p
lib.llama_model_free.argtypes = [ctypes.c_void_p]
lib.llama_tokenize.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool,
    ctypes.c_bool,
]
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
messages = []
on_log = LOG(lambda level, text, _: messages.append((level, text)))
lib.llama_log_set.argtypes = [LOG, ctypes.c_void_p]
lib.llama_log_set(on_log, None)
lib.llama_backend_init()


def vocabulary():
    """Tokens and merges. Some long tokens have no merges that lead to them (`ignore_merges`)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=[], min_frequency=2,
    )
    lines = []
    for text in TEXTS:
        lines += [text] * 2 + [text[i:] for i in range(0, len(text), 5)]
    for n in range(0, 4000, 7):
        lines.append(f"{n} {n * 37} {n * 1009}")
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    whole = ["Ġcanvas", "Starry", "ĠNight", "DON", "HelloWorld", "ĠHello", "Ġindented", "1889", "188"]
    tokens += [t for t in whole if t not in tokens]
    return tokens, merges


def write(path, tokens, merges, pre, weights):
    writer = gguf.GGUFWriter(path, "llama")
    if weights:
        for key, value in [("block_count", 1), ("context_length", 256), ("embedding_length", 32),
                           ("feed_forward_length", 32), ("rope.dimension_count", 16)]:
            writer.add_uint32(f"llama.{key}", value)
        writer.add_head_count(2)
        writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    if pre is not None:
        writer.add_tokenizer_pre(pre)
    special = ["<|begin|>", "<|end|>"]
    writer.add_token_list(tokens + special)
    writer.add_token_types([1] * len(tokens) + [3] * len(special))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens) + 1)
    writer.add_add_bos_token(False)
    if pre in ("jina-v1-en", "jina-v2-code", "roberta-bpe"):
        writer.add_sep_token_id(len(tokens) + 1)
    if weights:
        one = lambda *shape: np.ones(shape, dtype=np.float32)
        writer.add_tensor("token_embd.weight", one(len(tokens) + len(special), 32))
        writer.add_tensor("output_norm.weight", one(32))
        for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]:
            writer.add_tensor(f"blk.0.{name}.weight", one(32, 32))
        for name in ["attn_norm", "ffn_norm"]:
            writer.add_tensor(f"blk.0.{name}.weight", one(32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ids(path):
    messages.clear()
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    if not model:
        raise RuntimeError(b"".join(t for level, t in messages if level >= 3).decode())
    found = []
    for text in TEXTS:
        data = text.encode()
        out = (ctypes.c_int32 * (len(data) + 16))()
        vocab = lib.llama_model_get_vocab(model)
        n = lib.llama_tokenize(vocab, data, len(data), out, len(out), False, False)
        found.append(list(out[:n]))
    lib.llama_model_free(model)
    return found


def main():
    OUT.mkdir(exist_ok=True)
    tokens, merges = vocabulary()
    write(str(OUT / "vocabulary.gguf"), tokens, merges, None, False)
    rules = []
    with tempfile.TemporaryDirectory() as folder:
        for line in NAMES.strip().splitlines():
            for name in line.split():
                path = os.path.join(folder, "model.gguf")
                write(path, tokens, merges, name, True)
                found = ids(path)
                same = next((r for r in rules if r["ids"] == found), None)
                if same:
                    same["names"].append(name)
                else:
                    rules.append({"names": [name], "ids": found})
    lines = ['{"texts": ' + json.dumps(TEXTS, ensure_ascii=False) + ', "rules": [']
    lines.append(",\n".join(json.dumps(r, separators=(",", ":")) for r in rules))
    (OUT / "expected.json").write_text("\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()

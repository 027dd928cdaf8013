"""Benchmarks prefill and decode against llama.cpp on the same GGUF, alternating within one run.

    pip install xllamacpp
    cargo build --release --example speed
    python scripts/beside_llama_cpp.py MANIFEST_OR_NAME DATA_DIR [GGUF [ROUNDS]]

MANIFEST_OR_NAME is what `--model` takes, GGUF is its language model (default: the default model's).
Prints tokens per second and ratios.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import xllamacpp

model, data = sys.argv[1], sys.argv[2]
default = Path(data) / "models/artgpt-smol/SmolLM2-135M-Instruct.Q8_0.gguf"
gguf = sys.argv[3] if len(sys.argv) > 3 else default
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
PROMPT, ANSWER = 128, 64


def llama_cpp():
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel = 1024, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.verbosity = 0
    server = xllamacpp.Server(params)
    prefill, decode = [], []
    for i in range(5):
        answer = server.handle_completions(
            {
                "prompt": f"{i}" + " the" * (PROMPT - 1), "n_predict": ANSWER, "temperature": 0,
                "cache_prompt": False, "ignore_eos": True,
            }
        )
        prefill.append(answer["timings"]["prompt_per_second"])
        decode.append(answer["timings"]["predicted_per_second"])
    return statistics.median(prefill), statistics.median(decode)


def ours():
    root = Path(__file__).resolve().parent.parent
    out = subprocess.check_output([root / "target/release/examples/speed", model, data])
    speeds = json.loads(out)
    return speeds["prefill_tokens_per_second"], speeds["decode_tokens_per_second"]


rows = [(ours(), llama_cpp()) for _ in range(ROUNDS)]
for i, what in enumerate(["prefill", "decode"]):
    a = statistics.median(r[0][i] for r in rows)
    b = statistics.median(r[1][i] for r in rows)
    print(f"{what}: {a:.0f} tokens/s, llama.cpp {b:.0f}, ratio {a / b:.2f}")

"""Greedy token ids and log-probabilities from llama.cpp, for tests/reference_llama.rs.

    pip install xllamacpp
    python tests/reference/make_llama.py DATA/models/artgpt-smol/SmolLM2-135M-Instruct.Q8_0.gguf

The GGUF is the one that `artgpt-tui models install artgpt-smol` leaves. Writes llama.json.
"""

import json
import sys
import urllib.request
from pathlib import Path

import xllamacpp

PROMPTS = [
    "The capital of France is",
    "<|im_start|>user\nWhat is a still life?<|im_end|>\n<|im_start|>assistant\n",
    "In 1889, Vincent van Gogh painted 2 pictures of caf\u00e9s \U0001f3a8 \u2014 the night one shows",
]
TOKENS = 24

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 1024, 1, 2
params.warmup, params.verbosity = False, 0
server = xllamacpp.Server(params)


def tokenize(text):
    body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
    url = server.listening_address + "/tokenize"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["tokens"]


cases = []
for prompt in PROMPTS:
    ids = tokenize(prompt)
    answer = server.handle_completions(
        {
            "prompt": ids, "n_predict": TOKENS, "temperature": 0, "n_probs": 1,
            "cache_prompt": False,
        }
    )
    top = answer["choices"][0]["logprobs"]["content"]
    cases.append(
        {
            "prompt": prompt, "prompt_ids": ids,
            "token_ids": [t["id"] for t in top], "logprobs": [round(t["logprob"], 5) for t in top],
        }
    )
out = Path(__file__).parent / "llama.json"
out.write_text(json.dumps({"model": Path(sys.argv[1]).name, "cases": cases}, indent=1) + "\n")

"""What llama.cpp and transformers make of the default GGUF, for tests/default_model/reference_llama.rs.

    pip install xllamacpp torch transformers gguf accelerate
    python tests/reference/make_llama.py DATA/models/artgpt-smol/SmolLM2-135M-Instruct.Q8_0.gguf

The GGUF is the one that `artgpt-tui models install artgpt-smol` leaves. Writes llama.json: token ids
of the prompts and of greedy answers from llama.cpp, and the log-probabilities of these answers from
transformers, which unpacks the same weights and computes in f32. (llama.cpp rounds activations to 8
bits; its own log-probabilities differ from f32 by up to 0.17 on such prompts. The prompts are ones
whose likeliest token always leads the next by more than that.)
"""

import json
import sys
import urllib.request
from pathlib import Path

import torch
import xllamacpp
from transformers import AutoModelForCausalLM

PROMPTS = [
    "1, 2, 3, 4, 5, 6,",
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    "A, B, C, D, E, F,",
]
TEXTS = [
    "Caf\u00e9, cr\u00e8me br\u00fbl\u00e9e, \U0001f3a8\U0001f468\u200d\U0001f3a8 \u2014 1889!  two  spaces\n\n\ttab",
    "\u3053\u3093\u306b\u3061\u306f <|im_end|> it's 3.14 don't",
]
TOKENS, EOS = 18, 2
path = Path(sys.argv[1])
exact = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)

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
    ids_made = [t["id"] for t in answer["choices"][0]["logprobs"]["content"]]
    if EOS in ids_made:
        ids_made = ids_made[: ids_made.index(EOS)]
    with torch.no_grad():
        logits = exact(torch.tensor([ids + ids_made])).logits[0]
    rows = torch.log_softmax(logits, -1)[len(ids) - 1 : -1]
    logprobs = [round(rows[i, t].item(), 6) for i, t in enumerate(ids_made)]
    cases.append(
        {"prompt": prompt, "prompt_ids": ids, "token_ids": ids_made, "logprobs": logprobs}
    )
out = Path(__file__).parent / "llama.json"
out.write_text(json.dumps({"model": path.name, "cases": cases, "texts": [[t, tokenize(t)] for t in TEXTS]}, indent=1) + "\n")

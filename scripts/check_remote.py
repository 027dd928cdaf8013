"""Tests `--model openai:` against llama.cpp's own server, text only.

    pip install xllamacpp
    cargo build --release
    target/release/artgpt-tui models install artgpt-smol
    python scripts/check_remote.py DATA_DIR

Exits with 0 if the greedy answer is streamed with its token counts, a second request hits the server's
prompt cache, and a wrong path fails with the server's own message.
"""

import json
import pathlib
import subprocess
import sys

import xllamacpp

data = pathlib.Path(sys.argv[1])
program = pathlib.Path(__file__).resolve().parent.parent / "target/release/artgpt-tui"
params = xllamacpp.CommonParams()
params.model.path = str(data / "models/artgpt-smol/SmolLM2-135M-Instruct.Q8_0.gguf")
params.n_ctx, params.n_parallel, params.verbosity = 2048, 1, 0
server = xllamacpp.Server(params)
url = server.listening_address


def ask(model, question):
    command = [program, "ask", "--json", "--greedy", "--max-new-tokens", "16", "--model", model]
    done = subprocess.run([*command, question], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


QUESTION = "What is the capital of France?"
own = server.handle_chat_completions(
    {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 16}
)["choices"][0]["message"]["content"]
code, answer = ask(f"openai:{url}#smol", QUESTION)
print("answer:", answer)
assert code == 0 and answer["text"].strip() == own.strip(), f"the server itself says {own!r}"
assert answer["prompt_tokens"] > 10 and answer["finish_reason"] in ("stop", "length")
code, again = ask(f"openai:{url}#smol", QUESTION)
assert code == 0 and again["text"] == answer["text"] and again["cached_tokens"] > 0, again
code, refused = ask(f"openai:{url}/nowhere#smol", "hi")
print("refused:", refused)
assert code == 1 and "404" in refused["error"]["message"]
print("good")

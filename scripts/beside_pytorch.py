"""Benchmarks a training step against PyTorch's eager mode in one run: same sizes, same tokens, two threads.

    pip install torch transformers peft
    python scripts/beside_pytorch.py target/release/artgpt-tui DATA_DIR

The language model has SmolLM2-135M's sizes; PyTorch's has random weights, in f32. For each method our
program trains a few steps with a frozen bridge, so that both do the same work, and PyTorch trains as many
steps on sequences of the same length; both use AdamW. Prints tokens per second and peak memory.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time

STEPS, BATCH = 6, 2
METHODS = {
    "adapter": 'kind = "adapter"',
    "lora": 'kind = "lora"\nrank = 8\nalpha = 16.0\ntargets = ["q_proj", "v_proj"]',
    "bitfit": 'kind = "bitfit"',
    "full": 'kind = "full"',
}
CONFIG = """
model = "artgpt-smol"
data = "met-paintings"
bridge = "nothing"
train_norms = false
validate_every = 0
checkpoint_every = 1000
view_pool = 2
precision = "{precision}"
[method]
{method}
[[stage]]
kind = "answer"
steps = {steps}
batch = {batch}
questions = 8
lr = 1e-4
"""


def ours(program, data, method, precision):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(CONFIG.format(method=METHODS[method], precision=precision, steps=STEPS, batch=BATCH))
        f.flush()
        out = subprocess.run([program, "--device", "cpu", "--data-dir", data, "--json", "train", f.name],
                             capture_output=True, text=True, check=True).stdout
    steps = [m for m in map(json.loads, out.splitlines()) if m.get("split") == "train"]
    late = steps[2:]  # the first ones encode the pictures
    seconds = [m["samples_per_second"] for m in late]
    seconds = [BATCH / s for s in seconds]
    tokens = [m["tokens_per_second"] * s for m, s in zip(late, seconds)]
    return sum(tokens) / sum(seconds), round(sum(tokens) / len(tokens) / BATCH), late[-1]["peak_memory"]


def theirs(method, length):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(2)
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True))
    for p in model.parameters():
        p.requires_grad_(method == "full")
    if method == "lora":
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
    blocks = [m for m in model.modules() if type(m).__name__ == "LlamaDecoderLayer"]
    if method == "bitfit":
        for m in [m for b in blocks for m in b.modules() if isinstance(m, torch.nn.Linear)]:
            m.bias = torch.nn.Parameter(torch.zeros(m.out_features))
    if method == "adapter":
        for block in blocks:
            down, up = torch.nn.Linear(576, 144), torch.nn.Linear(144, 576)
            block.post_attention_layernorm.adapter = torch.nn.ModuleList([down, up])
            plain = block.post_attention_layernorm.forward
            # Applied to the norm's input; the residual connection costs nothing and is left out.
            block.post_attention_layernorm.forward = (
                lambda x, plain=plain, down=down, up=up:
                plain(x + up(torch.nn.functional.gelu(down(x)))))
    if method == "full":
        model.get_input_embeddings().weight.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    ids = torch.randint(0, 49152, (BATCH, length))
    labels = ids.clone()
    labels[:, : length * 3 // 4] = -100  # about a quarter of our tokens are scored
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        model(input_ids=ids, labels=labels, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        times.append(time.perf_counter() - start)
    late = times[2:]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return BATCH * length * len(late) / sum(late), memory


if __name__ == "__main__":
    if sys.argv[1] == "--theirs":  # in a process of its own, to measure its memory
        print(json.dumps(theirs(sys.argv[2], int(sys.argv[3]))))
        sys.exit()
    program, data = sys.argv[1], sys.argv[2]
    print("| method | ours bf16 | ours f32 | PyTorch f32 | ratio bf16 | ratio f32 | memory bf16 | f32 | PyTorch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for method in METHODS:
        fast, length, small = ours(program, data, method, "bf16")
        plain, _, memory = ours(program, data, method, "f32")
        command = [sys.executable, __file__, "--theirs", method, str(length)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        other, large = json.loads(out.splitlines()[-1])
        mb = lambda b: f"{b / 2**20:.0f} MB"
        print(f"| {method} | {fast:.0f} | {plain:.0f} | {other:.0f} tokens/s | {fast / other:.2f} | "
              f"{plain / other:.2f} | {mb(small)} | {mb(memory)} | {mb(large)} |", flush=True)

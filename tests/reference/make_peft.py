"""A LoRA of the package `peft` on one of the small checkpoints, and what PyTorch computes with it.

    pip install torch transformers peft
    python tests/reference/make_peft.py

Writes tests/reference/peft/: the adapter's folder as `peft` saves it, with a manifest that joins it
to its base, and expected.json.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
BASE = "llama-gqa-llama3"
OUT = HERE / "peft"
cases = json.loads((HERE / "checkpoints/expected.json").read_text())
case = next(c for c in cases if c["model"] == BASE)

torch.manual_seed(9)
torch.set_grad_enabled(False)
base = LlamaForCausalLM.from_pretrained(HERE / "checkpoints" / BASE, dtype=torch.float32)
targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
config = LoraConfig(r=4, lora_alpha=12, target_modules=targets, task_type="CAUSAL_LM")
model = get_peft_model(base, config)
for name, parameter in model.named_parameters():
    if "lora_B" in name:
        parameter.normal_(0, 0.1)
model.eval()

tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(HERE / "checkpoints" / BASE / "tokenizer.json"))
prompt = [base.config.bos_token_id] + tokenizer.encode(case["prompt"], add_special_tokens=False)
ids = prompt + case["answer_ids"]
logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
logprobs = [logits[len(prompt) - 1 + i, t].item() for i, t in enumerate(case["answer_ids"])]
greedy = list(prompt)
for _ in range(12):
    greedy.append(model(torch.tensor([greedy])).logits[0, -1].argmax().item())

model.save_pretrained(OUT)
(OUT / "README.md").unlink(missing_ok=True)
config = json.loads((OUT / "adapter_config.json").read_text())
config["base_model_name_or_path"] = BASE  # not a path of the machine that ran this
config["target_modules"].sort()
(OUT / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
(OUT / "manifest.toml").write_text(
    f'name = "{BASE}-lora"\n\n[language]\nkind = "llama"\npath = "../checkpoints/{BASE}"\n\n'
    '[adapters]\nmethod = "lora"\npath = "."\n'
)
expected = {
    "model": "../peft", "prompt": case["prompt"], "images": 0, "answer": case["answer"],
    "answer_ids": case["answer_ids"], "greedy": greedy[len(prompt):], "logprobs": logprobs,
    "without_lora": case["logprobs"],
}
(OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")

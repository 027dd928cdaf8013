"""Three AdamW steps in PyTorch, for tests/default_model/training/gradients.rs. Writes adamw.json."""

import json
from pathlib import Path

import torch

w = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
t = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
optimiser = torch.optim.AdamW([w], lr=0.1, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.02)
for _ in range(3):
    optimiser.zero_grad()
    ((w - t) ** 2).sum().backward()
    optimiser.step()
Path(__file__).with_name("adamw.json").write_text(json.dumps(w.flatten().tolist()) + "\n")

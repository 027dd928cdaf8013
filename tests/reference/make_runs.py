"""Run files as the real packages write them, and the values that were put in (tests/runs.rs).

    pip install torch tensorboard transformers numpy wandb
    python tests/reference/make_runs.py
"""

import csv
import json
import math
import os
import pathlib
import shutil
import tempfile

import numpy
import wandb

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerState

ROOT = pathlib.Path(__file__).parent / "runs"
loss = {step: math.exp(-step / 40) for step in range(0, 100, 5)}

shutil.rmtree(ROOT, ignore_errors=True)

# PyTorch's writer, with what is no scalar among it; a second file of a run that went on from step 50.
folder = ROOT / "pytorch"
with SummaryWriter(folder, filename_suffix=".first") as writer:
    writer.add_text("note", "loss")
    writer.add_histogram("weights", numpy.array([1.0, 2.0, 3.0]), 0)
    for step, value in loss.items():
        writer.add_scalar("loss/train", value, step, walltime=1000 + step)
        writer.add_scalar("epoch", step / 10, step, walltime=1000 + step, new_style=True)
for path in folder.iterdir():
    path.rename(folder / "events.out.tfevents.0001.first")
second = EventFileWriter(str(folder))
second.add_event(Event(wall_time=2000, step=50, session_log={"status": 1}))
double = TensorProto(dtype=2, double_val=[0.125])
raw = TensorProto(dtype=1, tensor_content=b"\x00\x00\x80\x3e")  # 0.25
for step, tensor in [(50, double), (55, raw)]:
    value = Summary.Value(tag="loss/train", tensor=tensor)
    second.add_event(Event(wall_time=2000 + step, step=step, summary=Summary(value=[value])))
second.close()
for path in folder.iterdir():
    if not path.name.endswith("first"):
        path.rename(folder / "events.out.tfevents.0002.second")

# Hugging Face's Trainer.
state = TrainerState(global_step=95, max_steps=200)
for step, value in loss.items():
    state.log_history.append({"loss": value, "learning_rate": 1e-4, "epoch": step / 50, "step": step})
state.log_history.append({"eval_loss": 0.75, "epoch": 1.9, "step": 95})
checkpoint = ROOT / "trainer" / "checkpoint-95"
checkpoint.mkdir(parents=True)
state.save_to_json(str(checkpoint / "trainer_state.json"))

# The csv module, as Lightning's logger uses it: metrics of one step in several rows.
folder = ROOT / "csv"
folder.mkdir()
with open(folder / "metrics.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, ["epoch", "step", "train_loss", "val_loss"])
    writer.writeheader()
    for step, value in loss.items():
        writer.writerow({"epoch": 0, "step": step, "train_loss": value})
    writer.writerow({"epoch": 0, "step": 95, "val_loss": 0.75})

# W&B, offline. One value is longer than a block of its log.
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DISABLE_GIT="true")
with tempfile.TemporaryDirectory() as scratch:
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off")
    run = wandb.init(project="art", id="ref", dir=scratch, settings=settings)
    for step, value in loss.items():
        more = {"note": "x" * 40_000} if step == 10 else {}
        run.log({"loss": value, "eval": {"score": step / 10}, **more}, step=step)
    run.finish()
    (ROOT / "wandb").mkdir()
    for path in pathlib.Path(scratch).glob("wandb/offline-run-*/run-ref.wandb"):
        shutil.copy(path, ROOT / "wandb")

(ROOT / "values.json").write_text(json.dumps({str(step): value for step, value in loss.items()}))

"""Run files as the real packages write them, and the values that were put in (tests/light/runs/).

    pip install torch tensorboard transformers numpy wandb
    python tests/reference/make_runs.py
"""

import csv
import io
import json
import math
import os
import pathlib
import shutil
import struct
import tempfile
import time
import zlib

import numpy
import wandb
from google.protobuf.timestamp_pb2 import Timestamp
from PIL import Image

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.histogram import metadata as histogram_plugin
from tensorboard.plugins.image import metadata as image_plugin
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
from transformers import TrainerState
from wandb.proto import wandb_internal_pb2 as pb

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
    wandb.teardown()  # waits until all is written
    (ROOT / "wandb").mkdir()
    for path in pathlib.Path(scratch).glob("wandb/offline-run-*/run-ref.wandb"):
        shutil.copy(path, ROOT / "wandb")

# What is no number: texts, pictures, histograms, hyperparameters, the console.
picture = numpy.zeros((6, 8, 3), dtype=numpy.uint8)
picture[:, :4] = [200, 40, 10]
folder = ROOT / "pytorch-media"
with SummaryWriter(folder) as writer:
    for step in (0, 10):
        writer.add_text("answer", f"A **horse** at step {step}.", step)
        writer.add_image("sample", picture, step, dataformats="HWC")
        writer.add_histogram("weights", numpy.arange(10.0) + step, step, bins=5)
for path in folder.iterdir():
    path.rename(folder / "events.out.tfevents.0001.media")
# As TensorFlow 2 writes them: tensors, and the plugin's name.
folder = ROOT / "tf2-media"
writer = EventFileWriter(str(folder))
encoded = io.BytesIO()
Image.fromarray(picture).save(encoded, "PNG")
shape = {"dim": [{"size": 3}]}
image = TensorProto(dtype=7, tensor_shape=shape, string_val=[b"8", b"6", encoded.getvalue()])
metadata = image_plugin.create_summary_metadata("sample", "")
value = Summary.Value(tag="sample", tensor=image, metadata=metadata)
writer.add_event(Event(wall_time=1000, step=3, summary=Summary(value=[value])))
for step in (3, 4):  # the second one says no more whose it is
    bins = TensorProto(dtype=2, double_val=[0.0, 1.0, 4.0, 1.0, 2.0, 6.0 + step])
    value = Summary.Value(tag="weights", tensor=bins)
    if step == 3:
        value.metadata.CopyFrom(histogram_plugin.create_summary_metadata("weights", ""))
    writer.add_event(Event(wall_time=1000, step=step, summary=Summary(value=[value])))
for summary in hparams({"lr": 0.5, "method": "adapter"}, {"accuracy": 0.5}):
    writer.add_event(Event(wall_time=1000, summary=summary))
writer.close()
for path in folder.iterdir():
    path.rename(folder / "events.out.tfevents.0001.media")
with tempfile.TemporaryDirectory() as scratch:
    os.environ.pop("WANDB_SILENT")
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="redirect")
    run = wandb.init(
        project="art",
        id="media",
        name="warm-up",
        notes="too hot",
        tags=["lr", "short"],
        config={"lr": 0.5, "method": {"kind": "adapter"}},
        dir=scratch,
        settings=settings,
    )
    print("step 1 of 2\rstep 2 of 2", flush=True)
    for step in (0, 10):
        image = wandb.Image(picture + step, caption=f"step {step}")
        histogram = wandb.Histogram(np_histogram=([4, 6 + step], [0.0, 1.0, 2.0]))
        run.log({"loss": 1.0, "sample": image, "weights": histogram}, step=step)
    run.summary["best"] = "step 10"
    run.alert("Loss", "it leaps")
    time.sleep(1)
    run.finish(exit_code=3)
    wandb.teardown()
    target = ROOT / "wandb-media"
    (found,) = pathlib.Path(scratch).glob("wandb/offline-run-*")
    shutil.copytree(found / "files" / "media", target / "files" / "media")
    shutil.copy(found / "run-media.wandb", target)
# What W&B tells of the machine, with numbers that are known: its messages in its log's format.
log = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
records = [
    pb.Record(environment=pb.EnvironmentRecord(host="gpu7", program="train.py", gpu_type="A100")),
    pb.Record(
        stats=pb.StatsRecord(
            timestamp=Timestamp(seconds=2000000000),
            item=[pb.StatsItem(key="gpu.0.gpu", value_json="87.5")],
        )
    ),
]
for record in records:
    data = record.SerializeToString()
    whole = b"\x01"  # a record in one piece
    log += struct.pack("<IH", zlib.crc32(whole + data), len(data)) + whole + data
(ROOT / "wandb-machine").mkdir()
(ROOT / "wandb-machine" / "run-machine.wandb").write_bytes(log)

(ROOT / "values.json").write_text(json.dumps({str(step): value for step, value in loss.items()}))

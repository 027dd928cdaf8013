"""Sounds, tables, curves of precision, networks and embeddings as the real packages log them
(tests/light/runs/).

    pip install torch tensorboard numpy wandb soundfile
    python tests/reference/make_media_runs.py
"""

import io
import os
import pathlib
import shutil
import tempfile
import wave

import numpy
import torch
import wandb

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.audio import metadata as audio_plugin
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard import SummaryWriter

WAV = audio_plugin.Encoding.Value("WAV")
ROOT = pathlib.Path(__file__).parent / "runs"
for name in ["pytorch-more", "tf2-more", "wandb-more"]:
    shutil.rmtree(ROOT / name, ignore_errors=True)

# A square wave of a tenth of a second at half of full scale.
RATE = 8000
tone = numpy.where(numpy.arange(RATE // 10) % 20 < 10, 0.5, -0.5)
# Whether it is one, and how sure the classifier is.
labels = numpy.array([0, 0, 1, 1, 1, 0, 1, 0])
scores = numpy.array([0.1, 0.4, 0.35, 0.8, 0.9, 0.2, 0.7, 0.6])


class Adapter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = torch.nn.Linear(8, 2), torch.nn.Linear(2, 8)

    def forward(self, x):
        return x + self.up(torch.nn.functional.gelu(self.down(x)))


folder = ROOT / "pytorch-more"
with SummaryWriter(folder) as writer:
    for step in (0, 10):
        writer.add_audio("tone", torch.tensor(tone)[None], step, sample_rate=RATE)
        writer.add_pr_curve("horse", labels, scores, step, num_thresholds=11)
    writer.add_graph(Adapter(), torch.zeros(1, 8))
    # Two heaps along one axis, the second one wider.
    vectors = numpy.zeros((40, 3))
    vectors[:20, 0] = -4 + numpy.linspace(-1, 1, 20)
    vectors[20:, 0] = 4
    vectors[20:, 1] = numpy.linspace(-1, 1, 20)
    names = ["baroque"] * 20 + ["rococo"] * 20
    writer.add_embedding(vectors, metadata=names, tag="styles", global_step=10)
for path in folder.glob("events*"):
    path.rename(folder / "events.out.tfevents.0001.more")

# As TensorFlow 2 writes a sound.
encoded = io.BytesIO()
with wave.open(encoded, "wb") as file:
    file.setparams((1, 2, RATE, len(tone), "NONE", ""))
    file.writeframes((tone * 32767).astype("<i2").tobytes())
folder = ROOT / "tf2-more"
writer = EventFileWriter(str(folder))
shape = {"dim": [{"size": 1}, {"size": 2}]}
sound = TensorProto(dtype=7, tensor_shape=shape, string_val=[encoded.getvalue(), b"a tone"])
metadata = audio_plugin.create_summary_metadata("tone", "", encoding=WAV)
value = Summary.Value(tag="tone", tensor=sound, metadata=metadata)
writer.add_event(Event(wall_time=1000, step=3, summary=Summary(value=[value])))
writer.close()
for path in folder.iterdir():
    path.rename(folder / "events.out.tfevents.0001.more")

os.environ.update(WANDB_MODE="offline", WANDB_DISABLE_GIT="true")
with tempfile.TemporaryDirectory() as scratch:
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off")
    run = wandb.init(project="art", id="more", dir=scratch, settings=settings)
    table = wandb.Table(columns=["artwork", "score"], data=[["Judith", 4.5], ["Salome", None], ["Susanna", float("nan")]])
    sound = wandb.Audio(tone, sample_rate=RATE, caption="a tone")
    page = wandb.Html("<p>A page.</p>", inject=False)
    run.log({"answers": table, "tone": sound, "page": page, "loss": 1.0}, step=5)
    run.finish()
    wandb.teardown()
    target = ROOT / "wandb-more"
    (found,) = pathlib.Path(scratch).glob("wandb/offline-run-*")
    shutil.copytree(found / "files" / "media", target / "files" / "media")
    shutil.copy(found / "run-more.wandb", target)

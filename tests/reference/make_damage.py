"""Logs of the real packages with values that are not finite, and where each record lies in its file, for
tests that damage them (tests/light/runs/recovery.rs).

    pip install tensorboard wandb
    python tests/reference/make_damage.py
"""

import json
import math
import os
import pathlib
import shutil
import struct
import tempfile
import zlib

import wandb
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from wandb.proto import wandb_internal_pb2 as pb

ROOT = pathlib.Path(__file__).parent / "damage"
shutil.rmtree(ROOT, ignore_errors=True)
ROOT.mkdir()
STEPS = 60


def value(step):
    """NaN at steps 10 to 19, an infinity each at 30 and 40, else finite and exact in 32 bits."""
    odd = {30: math.inf, 40: -math.inf}
    return math.nan if 10 <= step < 20 else odd.get(step, step / 4)


# TensorBoard. Each record: length, checksum, data, checksum.
with tempfile.TemporaryDirectory() as scratch:
    writer = EventFileWriter(scratch)
    for step in range(STEPS):
        summary = Summary(value=[Summary.Value(tag="loss", simple_value=value(step))])
        writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=summary))
    writer.close()
    (file,) = pathlib.Path(scratch).iterdir()
    events = file.read_bytes()
(ROOT / "events.out.tfevents.0001.damage").write_bytes(events)
places, at = {}, 0
while at < len(events):
    (length,) = struct.unpack_from("<Q", events, at)
    assert masked_crc32c(events[at : at + 8]) == struct.unpack_from("<I", events, at + 8)[0]
    event = Event.FromString(events[at + 12 : at + 12 + length])
    if event.summary.value:
        places[event.step] = [at, at + length + 16]
    at += length + 16

# W&B, offline: more than one block of 32 KiB, and one record of several pieces.
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DISABLE_GIT="true")
with tempfile.TemporaryDirectory() as scratch:
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off")
    config = {
        "lr": math.inf,
        "x": math.nan,
        "betas": [math.nan, 0.5],
        "deep": {"low": -math.inf, "high": 1},
    }
    run = wandb.init(project="art", id="damage", dir=scratch, settings=settings, config=config)
    run.summary["best"] = 0.5
    run.summary["value"] = 1
    for step in range(STEPS):
        note = "x" * (33_000 if step == 50 else 100)
        run.log({"loss": value(step), "deep": {"low": value(step)}, "note": note}, step=step)
    run.summary["best"] = -math.inf
    run.summary["value"] = math.nan
    run.finish()
    wandb.teardown()
    (file,) = pathlib.Path(scratch).glob("wandb/offline-run-*/run-damage.wandb")
    log = file.read_bytes()
(ROOT / "run-damage.wandb").write_bytes(log)
rows, at, record, begin, others = {}, 7, b"", 7, []
while at + 7 <= len(log):
    if 32_768 - at % 32_768 < 7:
        at += 32_768 - at % 32_768
        continue
    check, length, kind = struct.unpack_from("<IHB", log, at)
    data = log[at + 7 : at + 7 + length]
    assert check == zlib.crc32(bytes([kind]) + data)
    if kind in (1, 2):
        record, begin = b"", at
    record += data
    at += 7 + length
    if kind in (1, 4):
        message = pb.Record.FromString(record)
        if message.WhichOneof("record_type") == "history":
            rows[message.history.step.num] = [begin, at]
        else:
            others.append([begin, at])

words = {math.inf: "inf", -math.inf: "-inf"}
values = [words.get(v, "NaN" if math.isnan(v) else v) for v in map(value, range(STEPS))]
truth = {"values": values, "events": places, "wandb": rows, "wandb_others": others}
(ROOT / "records.json").write_text(json.dumps(truth) + "\n")
print(len(events), len(log), len(places), len(rows))

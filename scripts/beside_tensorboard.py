"""Benchmarks loading event files against TensorBoard's own data server, in one run.

    pip install tensorboard tensorboard-data-server
    cargo build --release --example load_runs
    python scripts/beside_tensorboard.py target/release/examples/load_runs [RUNS ...]

Each run is one file of 100,000 points written by the `tensorboard` package. RUNS are counts of runs
(default: 1, 100, 1000, which need 6 GB in the temporary directory). The server keeps all points
(`samples-per-plugin scalars=all`), as we do; its default of 1,000 points a curve is measured, too. Prints
seconds until everything is loaded, and peak resident memory. The page cache is warm for both; each
measurement is the best of three, alternating.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import tensorboard_data_server
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

POINTS = 100_000


def write_one(folder):
    writer = EventFileWriter(folder)
    for step in range(POINTS):
        value = Summary.Value(tag="loss/train", simple_value=1e4 / (step + 1) + step % 7 / 10)
        writer.add_event(Event(wall_time=1e9 + step / 10, step=step, summary=Summary(value=[value])))
    writer.close()
    return os.path.join(folder, os.listdir(folder)[0])


def peak(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1000


def ours(program, folder):
    told = subprocess.run([program, folder], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) points: ([\d.]+) s, at most (\d+) MB", told)
    return int(found[1]), float(found[2]), float(found[3])


def theirs(folder, samples):
    server = tensorboard_data_server.server_binary()
    command = [server, "--logdir", folder, "--reload", "once", "--port", "0", "-vv"]
    command += ["--samples-per-plugin", samples] if samples else []
    begun = time.time()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        for line in process.stderr:
            if "Finished load cycle" in line:
                return time.time() - begun, peak(process.pid)
    finally:
        process.kill()
        process.wait()
    raise SystemExit("the data server did not load")


def main():
    program = sys.argv[1]
    counts = [int(n) for n in sys.argv[2:]] or [1, 100, 1000]
    print("| runs | ours | data server, all points | ratio | data server, 1,000 of a curve | memory: ours | all | 1,000 |")
    print("|---|---|---|---|---|---|---|---|")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            source = write_one(os.path.join(folder, "run0000"))
            for i in range(1, count):
                run = os.path.join(folder, f"run{i:04}")
                os.mkdir(run)
                shutil.copy(source, run)
            mine, full, usual = [], [], []
            for _ in range(3):
                points, seconds, memory = ours(program, folder)
                assert points == count * POINTS, points
                mine.append((seconds, memory))
                full.append(theirs(folder, "scalars=all"))
                usual.append(theirs(folder, None))
            (a, am), (b, bm), (c, cm) = min(mine), min(full), min(usual)
            print(f"| {count} | {a:.2f} s | {b:.2f} s | {b / a:.2f} | {c:.2f} s | {am:.0f} MB | {bm:.0f} MB | {cm:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()

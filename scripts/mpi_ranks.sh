#!/usr/bin/env bash
# Trains one configuration with 1, 2 and 4 MPI processes and once without MPI, and checks that the losses
# agree within float error.
#   cargo build --release --features mpi && scripts/mpi_ranks.sh
# Needs Open MPI (Debian: openmpi-bin) and the installed default model.
set -euo pipefail
program=${PROGRAM:-target/release/artgpt-tui}
data=${DATA_DIR:-$(mktemp -d)}
config=$(mktemp --suffix .toml)
cat > "$config" <<'T'
model = "artgpt-smol"
data = "met-paintings"
checkpoint_every = 3
validate_every = 3
threads = 1
precision = "f32"
[[stage]]
kind = "align"
steps = 2
batch = 4
lr = 1e-3
[[stage]]
kind = "answer"
steps = 4
batch = 4
questions = 2
lr = 1e-3
T
logs=$(mktemp -d)
"$program" --device cpu --data-dir "$data" --json train "$config" > "$logs/0"
for n in 1 2 4; do
    mpirun --allow-run-as-root --oversubscribe --quiet -n "$n" \
        "$program" --device cpu --data-dir "$data" --json train "$config" > "$logs/$n"
done
LOGS=$logs python3 - <<'P'
import json, os
def losses(n):
    lines = map(json.loads, open(f"{os.environ['LOGS']}/{n}"))
    return [(m["split"], m["loss"]) for m in lines if "split" in m]
runs = {n: losses(n) for n in (0, 1, 2, 4)}
for n, told in runs.items():
    assert [s for s, _ in told] == [s for s, _ in runs[0]] and len(told) == 8, told
    print(f"{n} under MPI:" if n else "without MPI:", " ".join(f"{loss:.6f}" for _, loss in told))
worst = max(abs(a - b) / a for n in runs for (_, a), (_, b) in zip(runs[0], runs[n]))
print(f"largest relative difference {worst:.1e}")
assert worst < 1e-4
P

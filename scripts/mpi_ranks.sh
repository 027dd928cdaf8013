#!/usr/bin/env bash
# One run by 1, 2 and 4 processes under MPI: the losses must be the same within float error.
#   cargo build --release --features mpi && scripts/mpi_ranks.sh
# Needs Open MPI (Debian: openmpi-bin) and the installed default model.
set -euo pipefail
program=${PROGRAM:-target/release/artgpt-tui}
data=${DATA_DIR:-$(mktemp -d)}
config=$(mktemp --suffix .toml)
cat > "$config" <<'T'
model = "artgpt-smol"
data = "met-paintings"
checkpoint_every = 4
validate_every = 4
threads = 1
precision = "f32"
[[stage]]
kind = "answer"
steps = 4
batch = 4
questions = 2
lr = 1e-3
T
for n in 1 2 4; do
    mpirun --allow-run-as-root --oversubscribe --quiet -n "$n" \
        "$program" --device cpu --data-dir "$data" --json train "$config" |
        tee "/tmp/ranks-$n.jsonl" | grep '"split":"train"' >/dev/null
done
python3 - <<'P'
import json
runs = {n: [m["loss"] for m in map(json.loads, open(f"/tmp/ranks-{n}.jsonl")) if m.get("split") == "train"] for n in (1, 2, 4)}
worst = max(abs(a - b) / a for n in (2, 4) for a, b in zip(runs[1], runs[n]))
for n, losses in runs.items():
    print(n, "process(es):", " ".join(f"{loss:.6f}" for loss in losses))
print(f"largest relative difference {worst:.1e}")
assert len(runs[1]) == len(runs[2]) == len(runs[4]) == 4 and worst < 1e-4
P

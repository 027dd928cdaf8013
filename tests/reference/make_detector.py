"""Reference values of the detector (YOLOv2-tiny), with made-up weights.

    pip install torch torchvision
    python tests/reference/make_detector.py

Writes tests/reference/detector.json: values of the network's output for a made-up picture, and the boxes of a
made-up output, decoded with PyTorch and thinned out by torchvision. Weights and pictures are hashes of their
index, which the test in Rust computes too.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.ops import batched_nms

LAYERS = [(16, 3, True), (32, 3, True), (64, 3, True), (128, 3, True), (256, 3, True), (512, 3, True),
          (1024, 3, True), (512, 3, True), (425, 1, False)]
ANCHORS = torch.tensor([[0.57273, 0.677385], [1.87446, 2.06253], [3.33843, 5.47434], [7.88282, 3.52778],
                        [9.77052, 9.16828]])
SIDE, GRID = 96, 6
SCORE, OVERLAP = 0.3, 0.45


def hashed(start, count):
    """Numbers from -1 to 1: splitmix64 of each index."""
    with np.errstate(over="ignore"):
        x = np.arange(start, start + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return torch.tensor((x >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - 1)


def network():
    at = 0

    def take(count):
        nonlocal at
        at += count
        return hashed(at - count, count).double()

    layers, inputs = [], 3
    for out, side, norm in LAYERS:
        bias = take(out) * 0.1
        stats = (1 + take(out) * 0.5, take(out) * 0.1, 1 + take(out) * 0.5) if norm else None
        each = inputs * side * side
        weight = take(out * each).reshape(out, inputs, side, side) * (3 / each) ** 0.5 * 1.4
        layers.append((weight, bias, stats))
        inputs = out
    return layers


def forward(layers, x):
    for i, (weight, bias, stats) in enumerate(layers):
        if stats is None:
            x = F.conv2d(x, weight, bias)
            continue
        scale, mean, variance = stats
        x = F.conv2d(x, weight, padding=1)
        x = F.leaky_relu(F.batch_norm(x, mean, variance, scale, bias, eps=1e-5), 0.1)
        if i < 5:
            x = F.max_pool2d(x, 2)
        elif i == 5:
            x = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, 1)
    return x


def boxes(values):
    """Boxes of an output, (425, grid, grid): class, score, and edges as shares of the square."""
    grid = values.shape[-1]
    v = values.reshape(5, 85, grid, grid)
    column, row = torch.arange(grid)[None, None, :], torch.arange(grid)[None, :, None]
    x, y = (torch.sigmoid(v[:, 0]) + column) / grid, (torch.sigmoid(v[:, 1]) + row) / grid
    w = v[:, 2].exp() * ANCHORS[:, 0, None, None] / grid
    h = v[:, 3].exp() * ANCHORS[:, 1, None, None] / grid
    score, label = (torch.sigmoid(v[:, 4:5]) * torch.softmax(v[:, 5:], 1)).max(1)
    edges = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)
    sure = score > SCORE
    edges, score, label = edges[sure], score[sure], label[sure]
    kept = batched_nms(edges, score, label, OVERLAP)
    return [[int(label[i]), float(score[i]), *edges[i].tolist()] for i in kept]


def main():
    picture = (hashed(10**9, 3 * SIDE * SIDE).double() + 1) / 2
    out = forward(network(), picture.reshape(1, 3, SIDE, SIDE)).flatten()
    made = hashed(2 * 10**9, 425 * GRID * GRID).reshape(5, 85, GRID, GRID) * 2
    # Two classes that are often sure, so that some boxes overlap, and box values near 0.
    made[:, 4] += 1
    made[:, 5] += 6
    made[:, 20] += 6
    wanted = {
        "network": [[i, float(out[i])] for i in range(0, len(out), 41)],
        "boxes": boxes(made.reshape(425, GRID, GRID)),
    }
    path = Path(__file__).with_name("detector.json")
    path.write_text(json.dumps(wanted, separators=(",", ":")) + "\n")
    print(len(wanted["network"]), "values,", len(wanted["boxes"]), "boxes; spread", float(out.std()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

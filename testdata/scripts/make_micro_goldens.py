"""Writes testdata/micro: what PyTorch computes of the operators of workload
micro in float64, and the checkpoints of its tiny scale.

    python testdata/scripts/make_micro_goldens.py testdata/micro

The numbers are functions of their position, in one line of integer arithmetic;
workloads/micro/values.go has the same.
"""

import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

EPSILON = 1e-5
TABLE_ROWS = 4
POSITIONS, BLOCKS = 128, 64

TINY = [
    ("matmul", [48, 40, 56]), ("conv", [8, 12]), ("attention", [2, 16, 8]), ("linear", [20, 32]), ("batch_norm", [2, 8, 5]),
] + [(op, [n]) for op in ("upload", "download", "echo") for n in (1 << 10, 64 << 10)]
SMALL = [
    ("matmul", [1024, 1024, 1024]), ("conv", [64, 56]), ("attention", [12, 512, 64]), ("linear", [128, 512]),
    ("batch_norm", [8, 256, 14]),
]


def mix(x):
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def hashes(n, salt):
    return mix(np.arange(n, dtype=np.uint32) + np.uint32(salt * 0x9E3779B9 & 0xFFFFFFFF))


def leaf(salt, kind, *shape):
    n = math.prod(shape)
    h = hashes(n, salt)
    if kind == "signed":
        v = ((h >> 20).astype(np.int64) - 2048) / 1024
    elif kind == "positive":
        v = (h >> 20).astype(np.int64) / 4096 + 0.5
    elif kind == "integer":
        v = (h >> 28).astype(np.int64) - 8
    elif kind == "tripled":
        v = np.arange(n) % 3 + 1
    return torch.from_numpy(v.astype(np.float32)).reshape(shape)


def grid(size):
    n = size // 4
    rows = max(r for r in range(1, math.isqrt(n) + 1) if n % r == 0)
    return rows, n // rows


def weights(op, d):
    if op == "matmul":
        return {"weight": leaf(11, "signed", d[2], d[1])}
    if op == "conv":
        return {"weight": leaf(11, "signed", d[0], d[0], 3, 3)}
    if op == "linear":
        return {"weight": leaf(11, "signed", d[1], d[1]), "bias": leaf(12, "signed", d[1])}
    if op == "batch_norm":
        return {
            "weight": leaf(11, "signed", d[1]), "bias": leaf(12, "signed", d[1]),
            "running_mean": leaf(13, "signed", d[1]), "running_var": leaf(14, "positive", d[1]),
        }
    if op == "upload":
        return {"weight": leaf(11, "tripled", grid(d[0])[1], 1)}
    if op == "download":
        return {"weight": leaf(11, "integer", TABLE_ROWS, grid(d[0])[1])}
    return {}


def compute(op, d, w):
    w = {k: v.double() for k, v in w.items()}
    if op == "matmul":
        return leaf(1, "signed", d[0], d[2]).double() @ w["weight"]
    if op == "conv":
        return F.conv2d(leaf(1, "signed", 1, d[0], d[1], d[1]).double(), w["weight"], padding=1)
    if op == "attention":
        q, k, v = (leaf(salt, "signed", 1, *d).double() for salt in (1, 2, 3))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    if op == "linear":
        return F.linear(leaf(1, "signed", *d).double(), w["weight"].T, w["bias"])
    x = leaf(1, "signed", d[0], d[1], d[2], d[2]).double()
    return F.batch_norm(x, w["running_mean"], w["running_var"], w["weight"], w["bias"], eps=EPSILON)


def reference(y):
    y = y.reshape(-1).numpy()
    n = len(y)
    at = np.unique(hashes(POSITIONS, 77) % np.uint32(n)).tolist()
    block = -(-n // BLOCKS)
    signs = 1 - 2 * (hashes(n, 99) >> np.uint32(31)).astype(np.float64)
    signed = y * signs
    return {
        "elements": n, "max_abs": float(np.abs(y).max()), "positions": at, "values": [float(y[i]) for i in at],
        "block": block, "sums": [math.fsum(signed[i:i + block]) for i in range(0, n, block)],
    }


def main(out):
    for scale, cases in (("tiny", TINY), ("small", SMALL)):
        golden = {"torch": torch.__version__, "cases": {}}
        for op, d in cases:
            w = weights(op, d)
            if op in ("upload", "download", "echo"):
                name = f"{op}-{d[0] >> 10}KiB"
            else:
                name = f"{op}-{'x'.join(map(str, d))}"
                golden["cases"][name] = reference(compute(op, d, w))
            if scale == "tiny":
                folder = os.path.join(out, name)
                os.makedirs(folder, exist_ok=True)
                config = {"model_type": "genie-micro", "op": op, "dims": d}
                if op == "batch_norm":
                    config["norm_epsilon"] = EPSILON
                with open(os.path.join(folder, "config.json"), "w") as f:
                    json.dump(config, f)
                    f.write("\n")
                save_file({k: v.contiguous() for k, v in w.items()}, os.path.join(folder, "model.safetensors"), {"format": "pt"})
        with open(os.path.join(out, scale + ".json"), "w") as f:
            json.dump(golden, f)
            f.write("\n")


main(sys.argv[1])

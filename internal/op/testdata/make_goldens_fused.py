"""Writes goldens_fused.json: what PyTorch computes for the operators that
replace patterns of others. Versions and format are those of make_goldens.py.
Run: python make_goldens_fused.py
"""
import math
import pathlib
import runpy

import numpy as np
import torch
import torch.nn.functional as F

base = runpy.run_path(str(pathlib.Path(__file__).with_name("make_goldens.py")), run_name="make_goldens")
case, f32, cases = base["case"], base["f32"], base["cases"]
cases.clear()
base["rng"].bit_generator.state = np.random.default_rng(11).bit_generator.state
rng = base["rng"]

for s in [(4, 7), (2, 3, 5), (1, 1), (0, 4)]:
    n = s[-1]
    case(f"layer_norm{s} gamma", "layer_norm", {"eps": 1e-5}, [f32(*s), f32(n)], lambda x, w: F.layer_norm(x, (n,), w, None, 1e-5))
    case(f"layer_norm{s} alone", "layer_norm", {"eps": 1e-5}, [f32(*s)], lambda x: F.layer_norm(x, (n,), None, None, 1e-5))
    case(f"rms_norm{s}", "rms_norm", {"eps": 1e-6, "offset": 0.0}, [f32(*s), f32(n)], lambda x, w: F.rms_norm(x, (n,), w, 1e-6))
    case(f"rms_norm{s} alone", "rms_norm", {"eps": 1e-5, "offset": 0.0}, [f32(*s)], lambda x: F.rms_norm(x, (n,), None, 1e-5))
    case(f"rms_norm{s} one more", "rms_norm", {"eps": 1e-6, "offset": 1.0}, [f32(*s), f32(n)], lambda x, w: F.rms_norm(x, (n,), 1 + w, 1e-6))
case("rms_norm zeros", "rms_norm", {"eps": 1e-6, "offset": 0.0}, [np.zeros((2, 5), np.float32), f32(5)], lambda x, w: F.rms_norm(x, (5,), w, 1e-6))
for ax in [0, 1, 2, -1]:
    case(f"log_softmax {ax}", "log_softmax", {"axis": ax}, [f32(3, 4, 5, scale=8)], lambda x: torch.log_softmax(x, ax))
case("log_softmax large", "log_softmax", {"axis": -1}, [np.float32([[1e4, 1e4, -1e4], [30, -30, 0]])], lambda x: torch.log_softmax(x, -1))


def rope(interleaved, dims):
    def fn(x, c, s):
        n = dims or x.shape[-1]
        r, rest = x[..., :n], x[..., n:]
        a, b = (r[..., ::2], r[..., 1::2]) if interleaved else (r[..., : n // 2], r[..., n // 2 :])
        a, b = a * c - b * s, b * c + a * s
        r = torch.stack([a, b], -1).flatten(-2) if interleaved else torch.cat([a, b], -1)
        return torch.cat([r, rest], -1)
    return fn


for interleaved in (False, True):
    for dims, shape, angles in [(0, (2, 3, 5, 8), (5, 4)), (4, (2, 3, 5, 8), (2, 1, 5, 2)), (0, (5, 6), (1, 3)), (2, (3, 2, 3), (3, 1, 1)), (0, (0, 2), (1,))]:
        t = rng.uniform(-3, 3, angles)
        case(f"rope {interleaved} {dims} {shape} {angles}", "rope", {"interleaved": interleaved, "dims": dims},
             [f32(*shape), np.cos(t).astype(np.float32), np.sin(t).astype(np.float32)], rope(interleaved, dims))

MASKED = -float(np.finfo(np.float32).max)


def attention(a):
    def fn(q, k, v, *rest):
        rest = list(rest)
        mask = rest.pop(0) if a["mask"] != "none" else None
        start = rest.pop(0) if a["start"] else None
        g = q.shape[-3] // max(k.shape[-3], 1)
        k, v = k.repeat_interleave(g, -3), v.repeat_interleave(g, -3)
        s = q @ k.transpose(-1, -2) * a["scale"]
        if a["softcap"]:
            s = a["softcap"] * torch.tanh(s / a["softcap"])
        tq, tk = s.shape[-2:]
        i, j = torch.arange(tq)[:, None] + (tk - tq), torch.arange(tk)[None]
        ok = torch.ones(s.shape, dtype=torch.bool)
        if a["causal"]:
            ok = ok & (j <= i)
            if a["window"]:
                ok = ok & (j > i - a["window"])
        if start is not None:
            ok = ok & (j >= start.reshape([-1] + [1] * (s.dim() - 1)))
        if a["mask"] == "add":
            s = s + mask
        if a["mask"] == "bool":
            ok = ok & mask
        s = torch.where(ok, s, torch.tensor(MASKED, dtype=s.dtype))
        return torch.softmax(s, -1) @ v if tk else torch.zeros(*s.shape[:-1], v.shape[-1], dtype=s.dtype)
    return fn


def attend(name, q, k, width, mask=None, start=None, **attrs):
    a = {"scale": 1 / 2, "causal": False, "window": 0, "softcap": 0.0, "mask": "none", "start": start is not None} | attrs
    if mask is not None:
        a["mask"] = "bool" if mask.dtype == np.bool_ else "add"
    ins = [f32(*q), f32(*k), f32(*k[:-1], width)] + [x for x in (mask, start) if x is not None]
    case(f"attention {name}", "attention", a, ins, attention(a))
    if mask is None and start is None and not a["causal"] and not a["softcap"] and k[-2] and len(q) == 4:  # PyTorch's own agrees
        t = [torch.from_numpy(x).double() for x in ins]
        own = F.scaled_dot_product_attention(*t, scale=a["scale"], enable_gqa=True)
        assert torch.allclose(own, attention(a)(*t), atol=1e-12)


i32, i64 = (lambda *x: np.array(x, np.int32)), (lambda *x: np.array(x, np.int64))
attend("plain", (2, 3, 4, 5), (2, 3, 6, 5), 7)
attend("rank 3", (3, 4, 5), (3, 6, 5), 5)
attend("rank 5", (2, 1, 3, 4, 5), (2, 1, 3, 6, 5), 5, scale=-0.25)
attend("grouped", (2, 6, 4, 5), (2, 2, 6, 5), 5)
attend("grouped one", (2, 4, 1, 5), (2, 1, 9, 5), 3, scale=1.0)
attend("grouped causal", (1, 4, 3, 5), (1, 2, 6, 5), 5, causal=True)
attend("causal", (2, 2, 5, 4), (2, 2, 5, 4), 4, causal=True)
attend("causal more queries", (1, 2, 6, 4), (1, 2, 3, 4), 4, causal=True)
attend("window", (1, 2, 5, 4), (1, 2, 7, 4), 4, causal=True, window=2)
attend("start", (3, 2, 2, 4), (3, 2, 4, 4), 4, start=i32(0, 2, 9), causal=True)
attend("start alone", (2, 2, 3, 4), (2, 2, 5, 4), 4, start=i64(1, 4))
attend("softcap", (1, 2, 3, 4), (1, 2, 5, 4), 4, softcap=1.5)
attend("softcap mask", (2, 4, 3, 4), (2, 2, 5, 4), 4, softcap=1.5, mask=f32(2, 1, 1, 5), causal=True)
attend("add", (2, 2, 3, 4), (2, 2, 5, 4), 4, mask=f32(2, 2, 3, 5))
attend("add keys", (2, 2, 3, 4), (2, 2, 5, 4), 4, mask=np.where(rng.random((2, 1, 1, 5)) > 0.4, 0, -1e4).astype(np.float32))
attend("add lowest", (1, 2, 3, 4), (1, 2, 5, 4), 4, mask=np.where(rng.random((3, 5)) > 0.4, 0, np.finfo(np.float32).min).astype(np.float32))
attend("add infinite", (1, 2, 3, 4), (1, 2, 5, 4), 4, mask=np.float32([[0, -np.inf, 0, 0, 0], [0, 0, 0, -np.inf, 1], [0, 0, -np.inf, -np.inf, -np.inf]]))
attend("add heads", (2, 4, 3, 4), (2, 2, 5, 4), 4, mask=f32(4, 1, 5))
attend("add rows", (2, 4, 3, 4), (2, 4, 5, 4), 4, mask=f32(1, 1, 3, 1))
attend("bool", (2, 2, 3, 4), (2, 2, 5, 4), 4, mask=rng.random((2, 1, 3, 5)) > 0.4)
attend("bool nothing", (1, 4, 2, 4), (1, 2, 5, 4), 4, mask=np.array([[False] * 5, [True, False, False, True, False]]))
attend("bool causal window start", (2, 2, 4, 4), (2, 2, 6, 4), 4, mask=rng.random(6) > 0.3, start=i32(1, 3), causal=True, window=3)
attend("no keys", (1, 2, 3, 4), (1, 2, 0, 4), 4)
attend("no queries", (1, 2, 0, 4), (1, 2, 3, 4), 4)
attend("no elements", (1, 2, 3, 0), (1, 2, 4, 0), 4)
attend("no width", (1, 2, 3, 4), (1, 2, 4, 4), 0)
attend("usual", (1, 2, 3, 16), (1, 2, 4, 16), 16, scale=1 / math.sqrt(16))

base["write"]("goldens_fused.json")

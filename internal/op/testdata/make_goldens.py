"""Writes goldens.json: what PyTorch computes for each operator of internal/op.

Made with torch 2.15.0 and numpy 2.4.6 on the CPU; the "torch" field of the file names the version
that wrote it. Run: python make_goldens.py

A case is an operator, its attributes, its inputs and the expected output.
Tensors are base64 of little-endian, row-major elements. Float references are
computed in float64 and rounded once to float32.
"""
import base64
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(7)
NAMES = {"float32": "f32", "int32": "i32", "int64": "i64", "bool": "bool"}
cases = []


def enc(a):
    a = np.ascontiguousarray(a) if a.ndim else a
    return {"dtype": NAMES[str(a.dtype)], "shape": list(a.shape), "data": base64.b64encode(a.tobytes()).decode()}


def f32(*shape, scale=2.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def case(name, op, attrs, ins, fn, dtype=np.float32):
    ts = [torch.from_numpy(np.array(x)) for x in ins]
    ts = [t.double() if t.dtype == torch.float32 else t for t in ts]
    out = fn(*ts).numpy().astype(dtype)
    cases.append({"name": name, "op": op, "attrs": attrs, "in": [enc(x) for x in ins], "out": enc(out)})


def dims(*d):
    return {"dims": [str(x) for x in d]}


for op, fn in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div)]:
    for a, b in [((3, 5), (3, 5)), ((2, 1, 7), (3, 1)), ((), (4, 3)), ((1, 3), (5, 1)), ((0, 3), (1, 3)), ((), ())]:
        case(f"{op}{a}{b}", op, {}, [f32(*a), f32(*b)], fn)

case("bias", "bias", {}, [f32(2, 3, 5), f32(5)], torch.add)
case("relu", "relu", {}, [f32(3, 7)], torch.relu)
case("tanh", "tanh", {}, [f32(3, 7)], torch.tanh)
case("tanh rank 0", "tanh", {}, [f32()], torch.tanh)
g = np.concatenate([f32(21), np.float32([0, -0.0, 30, -30, 1e-8, 5, -5])]).reshape(4, 7)
case("gelu erf", "gelu", {"tanh": False}, [g], F.gelu)
case("gelu tanh", "gelu", {"tanh": True}, [g], lambda x: F.gelu(x, approximate="tanh"))
for ax in [0, 1, 2, -1, -3]:
    case(f"softmax {ax}", "softmax", {"axis": ax}, [f32(3, 4, 5, scale=8)], lambda x: torch.softmax(x, ax))
case("softmax large", "softmax", {"axis": -1}, [np.float32([[1e4, 1e4, -1e4], [3.4e38, -3.4e38, 0]])], lambda x: torch.softmax(x, -1))
case("softmax one", "softmax", {"axis": 0}, [f32(1, 3)], lambda x: torch.softmax(x, 0))
for s in [(4, 7), (2, 3, 5), (1, 1), (0, 4)]:
    n = s[-1]
    case(f"layer_norm{s}", "layer_norm", {"eps": 1e-5}, [f32(*s), f32(n), f32(n)],
         lambda x, w, b: F.layer_norm(x, (n,), w, b, 1e-5))
case("layer_norm offset", "layer_norm", {"eps": 1e-12}, [f32(3, 9) + np.float32(50), f32(9), f32(9)],
     lambda x, w, b: F.layer_norm(x, (9,), w, b, 1e-12))
for dt in (np.int32, np.int64):
    case(f"embedding {dt.__name__}", "embedding", {}, [f32(11, 3), rng.integers(0, 11, (2, 5)).astype(dt)],
         lambda t, i: t[i.long()])
case("embedding rank 0", "embedding", {}, [f32(4, 3), np.array(2, np.int32)], lambda t, i: t[i.long()])
case("embedding none", "embedding", {}, [f32(4, 3), np.zeros((0,), np.int32)], lambda t, i: t[i.long()])

for sa, sb in [((3, 5), (5, 7)), ((2, 3, 5), (5, 4)), ((2, 1, 3, 5), (3, 5, 2)), ((1, 4), (4, 1)), ((3, 0), (0, 2)), ((0, 3), (3, 2))]:
    for ta in (False, True):
        for tb in (False, True):
            a = f32(*sa)
            b = f32(*sb)
            a2 = a.swapaxes(-1, -2).copy() if ta else a
            b2 = b.swapaxes(-1, -2).copy() if tb else b
            case(f"matmul {sa}{sb} {ta} {tb}", "matmul", {"trans_a": ta, "trans_b": tb}, [a2, b2],
                 lambda x, y: torch.matmul(x.transpose(-1, -2) if ta else x, y.transpose(-1, -2) if tb else y))

for kind, fn in [("sum", torch.sum), ("mean", torch.mean), ("max", torch.amax)]:
    for axes in ([0], [1], [-1], [0, 2], [2, 0], [0, 1, 2]):
        for keep in (False, True):
            case(f"reduce {kind} {axes} {keep}", "reduce", {"kind": kind, "axes": axes, "keep": keep}, [f32(3, 4, 5)],
                 lambda x: fn(x, dim=axes, keepdim=keep))
case("reduce sum nothing", "reduce", {"kind": "sum", "axes": [1], "keep": False}, [f32(3, 0)], lambda x: x.sum(1))
ties = np.float32([[1, 3, 3, 2], [5, 5, 1, 5], [-1, -1, -2, -1]])
for ax in (0, 1, -1):
    x = f32(4, 5)
    case(f"argmax {ax}", "argmax", {"axis": ax}, [x], lambda t: torch.argmax(t, ax), np.int32)
case("argmax ties", "argmax", {"axis": 1}, [ties], lambda t: torch.from_numpy(np.argmax(t.numpy(), 1)), np.int32)
case("argmax inf", "argmax", {"axis": 0}, [np.float32([-np.inf, 1, np.inf, np.inf])], lambda t: torch.tensor(2), np.int32)
case("topk values", "topk", {"k": 3, "indices": False}, [f32(2, 3, 7)], lambda x: torch.topk(x, 3).values)
case("topk indices", "topk", {"k": 3, "indices": True}, [f32(2, 3, 7)], lambda x: torch.topk(x, 3).indices, np.int32)
case("topk ties", "topk", {"k": 4, "indices": True}, [ties],
     lambda x: torch.from_numpy(np.argsort(-x.numpy(), axis=1, kind="stable")), np.int32)

case("reshape", "reshape", {"shape": dims(5, 12)}, [f32(3, 4, 5)], lambda x: x.reshape(5, 12))
case("reshape rank 0", "reshape", {"shape": dims()}, [f32(1, 1)], lambda x: x.reshape(()))
case("reshape i64", "reshape", {"shape": dims(6)}, [rng.integers(-9, 9, (2, 3))], lambda x: x.reshape(6), np.int64)
case("transpose", "transpose", {"perm": [2, 0, 1]}, [f32(3, 4, 5)], lambda x: x.permute(2, 0, 1))
case("transpose bool", "transpose", {"perm": [1, 0]}, [f32(3, 4) > 0], lambda x: x.permute(1, 0), np.bool_)
case("transpose rank 0", "transpose", {"perm": []}, [f32()], lambda x: x)
for ax, lo, hi in [(0, 1, 3), (1, 0, 2), (-1, 2, 5), (2, 3, 3)]:
    case(f"slice {ax} {lo}:{hi}", "slice", {"axis": ax, "start": dims(lo), "stop": dims(hi)}, [f32(3, 4, 5)],
         lambda x: x.narrow(ax, lo, hi - lo))
for ax in (0, 1, -1):
    parts = [f32(*[n if i == ax % 3 else d for i, d in enumerate((2, 3, 4))]) for n in (1, 0, 5)]
    case(f"concat {ax}", "concat", {"axis": ax}, parts, lambda *p: torch.cat(p, ax))
case("concat one", "concat", {"axis": 0}, [f32(3)], lambda p: p)
case("concat i32", "concat", {"axis": 0}, [np.int32([1, 2]), np.int32([3])], lambda *p: torch.cat(p, 0), np.int32)
case("append", "append", {"axis": 1}, [f32(2, 3, 4), f32(2, 2, 4)], lambda *p: torch.cat(p, 1))
case("append first", "append", {"axis": 1}, [f32(2, 0, 4), f32(2, 2, 4)], lambda *p: torch.cat(p, 1))
for ax, shape in ((0, (2, 4)), (1, (6, 2))):
    def write(c, r, p):
        c = c.clone()
        c.narrow(ax, int(p), 2).copy_(r)
        return c
    case(f"write_rows {ax}", "write_rows", {"axis": ax}, [f32(6, 4), f32(*shape), np.array([2], np.int64)], write)
case("write_rows none", "write_rows", {"axis": 0}, [f32(3, 2), f32(0, 2), np.array(3, np.int32)], lambda c, r, p: c)
case("where", "where", {}, [f32(3, 1) > 0, f32(1, 4), f32()], torch.where)
case("where i32", "where", {}, [np.array([True, False]), np.int32([[1, 2], [3, 4]]), np.int32([7, 8])], torch.where, np.int32)


def causal(window, start):
    def fn(s, *rest):
        q, k = s.shape[-2:]
        i = torch.arange(q)[:, None] + (k - q)
        j = torch.arange(k)[None]
        ok = j <= i
        if window:
            ok = ok & (j > i - window)
        ok = ok.expand(s.shape)
        if rest:
            st = rest[0].reshape([-1] + [1] * (s.dim() - 1))
            ok = ok & (j >= st)
        return torch.where(ok, s, torch.tensor(-float(np.finfo(np.float32).max), dtype=s.dtype))
    return fn


case("causal_mask", "causal_mask", {"window": 0}, [f32(2, 4, 4)], causal(0, False))
case("causal_mask decode", "causal_mask", {"window": 0}, [f32(1, 2, 1, 5)], causal(0, False))
case("causal_mask past", "causal_mask", {"window": 0}, [f32(3, 5)], causal(0, False))
case("causal_mask window", "causal_mask", {"window": 2}, [f32(2, 3, 6)], causal(2, False))
for dt in (np.int32, np.int64):
    case(f"causal_mask start {dt.__name__}", "causal_mask", {"window": 0}, [f32(3, 2, 3, 4), np.array([0, 2, 9], dt)], causal(0, True))
case("causal_mask start window", "causal_mask", {"window": 3}, [f32(2, 3, 5), np.array([1, 3], np.int32)], causal(3, True))

x = np.float32([[0, -0.5, 1.9, -1.9], [3e9, 7, -7.99, 16777216]])
case("cast f32 i64", "cast", {"to": 5}, [x], lambda t: t.long(), np.int64)
case("cast f32 bool", "cast", {"to": 6}, [x], lambda t: t.bool(), np.bool_)
case("cast f32 f32", "cast", {"to": 1}, [x], lambda t: t)
case("cast i64 i32", "cast", {"to": 4}, [np.int64([5, -5, 2**31 - 1])], lambda t: t.int(), np.int32)
case("cast i64 f32", "cast", {"to": 1}, [np.int64([5, -5, 2**24 + 1])], lambda t: t.double())
case("cast i64 bool", "cast", {"to": 6}, [np.int64([0, -5, 2**40])], lambda t: t.bool(), np.bool_)
case("cast bool i32", "cast", {"to": 4}, [np.array([True, False])], lambda t: t.int(), np.int32)
case("cast bool f32", "cast", {"to": 1}, [np.array([[True], [False]])], lambda t: t.double())
case("contiguous", "contiguous", {}, [f32(3, 4)], lambda t: t)
case("identity", "identity", {}, [rng.integers(0, 9, (3, 4))], lambda t: t, np.int64)

for stride, pad, dil, groups, bias in [((1, 1), (0, 0), (1, 1), 1, False), ((2, 1), (1, 2), (1, 1), 1, True),
                                       ((1, 2), (2, 1), (2, 1), 2, True), ((3, 3), (1, 1), (1, 2), 4, False)]:
    ins = [f32(2, 4, 7, 8), f32(8, 4 // groups, 3, 2)] + ([f32(8)] if bias else [])
    case(f"conv2d {stride} {pad} {dil} {groups}", "conv2d",
         {"stride": stride, "pad": pad, "dilation": dil, "groups": groups}, ins,
         lambda x, w, b=None: F.conv2d(x, w, b, stride, pad, dil, groups))
for k, s, p in [((2, 2), (2, 2), (0, 0)), ((3, 2), (2, 1), (1, 1)), ((1, 1), (1, 1), (0, 0))]:
    case(f"max_pool2d {k} {s} {p}", "max_pool2d", {"kernel": k, "stride": s, "pad": p}, [f32(2, 3, 7, 6)],
         lambda x: F.max_pool2d(x, k, s, p))
for s in [(2, 3), (2, 3, 4), (2, 3, 4, 5)]:
    var = np.abs(f32(3)) + np.float32(0.1)
    case(f"batch_norm {s}", "batch_norm", {"eps": 1e-5}, [f32(*s), f32(3), f32(3), f32(3), var],
         lambda x, w, b, m, v: F.batch_norm(x, m, v, w, b, False, 0.0, 1e-5))

# New operators come last, so that the numbers of those before stay.
case("quick_gelu", "quick_gelu", {}, [g], lambda x: x * torch.sigmoid(1.702 * x))
case("exp", "exp", {}, [f32(3, 7)], torch.exp)
case("exp rank 0", "exp", {}, [f32()], torch.exp)
case("sqrt", "sqrt", {}, [np.abs(f32(3, 7))], torch.sqrt)
case("sqrt special", "sqrt", {}, [np.float32([0, 1, -1, 1e-30, 1e30])], torch.sqrt)
for dt in (np.float32, np.int32, np.int64):
    case(f"equal {dt.__name__}", "equal", {}, [rng.integers(0, 3, (2, 1, 5)).astype(dt), rng.integers(0, 3, (4, 1)).astype(dt)], torch.eq, np.bool_)
case("equal nan", "equal", {}, [np.float32([np.nan, 1, -0.0]), np.float32([np.nan, 1, 0])], torch.eq, np.bool_)
case("expand", "expand", {"shape": dims(2, 3, 4)}, [f32(3, 1)], lambda x: x.expand(2, 3, 4))
case("expand rank 0", "expand", {"shape": dims(2, 0)}, [f32()], lambda x: x.expand(2, 0))
case("expand i64", "expand", {"shape": dims(2, 3)}, [rng.integers(-9, 9, (1, 3))], lambda x: x.expand(2, 3), np.int64)
for dt in (np.int32, np.int64):
    for shape in ((3, 5), (3, 5, 4), (3, 5, 2, 2)):
        case(f"pick {dt.__name__} {len(shape)}", "pick", {}, [f32(*shape), np.array([4, 0, 2], dt)], lambda x, i: x[torch.arange(3), i.long()])
case("pick nothing", "pick", {}, [f32(0, 5, 4), np.zeros((0,), np.int32)], lambda x, i: x[:, 0])
case("silu", "silu", {}, [np.concatenate([f32(21, scale=6), np.float32([0, -0.0, 80, -80, 1e-8, np.inf, np.nan])]).reshape(4, 7)], F.silu)


def write(name):
    body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    text = '{"torch":"%s","cases":[\n%s\n]}\n' % (torch.__version__, body)
    pathlib.Path(__file__).with_name(name).write_text(text)


if __name__ == "__main__":
    write("goldens.json")

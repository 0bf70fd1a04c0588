"""Writes general_goldens.json: what NumPy, SciPy and ONNX Runtime compute for the general operators of
internal/op.

Made with numpy 2.4.6, scipy 1.17.1, onnx 1.23.2 and onnxruntime 1.32.0 on the CPU. Run: python make_general_goldens.py

The format is that of goldens.json; a float attribute is {"float": "text"}, and "within" is the tolerance where it is
not 1e-6. Where NumPy is the reference, floats
are computed in float64 and rounded once to float32. Each case has its own random numbers, from its name.
"""
import base64
import json
import pathlib
import zlib

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import scipy.special

NAMES = {"float32": "f32", "int32": "i32", "int64": "i64", "bool": "bool"}
cases = []
state = {}


def enc(a):
    a = np.asarray(a)
    return {"dtype": NAMES[str(a.dtype)], "shape": list(a.shape), "data": base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()}


def rng():
    """The random numbers of the next case."""
    return np.random.default_rng([7, len(cases)])


def f32(*shape, scale=2.0):
    state.setdefault(len(cases), rng())
    return (state[len(cases)].standard_normal(shape) * scale).astype(np.float32)


def ints(dt, lo, hi, *shape):
    state.setdefault(len(cases), rng())
    return state[len(cases)].integers(lo, hi, shape).astype(dt)


def record(name, op, attrs, ins, out, **more):
    cases.append({"name": name, "op": op, "attrs": attrs, "in": [enc(x) for x in ins], "out": enc(out), **more})


def case(name, op, attrs, ins, fn, dtype=np.float32):
    wide = [x.astype(np.float64) if np.asarray(x).dtype == np.float32 else np.asarray(x) for x in ins]
    with np.errstate(all="ignore"):
        out = np.asarray(fn(*wide)).astype(dtype)
    record(name, op, attrs, ins, out)


def dims(*d):
    return {"dims": [str(x) for x in d]}


def flt(x):
    return {"float": repr(float(x))}


SPECIAL = np.float32([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-8, -1e-8, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 30, -30, 80, -80, 3e-38, -3e-38])
UNARY = {
    "abs": np.abs, "neg": np.negative, "sign": np.sign, "reciprocal": lambda x: 1 / x, "rsqrt": lambda x: 1 / np.sqrt(x),
    "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "erf": scipy.special.erf, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x), "floor": np.floor, "ceil": np.ceil, "round": np.round,
}
for op, fn in UNARY.items():
    case(f"{op} special", op, {}, [SPECIAL], fn)
    case(f"{op} random", op, {}, [f32(3, 7)], fn)
    case(f"{op} rank 0", op, {}, [f32()], fn)
    case(f"{op} nothing", op, {}, [f32(3, 0)], fn)
    if op in ("abs", "neg", "sign"):
        for dt in (np.int32, np.int64):
            case(f"{op} {dt.__name__}", op, {}, [np.array([0, 3, -3, np.iinfo(dt).max, np.iinfo(dt).min], dt)], fn, dt)
for lo, hi in [(-1, 1), (-np.inf, 0.1), (0, np.inf), (2, -2), (0, 6)]:
    case(f"clip {lo} {hi}", "clip", {"min": flt(lo), "max": flt(hi)}, [SPECIAL], lambda x: np.minimum(np.maximum(x, np.float64(np.float32(lo))), np.float64(np.float32(hi))))

SHAPES = [((3, 5), (3, 5)), ((2, 1, 7), (3, 1)), ((), (4, 3)), ((0, 3), (1, 3)), ((), ())]
PAIR = np.float32([0, -0.0, 1, -2, 2.5, np.inf, -np.inf, np.nan])


def truncated(a, b):
    return np.where(b == 0, 0, np.trunc(a / np.where(b == 0, 1, b)))


def power(a, b):
    return np.power(a, b)


for op, attrs, fn, ifn in [
    ("min", {}, np.minimum, np.minimum), ("max", {}, np.maximum, np.maximum), ("pow", {}, power, None),
    ("mod", {"fmod": False}, np.mod, np.mod), ("mod", {"fmod": True}, np.fmod, np.fmod),
    ("add", {}, None, np.add), ("sub", {}, None, np.subtract), ("mul", {}, None, np.multiply), ("div", {}, None, truncated),
]:
    tag = f"{op} fmod" if attrs.get("fmod") else op
    if fn:
        for a, b in SHAPES:
            case(f"{tag}{a}{b}", op, attrs, [np.abs(f32(*a)) if op == "pow" else f32(*a), f32(*b)], fn)
        if op == "mod":  # NumPy's floor mod of an infinite divisor gives that divisor
            special = PAIR[np.isfinite(PAIR)]
        else:
            special = PAIR
        case(f"{tag} special", op, attrs, [PAIR[:, None], special], fn)
    if ifn:
        for dt in (np.int32, np.int64):
            for a, b in SHAPES:
                x, y = ints(dt, -9, 9, *a), ints(dt, -4, 4, *b)
                case(f"{tag} {dt.__name__} {a}{b}", op, attrs, [x, y], ifn, dt)
            edge = np.array([np.iinfo(dt).max, np.iinfo(dt).min, 7, -7], dt)
            if op not in ("div", "mod"):
                case(f"{tag} {dt.__name__} edges", op, attrs, [edge[:, None], edge], ifn, dt)

for op, fn in [("less", np.less), ("less_equal", np.less_equal), ("greater", np.greater), ("greater_equal", np.greater_equal)]:
    for dt in (np.float32, np.int32, np.int64):
        case(f"{op} {dt.__name__}", op, {}, [ints(dt, 0, 3, 2, 1, 5), ints(dt, 0, 3, 4, 1)], fn, np.bool_)
    case(f"{op} special", op, {}, [PAIR[:, None], PAIR], fn, np.bool_)
    case(f"{op} rank 0", op, {}, [np.float32(1), np.float32(1)], fn, np.bool_)
BOOLS = np.array([True, False])
for op, fn in [("and", np.logical_and), ("or", np.logical_or), ("xor", np.logical_xor), ("equal", np.equal)]:
    case(f"{op} bool", op, {}, [BOOLS[:, None], BOOLS], fn, np.bool_)
    case(f"{op} bool rank 0", op, {}, [np.array(True), BOOLS], fn, np.bool_)
case("not", "not", {}, [np.array([[True, False, False]])], np.logical_not, np.bool_)
case("is_nan", "is_nan", {}, [SPECIAL], np.isnan, np.bool_)
case("is_inf", "is_inf", {}, [SPECIAL], np.isinf, np.bool_)


# Reductions.
for kind, fn in [("min", np.min), ("prod", np.prod)]:
    for axes in ([0], [-1], [0, 2], [0, 1, 2], []):
        for keep in (False, True):
            case(f"reduce {kind} {axes} {keep}", "reduce", {"kind": kind, "axes": axes, "keep": keep}, [f32(3, 4, 5)],
                 lambda x: fn(x, axis=tuple(axes), keepdims=keep))
case("reduce prod nothing", "reduce", {"kind": "prod", "axes": [1], "keep": False}, [f32(3, 0)], lambda x: x.prod(1))
case("reduce min nan", "reduce", {"kind": "min", "axes": [0], "keep": False}, [np.float32([1, np.nan, -np.inf])], lambda x: x.min(0))
case("reduce rank 0", "reduce", {"kind": "prod", "axes": [], "keep": False}, [f32()], lambda x: x)
for dt in (np.int32, np.int64):
    for kind, fn in [("sum", np.sum), ("max", np.max), ("min", np.min), ("prod", np.prod)]:
        case(f"reduce {kind} {dt.__name__}", "reduce", {"kind": kind, "axes": [1], "keep": True}, [ints(dt, -9, 9, 3, 4)],
             lambda x: fn(x, axis=1, keepdims=True), dt)
        case(f"reduce {kind} {dt.__name__} all", "reduce", {"kind": kind, "axes": [0, 1], "keep": False}, [ints(dt, -9, 9, 3, 4)], fn, dt)
for ax in (0, 1, -1):
    case(f"argmin {ax}", "argmin", {"axis": ax}, [ints(np.float32, 0, 4, 4, 5)], lambda x: np.argmin(x, ax), np.int32)
case("argmin inf", "argmin", {"axis": 0}, [np.float32([np.inf, 1, -np.inf, -np.inf])], lambda x: 2, np.int32)

# Gathers and scatters.
for dt in (np.int32, np.int64):
    for ax, shape in [(0, (2, 3)), (1, (4,)), (-1, ()), (2, (0,)), (1, (2, 1, 2))]:
        case(f"gather {dt.__name__} {ax} {shape}", "gather", {"axis": ax}, [f32(3, 4, 5), ints(dt, -3, 3, *shape)],
             lambda x, i: np.take(x, i, axis=ax))
case("gather i64", "gather", {"axis": 0}, [ints(np.int64, -9, 9, 4), np.int32([3, -4])], lambda x, i: x[i], np.int64)
case("gather bool", "gather", {"axis": 0}, [np.array([True, False]), np.int32([1, 0, -1])], lambda x, i: x[i], np.bool_)
for ax in (0, 1, -1):
    case(f"gather_elements {ax}", "gather_elements", {"axis": ax}, [f32(3, 4, 5), ints(np.int64, -3, 3, 3, 4, 5)],
         lambda x, i: np.take_along_axis(x, i, axis=ax))
case("gather_elements smaller", "gather_elements", {"axis": 0}, [f32(3, 4), ints(np.int32, -3, 3, 6, 2)],
     lambda x, i: np.take_along_axis(x[:, :2], i, axis=0))


def gather_nd(x, i, batch):
    if batch:
        return np.stack([gather_nd(a, b, batch - 1) for a, b in zip(x, i)])
    return x[tuple(np.moveaxis(i, -1, 0))]


for batch, shape in [(0, (4, 1)), (0, (2, 3, 2)), (0, (3,)), (1, (3, 2)), (1, (3, 6, 1)), (2, (3, 4, 1))]:
    case(f"gather_nd {batch} {shape}", "gather_nd", {"batch": batch}, [f32(3, 4, 5), ints(np.int64, -3, 3, *shape)],
         lambda x, i: gather_nd(x, i, batch))
COMBINE = {"none": lambda a, b: b, "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "min": min, "max": max}


def scatter_elements(data, index, updates, axis, f):
    out = data.copy()
    for at in np.ndindex(*index.shape):
        to = list(at)
        to[axis] = index[at]
        out[tuple(to)] = f(out[tuple(to)], updates[at])
    return out


def scatter_nd(data, index, updates, f):
    out = data.copy()
    for at in np.ndindex(*index.shape[:-1]):
        to = tuple(index[at])
        rest = out[to]
        if rest.ndim == 0:
            out[to] = f(rest, updates[at])
        else:
            out[to] = np.vectorize(f)(rest, updates[at])
    return out


for name, f in COMBINE.items():
    for ax in (0, -1):
        case(f"scatter_elements {name} {ax}", "scatter_elements", {"axis": ax, "combine": name}, [f32(3, 4), ints(np.int64, -3, 3, 2, 4), f32(2, 4)],
             lambda d, i, u: scatter_elements(d, i, u, ax, f))
    case(f"scatter_elements {name} ints", "scatter_elements", {"axis": 0, "combine": name}, [ints(np.int32, -9, 9, 5), ints(np.int32, -5, 5, 7), ints(np.int32, -9, 9, 7)],
         lambda d, i, u: scatter_elements(d, i, u, 0, f), np.int32)
    case(f"scatter_nd {name} slices", "scatter_nd", {"combine": name}, [f32(3, 4), np.int64([[2], [0], [2]]), f32(3, 4)], lambda d, i, u: scatter_nd(d, i, u, f))
    case(f"scatter_nd {name} elements", "scatter_nd", {"combine": name}, [ints(np.int64, -9, 9, 3, 4), np.int64([[[2, 1], [0, -1]]]), ints(np.int64, -9, 9, 1, 2)],
         lambda d, i, u: scatter_nd(d, i, u, f), np.int64)
case("scatter_elements bool", "scatter_elements", {"axis": 0, "combine": "none"}, [BOOLS, np.int32([0]), np.array([False])], lambda d, i, u: np.array([False, False]), np.bool_)
case("scatter_nd nothing", "scatter_nd", {"combine": "add"}, [f32(3, 4), np.zeros((0, 2), np.int64), f32(0)], lambda d, i, u: d)

# Moves.
for mode in ("constant", "reflect", "edge", "wrap"):
    for before, after in [([0, 0, 0], [0, 0, 0]), ([1, 0, 2], [0, 3, 1]), ([0, 2, 4], [2, 0, 0])]:
        case(f"pad {mode} {before} {after}", "pad", {"mode": mode, "before": before, "after": after, "value": flt(-1.5)}, [f32(3, 4, 5)],
             lambda x: np.pad(x, list(zip(before, after)), mode, **({"constant_values": -1.5} if mode == "constant" else {})))
case("pad cut", "pad", {"mode": "constant", "before": [-1, 2], "after": [1, -2], "value": flt(9)}, [f32(3, 4)],
     lambda x: np.pad(x[1:, :2], [(0, 1), (2, 0)], constant_values=9))
case("pad i64", "pad", {"mode": "constant", "before": [1], "after": [2], "value": flt(-7)}, [ints(np.int64, 0, 9, 3)], lambda x: np.pad(x, (1, 2), constant_values=-7), np.int64)
case("pad bool", "pad", {"mode": "constant", "before": [1], "after": [0], "value": flt(1)}, [BOOLS], lambda x: np.pad(x, (1, 0), constant_values=True), np.bool_)
case("pad rank 0", "pad", {"mode": "constant", "before": [], "after": [], "value": flt(1)}, [f32()], lambda x: x)
case("pad nothing", "pad", {"mode": "constant", "before": [1], "after": [1], "value": flt("nan")}, [f32(0)], lambda x: np.full(2, np.nan))


def cumsum(x, axis, exclusive, reverse):
    if reverse:
        x = np.flip(x, axis)
    y = np.cumsum(x, axis)
    if exclusive:
        y = y - x
    return np.flip(y, axis) if reverse else y


for dt in (np.float32, np.int32, np.int64):
    for ax in (0, -1):
        for exclusive in (False, True):
            for reverse in (False, True):
                case(f"cumsum {dt.__name__} {ax} {exclusive} {reverse}", "cumsum", {"axis": ax, "exclusive": exclusive, "reverse": reverse},
                     [ints(dt, -9, 9, 3, 4)], lambda x: cumsum(x, ax, exclusive, reverse), dt)
case("cumsum nothing", "cumsum", {"axis": 0, "exclusive": False, "reverse": False}, [f32(0, 3)], lambda x: x)
for upper in (False, True):
    for k in (0, 1, -2, 9, -9):
        case(f"trilu {upper} {k}", "trilu", {"upper": upper, "k": k}, [f32(2, 3, 4)], lambda x: (np.triu if upper else np.tril)(x, k))
case("trilu bool", "trilu", {"upper": True, "k": 0}, [np.ones((3, 3), np.bool_)], np.triu, np.bool_)
for dt, text in [(np.float32, "f32"), (np.int32, "i32"), (np.int64, "i64")]:
    for start, step, n in [(0, 1, 5), (-3, 2, 4), (7, -3, 6), (5, 0, 2), (1, 1, 0)]:
        case(f"range {text} {start} {step} {n}", "range", {"dtype": text, "start": start, "step": step, "length": dims(n)}, [],
             lambda: np.array([start + i * step for i in range(n)]), dt)


# Images and sequences: ONNX Runtime, and the reference evaluator of onnx for what that computes in float32 only.
def onnx_case(name, op, attrs, ins, kind, node, present=None, opset=22, pick=0, outputs=1):
    """A case whose output is output `pick` of one ONNX node; present tells which of its inputs there are."""
    names = [f"x{i}" for i in range(len(ins))]
    wired = iter(names)
    inputs = [next(wired) if there else "" for there in (present or [True] * len(ins))]
    outs = [f"y{i}" if i == pick else "" for i in range(outputs)]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, inputs, outs, **node)], "g",
        [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in zip(names, ins)],
        [onnx.helper.make_tensor_value_info(f"y{pick}", onnx.TensorProto.FLOAT, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    out = session.run([f"y{pick}"], dict(zip(names, ins)))[0]
    if op:
        record(name, op, attrs, ins, out)
    return out


for k, s, p, d, ceil in [((2, 2), (2, 2), (0, 0), (1, 1), True), ((3, 2), (2, 3), (1, 1), (1, 1), True), ((2, 3), (1, 2), (1, 0), (2, 1), False), ((2, 2), (3, 3), (0, 0), (2, 2), True)]:
    onnx_case(f"max_pool2d {k} {s} {p} {d} {ceil}", "max_pool2d", {"kernel": k, "stride": s, "pad": p, "dilation": d, **({"ceil": True} if ceil else {})},
              [f32(2, 3, 7, 8)], "MaxPool", {"kernel_shape": k, "strides": s, "pads": p + p, "dilations": d, "ceil_mode": int(ceil)})
for k, s, p, d, ceil, count in [((2, 2), (2, 2), (0, 0, 0, 0), (1, 1), False, False), ((3, 2), (2, 1), (1, 0, 2, 1), (1, 1), False, False),
                                ((3, 2), (2, 1), (1, 0, 2, 1), (1, 1), False, True), ((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), True, False),
                                ((2, 3), (1, 2), (1, 0, 1, 0), (2, 1), False, False), ((7, 8), (1, 1), (0, 0, 0, 0), (1, 1), False, False)]:
    onnx_case(f"avg_pool2d {k} {s} {p} {d} {ceil} {count}", "avg_pool2d", {"kernel": k, "stride": s, "pad": p, "dilation": d, "ceil": ceil, "count_pad": count},
              [f32(2, 3, 7, 8)], "AveragePool", {"kernel_shape": k, "strides": s, "pads": p, "dilations": d, "ceil_mode": int(ceil), "count_include_pad": int(count)})
for s, d, out_pad, pad, groups, bias in [((1, 1), (1, 1), (0, 0), (0, 0, 0, 0), 1, False), ((2, 2), (1, 1), (1, 0), (1, 1, 1, 1), 1, True),
                                         ((3, 2), (1, 2), (0, 1), (0, 2, 1, 0), 2, True), ((2, 1), (2, 1), (0, 0), (1, 0, 0, 1), 4, False)]:
    whole = lambda *shape: ints(np.float32, -4, 5, *shape)  # sums of small integers are exact
    ins = [whole(2, 4, 3, 5), whole(4, 3, 3, 2)] + ([whole(3 * groups)] if bias else [])
    onnx_case(f"conv_transpose2d {s} {d} {out_pad} {pad} {groups}", "conv_transpose2d",
              {"stride": s, "dilation": d, "out_pad": out_pad, "pad": pad, "groups": groups}, ins, "ConvTranspose",
              {"strides": s, "dilations": d, "output_padding": out_pad, "pads": pad, "group": groups})


def group_norm(x, gamma, beta, groups, eps):
    parts = x.reshape(x.shape[0], groups, int(np.prod(x.shape[1:])) // groups)
    parts = (parts - parts.mean(-1, keepdims=True)) / np.sqrt(parts.var(-1, keepdims=True) + eps)
    wide = (1, -1) + (1,) * (x.ndim - 2)
    return parts.reshape(x.shape) * gamma.reshape(wide) + beta.reshape(wide)


for shape, groups in [((2, 4, 3, 5), 2), ((2, 4, 3), 4), ((3, 6), 1), ((1, 2, 2, 2, 2), 2), ((0, 2, 3), 1)]:
    case(f"group_norm {shape} {groups}", "group_norm", {"groups": groups, "eps": 1e-5}, [f32(*shape), f32(shape[1]), f32(shape[1])],
         lambda x, g, b: group_norm(x, g, b, groups, 1e-5))


def resize_case(name, x, shape, mode, coords, nearest="round_prefer_floor", scales=None):
    attrs = {"mode": mode, "coords": coords, "nearest": nearest, "cubic": flt(-0.75), "shape": dims(*shape)}
    node = {"mode": mode, "coordinate_transformation_mode": coords}
    if mode == "nearest":
        node["nearest_mode"] = nearest
    if scales:
        attrs.update({f"scale{i}": flt(np.float32(s)) for i, s in enumerate(scales)})
        given = np.array(scales, np.float32), None
    else:
        given = None, np.array(shape, np.int64)
    node = onnx.helper.make_node("Resize", ["x", "", "scales" if scales else "", "" if scales else "sizes"], ["y"], **node)
    ins = {"x": x.astype(np.float64), **({"scales": given[0]} if scales else {"sizes": given[1]})}
    graph = onnx.helper.make_graph([node], "g", [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in ins.items()],
                                   [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=10)
    out = onnx.reference.ReferenceEvaluator(model).run(None, ins)[0]
    record(name, "resize", attrs, [x], np.asarray(out).astype(np.float32), within=1e-5)  # its coefficients are float32


for coords in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"):
    for mode in ("linear", "cubic"):
        resize_case(f"resize {mode} {coords} up", ints(np.float32, -8, 8, 1, 2, 3, 4), (1, 2, 6, 7), mode, coords)
        resize_case(f"resize {mode} {coords} down", ints(np.float32, -8, 8, 1, 2, 6, 8), (1, 2, 3, 5), mode, coords)
        if coords != "align_corners":  # where the specification takes the size, and the evaluator the scale
            resize_case(f"resize {mode} {coords} scaled", ints(np.float32, -8, 8, 1, 1, 4, 5), (1, 1, 3, 8), mode, coords, scales=[1, 1, 0.75, 1.75])
    for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        resize_case(f"resize nearest {coords} {nearest} up", f32(1, 2, 3, 4), (1, 2, 6, 8), "nearest", coords, nearest)
        resize_case(f"resize nearest {coords} {nearest} down", f32(1, 2, 6, 8), (1, 2, 3, 2), "nearest", coords, nearest)
resize_case("resize to one", f32(1, 1, 3, 4), (1, 1, 1, 1), "linear", "pytorch_half_pixel")

ACTIVATIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "softsign": lambda x: x / (1 + np.abs(x)),
               "softplus": lambda x: np.logaddexp(0, x), "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1)}


def recurrent(kind, x, w, r, bias, h0, c0, lens, p, direction, names, clip, coupled):
    seq, batch, _ = x.shape
    dirs, _, hidden = r.shape
    out = np.zeros((seq + 1, dirs, batch, hidden * (2 if kind == "lstm" else 1)))
    per = len(names) // dirs
    bound = (lambda v: np.clip(v, -clip, clip)) if clip else (lambda v: v)
    for d in range(dirs):
        f = [(lambda v, g=ACTIVATIONS[n]: g(bound(v))) for n in names[d * per:d * per + per]]
        wb, rb = np.split(bias[d], 2)
        for b in range(batch):
            h, c = h0[d, b], c0[d, b] if kind == "lstm" else None
            n = seq if lens is None else lens[b]
            order = range(n)
            if direction == "reverse" or d == 1:
                order = reversed(order)
            for t in order:
                gx, gh = w[d] @ x[t, b] + wb, r[d] @ h + rb
                if kind == "rnn":
                    h = f[0](gx + gh)
                elif kind == "gru":
                    z, reset, cand = np.split(gx, 3)
                    hz, hr, hc = np.split(gh, 3)
                    z, reset = f[0](z + hz), f[0](reset + hr)
                    hc = reset * hc if coupled else r[d][2 * hidden:] @ (reset * h) + rb[2 * hidden:]
                    h = (1 - z) * f[1](cand + hc) + z * h
                else:
                    i, o, fg, cand = np.split(gx + gh, 4)
                    pi, po, pf = np.split(p[d], 3) if p is not None else (0, 0, 0)
                    i = f[0](i + pi * c)
                    fg = 1 - i if coupled else f[0](fg + pf * c)
                    c = fg * c + i * f[1](cand)
                    h = f[0](o + po * c) * ACTIVATIONS[names[d * per + 2]](c)
                out[t, d, b] = h if c is None else np.concatenate([h, c])
            out[seq, d, b] = h if c is None else np.concatenate([h, c])
    return out


def recurrent_case(kind, direction="forward", names=None, clip=0.0, coupled=False, lens=None, peep=False, seq=4, batch=2, size=3, hidden=5):
    dirs = 2 if direction == "both" else 1
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    default = {"lstm": ["sigmoid", "tanh", "tanh"], "gru": ["sigmoid", "tanh"], "rnn": ["tanh"]}[kind]
    names = names or default * dirs
    small = lambda *s: f32(*s, scale=0.7)
    x, w, r, b, h0 = small(seq, batch, size), small(dirs, gates * hidden, size), small(dirs, gates * hidden, hidden), small(dirs, 2 * gates * hidden), small(dirs, batch, hidden)
    c0 = small(dirs, batch, hidden) if kind == "lstm" else None
    p = small(dirs, 3 * hidden) if peep else None
    lens = None if lens is None else np.int32(lens)
    ins = [v for v in (x, w, r, b, h0, c0, lens, p) if v is not None]
    wide = [None if v is None else v.astype(np.float64) if v.dtype == np.float32 else v for v in (x, w, r, b, h0, c0, lens, p)]
    out = recurrent(kind, *wide, direction, names, clip, coupled).astype(np.float32)
    record(f"{kind} {direction} {names} {clip} {coupled} {lens} {peep} {seq} {batch}", kind, {
        "direction": direction, "activations": ",".join(names), "clip": flt(clip), "coupled": coupled, "lengths": lens is not None, "peepholes": peep}, ins, out)
    if 0 in (seq, batch) or "hard_sigmoid" in names or lens is not None and 0 in lens:  # whose final state is the first one here, and 0 there
        return
    # The recurrence above, against ONNX Runtime.
    node = {"hidden_size": hidden, "direction": {"both": "bidirectional"}.get(direction, direction), "activations": [{"relu": "Relu"}.get(n, n.capitalize()) for n in names]}
    if clip:
        node["clip"] = clip
    if coupled:
        node["input_forget" if kind == "lstm" else "linear_before_reset"] = 1
    given = [x, w, r, b, lens, h0] + ([c0, p] if kind == "lstm" else [])
    present = [v is not None for v in given]
    given = [v for v in given if v is not None]
    op = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}[kind]
    for pick in range(3 if kind == "lstm" else 2):
        theirs = onnx_case("", None, None, given, op, node, present, 14, pick, 3 if kind == "lstm" else 2)
        ours = [out[:-1, ..., :hidden], out[-1][..., :hidden], out[-1][..., hidden:]][pick]
        np.testing.assert_allclose(theirs, ours, atol=2e-5)


for kind in ("lstm", "gru", "rnn"):
    for direction in ("forward", "reverse", "both"):
        recurrent_case(kind, direction)
    recurrent_case(kind, clip=0.3)
    recurrent_case(kind, "both", lens=[4, 2])
    recurrent_case(kind, "reverse", lens=[1, 3])
    recurrent_case(kind, seq=0)
    recurrent_case(kind, batch=0)
recurrent_case("lstm", coupled=True)
recurrent_case("lstm", peep=True)
recurrent_case("lstm", "both", ["relu", "softsign", "tanh", "sigmoid", "tanh", "relu"], lens=[4, 1], peep=True)
recurrent_case("gru", coupled=True)
recurrent_case("gru", "both", ["sigmoid", "softplus", "hard_sigmoid", "relu"])
recurrent_case("gru", "both", coupled=True, lens=[0, 4])
recurrent_case("rnn", names=["relu"])

path = pathlib.Path(__file__).with_name("general_goldens.json")
body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path.write_text('{"numpy":"%s","cases":[\n%s\n]}\n' % (np.__version__, body))

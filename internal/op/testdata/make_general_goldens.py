"""Writes general_goldens.json: what NumPy, SciPy and ONNX Runtime compute for the general operators of
internal/op.

Made with numpy 2.4.6, scipy 1.17.1, onnx 1.23.2 and onnxruntime 1.32.0 on the CPU. Run: python make_general_goldens.py

The format is that of goldens.json; a float attribute is {"float": "text"}. Where NumPy is the reference, floats
are computed in float64 and rounded once to float32. Each case has its own random numbers, from its name.
"""
import base64
import json
import pathlib
import zlib

import numpy as np
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


def record(name, op, attrs, ins, out):
    cases.append({"name": name, "op": op, "attrs": attrs, "in": [enc(x) for x in ins], "out": enc(out)})


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

path = pathlib.Path(__file__).with_name("general_goldens.json")
body = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
path.write_text('{"numpy":"%s","cases":[\n%s\n]}\n' % (np.__version__, body))

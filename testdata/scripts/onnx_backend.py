"""Writes out the backend tests of the onnx package, for TestBackend of lazy/onnx.

    python3 -m venv venv && venv/bin/pip install onnx==1.23.2
    venv/bin/python onnx_backend.py DIR                      # all cases (about 100 MB)
    venv/bin/python onnx_backend.py DIR --only FILE          # the cases that FILE names, a line each

DIR gets a folder for each case, KIND/NAME:

    model.onnx     the model
    case.json      what the case is: operator, tolerances, types, and why it is out of scope if it is
    set.N.in.K.npy, set.N.out.K.npy   input K and expected output K of data set N

Kinds are those of onnx.backend.test.loader: node, simple, pytorch-converted,
pytorch-operator, and light: the nine whole networks of the kind "real", whose
models come with the package; their inputs are what the runner of the tests makes
(runner/__init__.py, generate_dummy_data).
"""

import argparse
import json
import os
import re
import shutil
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

warnings.filterwarnings("ignore")

DATA = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
COMPUTED = {TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
RANDOM = {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"}

FIRST = {}  # first operator set of each operator of the standard domain
for schema in onnx.defs.get_all_schemas_with_history():
    if schema.domain == "":
        FIRST[schema.name] = min(schema.since_version, FIRST.get(schema.name, 1 << 30))


def array(x):
    if isinstance(x, TensorProto):
        return numpy_helper.to_array(x)
    return x if x is None or isinstance(x, (list, dict)) else np.asarray(x)


def all_nodes(nodes):
    for n in nodes:
        yield n
        for a in n.attribute:
            for g in [a.g] if a.HasField("g") else a.graphs:
                yield from all_nodes(g.node)


def ops(model):
    out = set()
    for nodes in [model.graph.node] + [f.node for f in model.functions]:
        out |= {(n.domain + "." if n.domain else "") + n.op_type for n in all_nodes(nodes)}
    return out


def training(model):
    for n in model.graph.node:
        if "training" in n.domain:
            return True
        for a in n.attribute:
            if n.op_type == "BatchNormalization" and a.name == "training_mode" and a.i:
                return True
    return False


def out_of_scope(model, operator, inputs):
    """Why a case is no forward inference of types that are computed, or None."""
    if training(model):
        return "training"
    types = set()
    for v in list(model.graph.input) + list(model.graph.output):
        kind = v.type.WhichOneof("value")
        if kind != "tensor_type":
            return "type " + (kind or "none").removesuffix("_type")
        types.add(v.type.tensor_type.elem_type)
    if TensorProto.STRING in types:
        return "type string"
    if types - COMPUTED:
        return "type " + ", ".join(sorted(TensorProto.DataType.Name(t).lower() for t in types - COMPUTED))
    if operator == "Dropout" and len(inputs) > 2 and inputs[2] is not None and bool(inputs[2]):
        return "training"
    return None


def base_name(name):
    return re.sub(r"_expanded.*$", "", name)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--only")
    args = p.parse_args()
    only = None
    if args.only:
        only = set(open(args.only).read().split())
    written = 0
    by_name = {}
    for kind in ("node", "simple", "pytorch-converted", "pytorch-operator", "real"):
        cases = sorted(load_model_tests(kind=kind), key=lambda c: c.name)
        if kind == "node":
            by_name = {c.name: c for c in cases}
        for c in cases:
            folder = "light" if kind == "real" else kind
            if only is not None and folder + "/" + c.name not in only:
                continue
            write(os.path.join(args.dir, folder, c.name), folder, c, by_name)
            written += 1
            if only is not None:
                only.remove(folder + "/" + c.name)
    if only:
        raise SystemExit("there are no cases " + ", ".join(sorted(only)))
    print(written, "cases of onnx", onnx.__version__)


def write(to, kind, c, by_name):
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    model, sets = c.model, c.data_sets
    if kind == "light":
        path = os.path.join(DATA, "light", os.path.basename(c.url))
        model, sets = onnx.load(path), [light_set(onnx.load(path), path)]
    elif model is None:
        model = onnx.load(os.path.join(c.model_dir, "model.onnx"))
        sets = folder_sets(c.model_dir)
    sets = [([array(x) for x in i], [array(x) for x in o]) for i, o in sets]
    names = sorted(ops(model))
    base = by_name.get(base_name(c.name)) if kind == "node" else None
    operator = names[0] if len(names) == 1 else ""
    if base is not None and len(base.model.graph.node) == 1:
        n = base.model.graph.node[0]
        operator = (n.domain + "." if n.domain else "") + n.op_type
    elif kind == "node" and not operator:
        operator = "/".join(names)
    scope = out_of_scope(model, operator, sets[0][0] if sets else [])
    floats = any(
        v.type.tensor_type.elem_type == TensorProto.FLOAT for v in list(model.graph.input) + list(model.graph.output)
    )
    case = {
        "name": c.name,
        "kind": kind,
        "operator": operator,
        "operators": names,
        "rtol": c.rtol,
        "atol": c.atol,
        "out_of_scope": scope,
        # an operator of operator set 17 or older, in float32
        "opset17_float32": kind == "node" and scope is None and floats and FIRST.get(operator, 1 << 30) <= 17
        and not any("Sequence" in o and o != "ReverseSequence" for o in names),
        "random": bool(set(names) & RANDOM),
        "sets": [],
    }
    with open(os.path.join(to, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    graph_inputs = feeds(model)
    for k, (ins, outs) in enumerate(sets):
        entry = {"inputs": [], "outputs": []}
        for what, names_, values in (("in", graph_inputs, ins), ("out", [o.name for o in model.graph.output], outs)):
            for i, v in enumerate(values):
                if v is None:
                    continue
                file = "set.%d.%s.%d.npy" % (k, what, i)
                listed = {"name": names_[i] if i < len(names_) else "", "file": file}
                if isinstance(v, np.ndarray) and v.dtype.name in ("float32", "int32", "int64", "bool"):
                    np.save(os.path.join(to, file), np.asarray(v, order="C"))
                else:
                    listed["file"] = ""
                entry["inputs" if what == "in" else "outputs"].append(listed)
        case["sets"].append(entry)
    with open(os.path.join(to, "case.json"), "w") as f:
        json.dump(case, f, indent=1)
        f.write("\n")


def feeds(model):
    """Names of the inputs that a run is fed, in order: all of them for a node case."""
    initial = {t.name for t in model.graph.initializer}
    return [i.name for i in model.graph.input if i.name not in initial]


def folder_sets(folder):
    out = []
    for d in sorted(os.listdir(folder)):
        if not d.startswith("test_data_set"):
            continue
        one = ([], [])
        for prefix, to in (("input_", one[0]), ("output_", one[1])):
            k = 0
            while os.path.exists(os.path.join(folder, d, "%s%d.pb" % (prefix, k))):
                t = TensorProto()
                with open(os.path.join(folder, d, "%s%d.pb" % (prefix, k)), "rb") as f:
                    raw = f.read()
                try:
                    t.ParseFromString(raw)
                    to.append(numpy_helper.to_array(t))
                except Exception:  # a sequence
                    to.append([])
                k += 1
        out.append(one)
    return out


def light_set(model, path):
    initial = {t.name for t in model.graph.initializer}
    ins = []
    for i in model.graph.input:
        if i.name in initial:
            continue
        shape = tuple(d.dim_value if d.HasField("dim_value") else 1 for d in i.type.tensor_type.shape.dim)
        n = np.prod(shape)
        ins.append((np.arange(n).reshape(shape) / n).astype(np.float32))
    t = TensorProto()
    with open(path.replace(".onnx", "_output_0.pb"), "rb") as f:
        t.ParseFromString(f.read())
    return ins, [numpy_helper.to_array(t)]


main()

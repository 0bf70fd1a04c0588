"""Reads the results of gpu.sh in a folder and prints targets beside figures.

    python3 table.py RESULTS
"""

import os
import re
import statistics
import sys


def read(path):
    """Values by (workload, baseline, model) and unit: the median of what is there."""
    found = {}
    if not os.path.exists(path):
        return {}
    with open(path, errors="replace") as f:
        for line in f:
            m = re.match(r"Benchmark\w+/(\S+?)(?:-\d+)?\s+\d+\s+(.*)", line)
            if not m:
                continue
            parts = dict(p.split("=", 1) for p in m[1].split("/") if "=" in p)
            key = (parts["workload"], parts["baseline"], re.sub(r"-\d+$", "", parts.get("model", "")))
            fields = m[2].split()
            for value, unit in zip(fields[::2], fields[1::2]):
                found.setdefault(key, {}).setdefault(unit, []).append(float(value))
    return {k: {u: statistics.median(v) for u, v in units.items()} for k, units in found.items()}


def passed(path, prefix):
    """How tests whose name begins so ended."""
    if not os.path.exists(path):
        return None
    with open(path, errors="replace") as f:
        text = f.read()
    good = len(re.findall(rf"^--- PASS: {prefix}", text, re.M))
    bad = len(re.findall(rf"^--- FAIL: {prefix}", text, re.M))
    cut = "SIGQUIT: quit" in text
    if bad or cut:
        return f"{bad} failed, {good} passed" + (", cut" if cut else "")
    return "passed" if good else None


def main(folder):
    results = read(os.path.join(folder, "genie.txt")) | read(os.path.join(folder, "pytorch.txt"))
    rows = []
    with open(os.path.join(folder, "genie.txt"), errors="replace") as f:
        head = [line.rstrip() for line in f if line.startswith(("gpu: ", "dry-run: "))]
    dry = any(line.startswith("dry-run: ") for line in head)

    def figure(workload, baseline, model, unit):
        return results.get((workload, baseline, model), {}).get(unit)

    def ratio(what, least, a, b):
        """A row: figure a by figure b, each a value or None, and the least that
        is wanted; None for a figure without a target."""
        target = "" if least is None else f"at least {least}"
        if a is None or not b:
            rows.append((what, target, "not measured", ""))
            return
        met = "" if least is None or dry else "met" if a / b >= least else "MISSED"
        rows.append((what, target, f"{a / b:.3f}", met))

    def text(what, value):
        rows.append((what, "", "not measured" if value is None else value, ""))

    models = [m for m in ("gpt2-xl", "gpt2", "gpt2-tiny") if any(k[2] == m for k in results)]
    copies = [figure("copy", "pytorch", "", "read-B/s"), figure("probe", "genie", "", "read-B/s")]
    bandwidth = max((c for c in copies if c), default=None)
    text("bandwidth of copies", bandwidth and f"{bandwidth / 1e9:.0f} GB/s")
    for dtype in ("f32", "bf16"):
        rate = figure("product-" + dtype, "cublas", "", "FLOP/s")
        text(f"cuBLAS, {dtype}, square", rate and f"{rate / 1e12:.1f} TFLOP/s")
        ratio(f"Genie, {dtype}, square / cuBLAS", None, figure("probe", "genie", "", dtype + "-FLOP/s"), rate)
    for model in models:
        for dtype, least in (("f32", 0.8), ("bf16", 0.6)):
            one = f"decode-{dtype}-b1"
            label = f"{model} {dtype}"
            tokens = figure(one, "genie-local", model, "tok/s")
            text(f"{label}: decode, one sequence", tokens and f"{tokens:.1f} tok/s")
            ratio(f"{label}: decode / bandwidth", least, figure(one, "genie-local", model, "read-B/s"), bandwidth)
            for baseline, target in (("pytorch-eager", 1), ("pytorch-graphs", None), ("pytorch-graphs-async", None), ("pytorch-compile", None)):
                other = figure(one, baseline, model, "tok/s")
                if other or target:
                    ratio(f"{label}: decode / {baseline}", target, tokens, other)
            ratio(f"{label}: decode, worker / in-process", 0.98, figure(one, "genie-worker", model, "tok/s"), tokens)
            ratio(f"{label}: 8 sequences / one", 6, figure(f"decode-{dtype}-b8", "genie-local", model, "tok/s"), tokens)
            sessions = [figure(f"sessions-{dtype}-sessions{n}", "genie-worker", model, "tok/s") for n in (8, 1)]
            ratio(f"{label}: 8 sessions of a worker / one", 6, *sessions)
            wire = [figure(one, "genie-worker", model, u) for u in ("rtts/op", "wire-B/tok")]
            text(f"{label}: a generation on a worker", None if None in wire else f"{wire[0]:.0f} round trips, {wire[1]:.0f} bytes a token")
            for n in sorted({int(k[0].rsplit("rows", 1)[1]) for k in results if k[0].startswith("prefill-") and k[2] == model}):
                products = f"prefill-products-{dtype}-rows{n}"
                target = 0.6 if dtype == "bf16" else None
                ratio(f"{label}: {n} rows, products / cuBLAS", target, figure(products, "genie-local", model, "FLOP/s"), figure(products, "cublas", model, "FLOP/s"))
                prefill = f"prefill-{dtype}-rows{n}"
                for baseline in ("pytorch-eager", "pytorch-graphs"):
                    ratio(f"{label}: prefill of {n} / {baseline}", None, figure(prefill, "genie-local", model, "tok/s"), figure(prefill, baseline, model, "tok/s"))
    for what, file, prefix in (
        ("devicetest", "suites.txt", "TestDevice"),
        ("conformance", "suites.txt", "TestConformance"),
        ("goldens of GPT-2", "goldens.txt", "TestGPT2Goldens"),
        ("goldens of BERT", "goldens.txt", "TestBERT"),
        ("transformers' tokens", "bits.txt", "TestReferences"),
        ("bits: alone, batched, prefill, step, local, remote", "bits.txt", "TestBits"),
    ):
        text(what, passed(os.path.join(folder, file), prefix))
    width = max(len(r[0]) for r in rows)
    print()
    print("\n".join(head))
    print(f"{'':{width}}  {'target':14}  figure")
    for what, target, value, met in rows:
        print(f"{what:{width}}  {target:14}  {value}  {met}".rstrip())


if __name__ == "__main__":
    main(sys.argv[1])

"""The operations that every program with a model of a workload has, over a backend:
an object that knows where the model is.

A backend has
    prepare(spec)       starts what has to listen; the addresses that a link may
                        stand before
    open(spec, proxies) loads the model; what is to be told of it. proxies maps
                        addresses of prepare to those that are to be used instead
    start(prompts, new, logits), step(tokens, logits)
                        the tokens with the largest logits, and the logits or None
    hold(arrays), run(op, attrs, arrays)
    workers()           pid, peak_rss_bytes and served calls of each worker
    calls               how many calls to a worker it made
"""

import numpy as np

import greedy
import processes
import wire


class Local:
    """A model in this process."""

    calls = 0

    def __init__(self, load):
        self.load = load

    def prepare(self, spec):
        return []

    def open(self, spec, proxies):
        self.model = self.load(**spec)
        return {}

    def start(self, prompts, new, logits):
        tokens, rows = self.model.start(prompts, new)
        return tokens, rows() if logits else None

    def step(self, tokens, logits):
        tokens, rows = self.model.step(tokens)
        return tokens, rows() if logits else None

    def hold(self, arrays):
        self.model.hold(arrays)

    def run(self, op, attrs, arrays):
        return self.model.run(op, attrs, arrays)

    def workers(self):
        return []


def generate(backend, prompts, new, force=None, logits=False):
    def step(call, *args):
        tokens, rows = call(*args, logits)
        return tokens, lambda: rows

    before = backend.calls
    result, arrays = greedy.generate(
        lambda p: step(backend.start, p, new), lambda t: step(backend.step, t), prompts, new, force, logits,
    )
    return {**result, "remote_calls": backend.calls - before}, arrays


def repeated(run, repeat, seconds):
    """Runs up to repeat times within about so many seconds, once at least; the
    time of each and the last output."""
    times, until = [], wire.now() + int(seconds * 1e9)
    while not times or (len(times) < repeat and (not seconds or wire.now() < until)):
        began = wire.now()
        out = run()
        times.append(wire.now() - began)
    return times, out


def operations(backend):
    kept = {"arrays": {}}

    def prepare(**spec):
        return {"targets": backend.prepare(spec)}

    def open(proxies=None, **spec):
        return {"threads": wire.threads(), **backend.open(spec, proxies or {})}

    def hold(tensors=None):  # none: attention has no weights
        backend.hold({k: v.copy() for k, v in (tensors or {}).items()})
        return {}

    def run(op="", attrs=None, repeat=1, seconds=0, again=False, tensors=None):
        if not again:
            kept["arrays"] = {k: v.copy() for k, v in (tensors or {}).items()}
        before = backend.calls
        times, out = repeated(lambda: backend.run(op, attrs or {}, kept["arrays"]), repeat, seconds)
        arrays = {k: np.ascontiguousarray(v) for k, v in out.items()}
        return {"ns": times, "remote_calls": backend.calls - before}, arrays

    def stats():
        workers = backend.workers()
        return {"remote_calls": backend.calls, "workers": workers, "processes": processes.tree(workers)}

    return {
        "prepare": prepare, "open": open, "hold": hold, "run": run, "stats": stats,
        "generate": lambda **args: generate(backend, **args),
    }

"""The Python side of a reference system: frames on the pipe that was standard input, answers
on the pipe that was standard output.

A frame is a little-endian u32, a JSON object of that many bytes, and the bytes
of the tensors that the object's "tensors" lists, one after the other. What
libraries print goes to standard error. The process ends when its input does,
whatever it is doing.
"""

import json
import os
import queue
import shutil
import struct
import sys
import threading
import time
import traceback

import processes

MAX_HEADER = 8 << 20
MAX_TENSORS = 4 << 30
DTYPES = {"f32": "<f4", "i32": "<i4", "i64": "<i8"}
TRACEBACK_LINES = 12
FOLDER = os.path.dirname(os.path.abspath(__file__))


class Unavailable(Exception):
    """What was asked for does not exist in this environment."""


def now():
    return time.perf_counter_ns()


def array_type(name):
    import numpy as np

    return np.dtype(DTYPES[name])


class Pipes:
    def __init__(self):
        self.inp = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
        self.out = os.fdopen(os.dup(1), "wb", buffering=0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self.requests = queue.Queue()

    def listen(self):
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            while True:
                self.requests.put(self._read())
        except EOFError:
            leave(0)
        except BaseException as e:  # out of step with the other side
            print(f"wire: {type(e).__name__}: {e}", file=sys.stderr, flush=True)
            leave(3)

    def _exactly(self, n):
        b = self.inp.read(n)
        if len(b) != n:
            raise EOFError
        return b

    def _read(self):
        (n,) = struct.unpack("<I", self._exactly(4))
        if n > MAX_HEADER:
            raise ValueError(f"header of {n} bytes")
        head = json.loads(self._exactly(n))
        tensors = {}
        for t in head.get("tensors") or []:
            if not 0 <= t["bytes"] <= MAX_TENSORS:
                raise ValueError(f"tensor of {t['bytes']} bytes")
            tensors[t["name"]] = (t["dtype"], t["shape"], self._exactly(t["bytes"]))
        return head, tensors

    def write(self, head, tensors=None):
        data = []
        listed = []
        for name, a in (tensors or {}).items():
            dtype = next(k for k, v in DTYPES.items() if a.dtype == v)
            a = a if a.flags.c_contiguous else a.copy()
            listed.append({"name": name, "dtype": dtype, "shape": list(a.shape), "bytes": a.nbytes})
            data.append(memoryview(a).cast("B") if a.nbytes else b"")
        head["tensors"] = listed
        text = json.dumps(head).encode()
        for piece in [struct.pack("<I", len(text)) + text, *data]:
            view = memoryview(piece)
            while len(view):
                view = view[self.out.write(view):]


def leave(status):
    """Ends this process and all that it started, and removes the folder that was
    made for it: the other side may not be there any more to do so."""
    processes.end_descendants()
    if os.path.basename(FOLDER).startswith("genie-system-"):
        shutil.rmtree(FOLDER, ignore_errors=True)
    os._exit(status)


def decode(tensors):
    """The tensors of a request as arrays."""
    import numpy as np

    return {k: np.frombuffer(b, array_type(d)).reshape(s) for k, (d, s, b) in tensors.items()}


def failure(e):
    lines = "".join(traceback.format_exception(e)).strip().splitlines()
    return {
        "type": type(e).__name__,
        "message": str(e)[:2000],
        "traceback": lines[-TRACEBACK_LINES:],
        "unavailable": isinstance(e, (Unavailable, ImportError)),
    }


def run(setup):
    """Calls setup, which imports what the program needs and returns the versions
    of that and a dict of operations, says hello, and serves until the end of input.

    An operation takes its arguments by keyword and returns a dict, or a pair of
    a dict and a dict of arrays. Arrays that came with the request are the
    argument "tensors"."""
    processes.adopt()
    pipes = Pipes()
    pipes.listen()
    try:
        versions, operations = setup()
    except BaseException as e:
        pipes.write({"id": 0, "error": failure(e)})
        leave(0)
    versions = {"python": ".".join(map(str, sys.version_info[:3])), **versions}
    pipes.write({"id": 0, "result": {"versions": versions}})
    while True:
        head, tensors = pipes.requests.get()
        answer, out = {"id": head["id"]}, None
        try:
            args = head.get("args") or {}
            if tensors:
                args["tensors"] = decode(tensors)
            answer["result"] = operations[head["op"]](**args)
            if isinstance(answer["result"], tuple):
                answer["result"], out = answer["result"]
        except Exception as e:
            answer = {"id": head["id"], "error": failure(e)}
        pipes.write(answer, out)


def threads():
    """The number of threads that the other side asks for."""
    return int(os.environ.get("GENIE_SYSTEM_THREADS", "0")) or os.cpu_count()


def cache_dir(*parts):
    """A folder for what is made once, such as converted checkpoints."""
    root = os.environ.get("GENIE_REFERENCE_SYSTEMS")
    if not root:
        raise RuntimeError("GENIE_REFERENCE_SYSTEMS is not set")
    path = os.path.join(root, *parts)
    os.makedirs(path, exist_ok=True)
    return path


def identity(directory):
    """A name for the contents of a checkpoint: the hash of its files' names,
    sizes, times and places."""
    import hashlib

    h = hashlib.sha256(os.path.realpath(directory).encode())
    for name in sorted(os.listdir(directory)):
        if name == "config.json" or name.endswith(".safetensors"):
            s = os.stat(os.path.join(directory, name))
            h.update(f"{name} {s.st_size} {s.st_mtime_ns}\n".encode())
    return h.hexdigest()[:16]

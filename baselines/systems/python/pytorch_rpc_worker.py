"""The worker of pytorch_rpc.py, and the functions that are called there."""

import os
import sys
import warnings

import torch
import torch.distributed as dist
import torch.distributed.rpc as rpc
from torch.distributed.rendezvous import register_rendezvous_handler

import processes
import torch_models

CLIENT, WORKER = "client", "worker"
NAMES = (CLIENT, WORKER)
# Where an agent publishes its address: the first group of a process, by name.
ADDRESS_KEY = f"rpc_prefix_0/addrs/{WORKER}"
# Calls are made one at a time. Another thread serves the agent's own messages.
SERVING_THREADS = 2

held = {}  # of the worker: its model, and whether arrays travel within messages


def join(name, store, tcp):
    """Joins the group of two. tcp leaves TensorPipe nothing but TCP."""
    warnings.filterwarnings("ignore", message="You are using a Backend")
    register_rendezvous_handler("genie", lambda url, **_: iter([(store, NAMES.index(name), len(NAMES))]))
    only = {"_transports": ["uv"], "_channels": ["basic"]} if tcp else {}
    options = rpc.TensorPipeRpcBackendOptions(
        init_method="genie://", num_worker_threads=SERVING_THREADS, rpc_timeout=600, **only
    )
    held["tcp"] = tcp
    rpc.init_rpc(name, rank=NAMES.index(name), world_size=len(NAMES), rpc_backend_options=options)


def _sent(x):
    """An output as it travels."""
    return x if held["tcp"] or x is None else torch.from_numpy(x)


def load(spec):
    held["model"] = torch_models.Served(
        spec["workload"], spec["dir"], spec.get("dtype", "f32"), spec.get("form", ""), spec["threads"]
    )


def hold(arrays):
    held["model"].hold({k: torch_models.array(v) for k, v in arrays.items()})


def start(prompts, new, logits):
    tokens, rows = held["model"].start(prompts, new, logits)
    return tokens, _sent(rows)


def step(tokens, logits):
    tokens, rows = held["model"].step(tokens, logits)
    return tokens, _sent(rows)


def run(op, attrs, arrays):
    out = held["model"].run(op, attrs, {k: torch_models.array(v) for k, v in arrays.items()})
    return {k: _sent(v) for k, v in out.items()}


def told():
    return {"pid": os.getpid(), "peak_rss_bytes": processes.own_peak(), "served": held["model"].calls}


def main(port, tcp, threads):
    torch.set_num_threads(int(threads))
    store = dist.TCPStore("127.0.0.1", int(port), is_master=False, wait_for_workers=False)
    # Called functions are those of the module, not of this script.
    import pytorch_rpc_worker

    pytorch_rpc_worker.join(WORKER, store, tcp == "1")
    rpc.shutdown()  # waits for the other side


if __name__ == "__main__":
    main(*sys.argv[1:])

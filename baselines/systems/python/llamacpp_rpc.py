"""GPT-2 by llama.cpp with its RPC backend: a server process computes and has the
weights and the cache of keys and values; this process builds the graphs and looks
tokens up in the embedding, as llama.cpp does it."""

import ctypes
import os
import socket
import time

import wire

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60


def library(folder, name):
    """A shared library of llama-cpp-python that has no binding."""
    for suffix in (".so", ".dylib", ".dll"):
        path = os.path.join(folder, "lib", f"lib{name}{suffix}")
        if os.path.exists(path):
            return ctypes.CDLL(path)
    raise wire.Unavailable(f"llama-cpp-python was built without lib{name} (CMAKE_ARGS=-DGGML_RPC=ON)")


def functions(folder):
    """The functions that are needed here, with their types."""
    rpc, base = library(folder, "ggml-rpc"), library(folder, "ggml-base")
    table = {
        (rpc, "ggml_backend_rpc_add_server"): (ctypes.c_void_p, [ctypes.c_char_p]),
        (rpc, "ggml_backend_rpc_start_server"): (
            None, [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p],
        ),
        (base, "ggml_backend_reg_dev_get"): (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t]),
        (base, "ggml_backend_reg_dev_count"): (ctypes.c_size_t, [ctypes.c_void_p]),
    }
    found = {}
    for (lib, name), (result, arguments) in table.items():
        f = getattr(lib, name, None)
        if f is None:
            raise wire.Unavailable(f"llama.cpp's library has no function {name}")
        f.restype, f.argtypes = result, arguments
        found[name] = f
    return found


def setup():
    import llama_cpp

    import greedy
    import llamacpp_model
    import processes

    call = functions(os.path.dirname(llama_cpp.__file__))
    llamacpp_model.start_library()
    held = {}

    def prepare(workload, linked=False, **_):
        if not workload.startswith("llm-"):
            raise wire.Unavailable(f"workload {workload}: llama.cpp is for language models")
        import llamacpp_rpc_server

        with socket.create_server((HOST, 0)) as s:
            port = s.getsockname()[1]
        held["server"] = f"{HOST}:{port}"
        held["process"] = processes.start([llamacpp_rpc_server.__file__, held["server"], str(wire.threads())])
        return {"targets": [held["server"]] if linked else []}

    def wait():
        until = time.monotonic() + PATIENCE_SECONDS
        host, port = held["server"].split(":")
        while True:
            try:
                return socket.create_connection((host, int(port)), 1).close()
            except OSError:
                if held["process"].poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def open(dir, dtype="f32", proxies=None, **_):
        wait()
        address = (proxies or {}).get(held["server"], held["server"])
        registry = call["ggml_backend_rpc_add_server"](address.encode())
        if not registry or not call["ggml_backend_reg_dev_count"](registry):
            raise RuntimeError(f"llama.cpp does not reach {address}")
        held["devices"] = (ctypes.c_void_p * 2)(call["ggml_backend_reg_dev_get"](registry, 0), None)
        held["model"] = llamacpp_model.Model(dir, dtype, held["devices"])
        return {"threads": wire.threads(), "system": held["model"].system}

    def generate(prompts, new, force=None, logits=False):
        m = held["model"]
        m.ready(prompts, new)
        return greedy.generate(m.start, m.step, prompts, new, force, logits)

    def stats():
        # The server tells nothing of itself: what it took is the system's word.
        workers = [{"pid": held["process"].pid, "peak_rss_bytes": 0, "served": 0}]
        return {"remote_calls": 0, "workers": workers, "processes": processes.tree(workers)}

    operations = {"prepare": prepare, "open": open, "generate": generate, "stats": stats}
    return llamacpp_model.versions(), operations


if __name__ == "__main__":
    wire.run(setup)

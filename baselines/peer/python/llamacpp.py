"""GPT-2 by llama.cpp through the low-level functions of llama-cpp-python."""

import ctypes
import sys

import wire

ERROR = 4  # ggml_log_level


def setup():
    import llama_cpp as lc
    import numpy as np

    import gguf_convert
    import greedy

    def say(level, text, data):
        if level == ERROR:
            print(text.decode(errors="replace"), end="", file=sys.stderr)

    # The library calls the log function as long as it runs: it has to be kept.
    held = {"log": lc.llama_log_callback(say)}
    lc.llama_log_set(held["log"], ctypes.c_void_p(0))
    lc.llama_backend_init()

    def load(dir, dtype="f32", compile=False, context=0):
        if dtype not in gguf_convert.TYPES:
            raise wire.Unavailable(f"dtype {dtype}")
        path = gguf_convert.convert(dir, dtype)
        params = lc.llama_model_default_params()
        params.n_gpu_layers = 0
        held["model"] = lc.llama_model_load_from_file(path.encode(), params)
        if not held["model"]:
            raise RuntimeError(f"llama.cpp does not load {path}")
        held["vocab"] = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(held["model"]))
        held["key"] = None
        return {"threads": wire.threads(), "system": lc.llama_print_system_info().decode()}

    def context(batch, prompt, total):
        key = (batch, prompt, total)
        if held["key"] != key:
            if held["key"]:
                lc.llama_batch_free(held["batch"])
                lc.llama_free(held["ctx"])
            p = lc.llama_context_default_params()
            p.n_ctx = -(-total // 256) * 256 * batch
            p.n_seq_max = batch
            p.n_batch = max(batch * prompt, 512)
            p.n_ubatch = min(p.n_batch, 512)
            p.n_threads = p.n_threads_batch = wire.threads()
            p.no_perf = True
            # Keys and values stay float16, the library's default: with float32
            # its attention is several times slower.
            held["ctx"] = lc.llama_init_from_model(held["model"], p)
            if not held["ctx"]:
                held["key"] = None
                raise RuntimeError("llama.cpp makes no context")
            held["batch"] = lc.llama_batch_init(p.n_batch, 0, 1)
            held["key"] = key
        lc.llama_memory_clear(lc.llama_get_memory(held["ctx"]), True)

    def forward(state, rows):
        """Runs one step, rows[i] being the new tokens of sequence i."""
        batch, i, wanted = held["batch"], 0, []
        for seq, tokens in enumerate(rows):
            for j, t in enumerate(tokens):
                batch.token[i] = t
                batch.pos[i] = state["at"] + j
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = seq
                batch.logits[i] = j == len(tokens) - 1
                i += 1
            wanted.append(i - 1)
        batch.n_tokens = i
        state["at"] += len(rows[0])
        rc = lc.llama_decode(held["ctx"], batch)
        if rc:
            raise RuntimeError(f"llama_decode: {rc}")
        out = [
            np.ctypeslib.as_array(lc.llama_get_logits_ith(held["ctx"], w), (held["vocab"],)) for w in wanted
        ]
        return [int(r.argmax()) for r in out], lambda: np.stack(out)

    def generate(prompts, new, force=None, logits=False):
        context(len(prompts), len(prompts[0]), len(prompts[0]) + new)
        state = {"at": 0}
        return greedy.generate(
            lambda p: forward(state, p),
            lambda t: forward(state, [[x] for x in t]),
            prompts, new, force, logits,
        )

    return {"llama_cpp_python": lc.__version__, "gguf": gguf_convert.version()}, {"load": load, "generate": generate}


if __name__ == "__main__":
    wire.run(setup)

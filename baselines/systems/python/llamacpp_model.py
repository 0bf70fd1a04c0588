"""GPT-2 by llama.cpp through the low-level functions of llama-cpp-python."""

import ctypes
import sys

import llama_cpp as lc
import numpy as np

import gguf_convert
import wire

ERROR = 4  # ggml_log_level
ALL_LAYERS = 1 << 20


def _say(level, text, data):
    if level == ERROR:
        print(text.decode(errors="replace"), end="", file=sys.stderr)


# The library calls the log function as long as it runs: it has to be kept.
LOG = lc.llama_log_callback(_say)


def start_library():
    lc.llama_log_set(LOG, ctypes.c_void_p(0))
    lc.llama_backend_init()


def versions():
    return {"llama_cpp_python": lc.__version__, "gguf": gguf_convert.version()}


class Model:
    """A model on this machine's CPU, or, with devices, the layers, the output head
    and the cache of keys and values there. devices is an array of ggml devices
    that ends with null."""

    def __init__(self, dir, dtype, devices=None):
        if dtype not in gguf_convert.TYPES:
            raise wire.Unavailable(f"dtype {dtype}")
        path = gguf_convert.convert(dir, dtype)
        params = lc.llama_model_default_params()
        params.n_gpu_layers = 0
        if devices is not None:
            params.n_gpu_layers = ALL_LAYERS
            params.devices = ctypes.cast(devices, ctypes.c_void_p)
        self.model = lc.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        self.vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(self.model))
        self.key = None
        self.system = lc.llama_print_system_info().decode()

    def _context(self, batch, prompt, total):
        key = (batch, prompt, total)
        if self.key != key:
            if self.key:
                lc.llama_batch_free(self.batch)
                lc.llama_free(self.ctx)
            p = lc.llama_context_default_params()
            p.n_ctx = -(-total // 256) * 256 * batch
            p.n_seq_max = batch
            p.n_batch = max(batch * prompt, 512)
            p.n_ubatch = min(p.n_batch, 512)
            p.n_threads = p.n_threads_batch = wire.threads()
            p.no_perf = True
            # Keys and values stay float16, the library's default: with float32
            # its attention is several times slower.
            self.ctx = lc.llama_init_from_model(self.model, p)
            if not self.ctx:
                self.key = None
                raise RuntimeError("llama.cpp makes no context")
            self.batch = lc.llama_batch_init(p.n_batch, 0, 1)
            self.key = key
        lc.llama_memory_clear(lc.llama_get_memory(self.ctx), True)

    def ready(self, prompts, new):
        """Makes the context, outside of what is timed."""
        self._context(len(prompts), len(prompts[0]), len(prompts[0]) + new)
        self.at = 0

    def start(self, prompts):
        return self._forward(prompts)

    def step(self, tokens):
        return self._forward([[t] for t in tokens])

    def _forward(self, rows):
        """Runs one step, rows[i] being the new tokens of sequence i."""
        batch, i, wanted = self.batch, 0, []
        for seq, tokens in enumerate(rows):
            for j, t in enumerate(tokens):
                batch.token[i] = t
                batch.pos[i] = self.at + j
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = seq
                batch.logits[i] = j == len(tokens) - 1
                i += 1
            wanted.append(i - 1)
        batch.n_tokens = i
        self.at += len(rows[0])
        rc = lc.llama_decode(self.ctx, batch)
        if rc:
            raise RuntimeError(f"llama_decode: {rc}")
        out = [np.ctypeslib.as_array(lc.llama_get_logits_ith(self.ctx, w), (self.vocab,)) for w in wanted]
        return [int(r.argmax()) for r in out], lambda: np.stack(out)

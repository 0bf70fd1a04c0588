"""A GPT-2 checkpoint of Hugging Face's layout as a GGUF file."""

import contextlib
import importlib.metadata
import json
import os

import gguf
import numpy as np
from safetensors import safe_open

import wire

Q = gguf.GGMLQuantizationType
F = gguf.LlamaFileType
TYPES = {
    "f32": (Q.F32, F.ALL_F32),
    "f16": (Q.F16, F.MOSTLY_F16),
    "bf16": (Q.BF16, F.MOSTLY_BF16),
    "q8_0": (Q.Q8_0, F.MOSTLY_Q8_0),
}
# name in the checkpoint: name in the file, whether it is stored [in, out]
TOP = {
    "wte.weight": ("token_embd.weight", False),
    "wpe.weight": ("position_embd.weight", False),
    "ln_f.weight": ("output_norm.weight", False),
    "ln_f.bias": ("output_norm.bias", False),
}
LAYER = {
    "ln_1": ("attn_norm", False),
    "attn.c_attn": ("attn_qkv", True),
    "attn.c_proj": ("attn_output", True),
    "ln_2": ("ffn_norm", False),
    "mlp.c_fc": ("ffn_up", True),
    "mlp.c_proj": ("ffn_down", True),
}


def version():
    return importlib.metadata.version("gguf")


def names(layers):
    yield from TOP.items()
    for i in range(layers):
        for theirs, (ours, transposed) in LAYER.items():
            yield f"h.{i}.{theirs}.weight", (f"blk.{i}.{ours}.weight", transposed)
            yield f"h.{i}.{theirs}.bias", (f"blk.{i}.{ours}.bias", False)


def shards(dir):
    """The files with the weights."""
    one = os.path.join(dir, "model.safetensors")
    if os.path.exists(one):
        return [one]
    with open(f"{one}.index.json") as f:
        return [os.path.join(dir, name) for name in sorted(set(json.load(f)["weight_map"].values()))]


def convert(dir, dtype):
    """Converts the checkpoint once; returns the path of the file. Matrices get
    the type, vectors and positions stay float32, as in llama.cpp's own converter."""
    path = os.path.join(wire.cache_dir("gguf", wire.identity(dir)), f"{dtype}.gguf")
    if os.path.exists(path):
        return path
    with open(os.path.join(dir, "config.json")) as f:
        c = json.load(f)
    kind, file_type = TYPES[dtype]
    partial = f"{path}.{os.getpid()}"
    w = gguf.GGUFWriter(partial, "gpt2")
    w.add_name("gpt2")
    w.add_block_count(c["n_layer"])
    w.add_context_length(c["n_positions"])
    w.add_embedding_length(c["n_embd"])
    w.add_feed_forward_length(c.get("n_inner") or 4 * c["n_embd"])
    w.add_head_count(c["n_head"])
    w.add_layer_norm_eps(c["layer_norm_epsilon"])
    w.add_file_type(file_type)
    # No text: token ids in, token ids out.
    w.add_tokenizer_model("no_vocab")
    w.add_vocab_size(c["vocab_size"])
    with contextlib.ExitStack() as stack:
        have = {}
        for shard in shards(dir):
            st = stack.enter_context(safe_open(shard, "np"))
            have.update(dict.fromkeys(st.keys(), st))
        for theirs, (ours, transposed) in names(c["n_layer"]):
            stored = theirs if theirs in have else f"transformer.{theirs}"
            a = have[stored].get_tensor(stored).astype(np.float32)
            if transposed:
                a = np.ascontiguousarray(a.T)
            as_type = kind if a.ndim == 2 and ours != "position_embd.weight" else Q.F32
            if as_type == Q.F16:
                w.add_tensor(ours, a.astype(np.float16))
            elif as_type == Q.F32:
                w.add_tensor(ours, a)
            else:
                w.add_tensor(ours, gguf.quants.quantize(a, as_type), raw_dtype=as_type)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    os.rename(partial, path)
    return path

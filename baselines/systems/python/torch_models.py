"""The workloads' models by transformers on PyTorch, in this process. They take and
give NumPy arrays; what holds them decides where that is."""

import warnings

import numpy as np
import torch
import transformers
from transformers import DynamicCache, GPT2LMHeadModel, StaticCache

import easy_vqa
import torch_micro
import wire

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

# Inputs may lie in memory that only is to be read; nothing here writes to them.
warnings.filterwarnings("ignore", message="The given NumPy array is not writ")


def versions():
    return {"torch": torch.__version__, "transformers": transformers.__version__}


def dtype_of(name):
    if name not in DTYPES:
        raise wire.Unavailable(f"dtype {name}")
    return DTYPES[name]


def format_of(name):
    if name not in FORMATS:
        raise wire.Unavailable(f"memory format {name}")
    return FORMATS[name]


class LLM:
    """GPT-2 with its own cache of keys and values. start and step return the
    tokens with the largest logits and a function that gives the logits as
    float32 [batch, vocab]."""

    def __init__(self, dir, dtype="f32", compile=False, context=0):
        self.model = GPT2LMHeadModel.from_pretrained(dir, dtype=dtype_of(dtype), attn_implementation="sdpa").eval()
        self.forward, self.compiled, self.context = self.model, compile, context
        self.kept = {}
        if compile:
            import torch._inductor.config as inductor

            inductor.freezing = True  # weights become constants, packed once
            self.forward = torch.compile(self.model, dynamic=False)

    def cache(self, batch, length):
        if not self.compiled:
            return DynamicCache(config=self.model.config)
        # A compiled step wants fixed shapes. The same buffers are used again.
        key = (batch, length)
        if key not in self.kept:
            self.kept[key] = StaticCache(config=self.model.config, max_cache_len=length)
        self.kept[key].reset()
        return self.kept[key]

    def start(self, prompts, new):
        """A prompt pass, after which new-1 tokens are to follow."""
        self.at = 0
        self.kv = self.cache(len(prompts), self.context or len(prompts[0]) + new)
        return self._forward(torch.tensor(prompts))

    def step(self, tokens):
        return self._forward(torch.tensor(tokens)[:, None])

    @torch.inference_mode()
    def _forward(self, ids):
        n = ids.shape[1]
        args = {}
        if self.compiled:
            args["position_ids"] = torch.arange(self.at, self.at + n)[None]
        out = self.forward(input_ids=ids, past_key_values=self.kv, use_cache=True, logits_to_keep=1, **args)
        self.at += n
        row = out.logits[:, -1]
        return row.argmax(-1).tolist(), lambda: row.float().numpy()


class Vision:
    """A ResNet classifier: pixels [batch, 3, height, width] to logits."""

    def __init__(self, dir, dtype="f32", form="contiguous"):
        self.dtype, self.format = dtype_of(dtype), format_of(form or "contiguous")
        model = transformers.ResNetForImageClassification.from_pretrained(dir, dtype=self.dtype).eval()
        self.model = model.to(memory_format=self.format)

    @torch.inference_mode()
    def run(self, op, attrs, arrays):
        x = torch.from_numpy(arrays["pixels"]).to(self.dtype, memory_format=self.format)
        return {"logits": self.model(pixel_values=x).logits.float().numpy()}


class VQA:
    """CLIP: pixels [images, 3, height, width], tokens and mask [texts, seq] to
    logits_per_image [images, texts]."""

    def __init__(self, dir, dtype="f32", form="contiguous"):
        self.dtype, self.format = dtype_of(dtype), format_of(form or "contiguous")
        model = transformers.CLIPModel.from_pretrained(dir, dtype=self.dtype, attn_implementation="sdpa").eval()
        self.model = model.to(memory_format=self.format)

    @torch.inference_mode()
    def run(self, op, attrs, arrays):
        mask = arrays.get("mask")
        out = self.model(
            input_ids=torch.from_numpy(arrays["tokens"]).long(),
            pixel_values=torch.from_numpy(arrays["pixels"]).to(self.dtype, memory_format=self.format),
            attention_mask=None if mask is None else torch.from_numpy(mask).long(),
        )
        return {"logits_per_image": out.logits_per_image.float().numpy()}


class EasyVQA:
    """An easy-VQA network: pixels [images, 3, size, size], image [questions],
    words [questions, longest] to logits [questions, answers]."""

    def __init__(self, dir, dtype="f32", form="contiguous"):
        self.dtype, self.format = dtype_of(dtype), format_of(form or "contiguous")
        self.model = easy_vqa.load(dir).to(self.dtype, memory_format=self.format)

    @torch.inference_mode()
    def run(self, op, attrs, arrays):
        x = torch.from_numpy(arrays["pixels"]).to(self.dtype, memory_format=self.format)
        which, words = (torch.from_numpy(arrays[k]).long() for k in ("image", "words"))
        return {"logits": self.model(x, which, words).float().numpy()}


def load(workload, dir, dtype="f32", form=""):
    """The model of a workload."""
    if workload.startswith("llm-"):
        return LLM(dir, dtype)
    if workload == "vision-cnn":
        return Vision(dir, dtype, form)
    if workload == "multimodal-vqa" and easy_vqa.config_of(dir).get("model_type") == easy_vqa.MODEL_TYPE:
        return EasyVQA(dir, dtype, form)
    if workload == "multimodal-vqa":
        return VQA(dir, dtype, form)
    if workload == "micro":
        return torch_micro.Micro(dtype_of(dtype), form)
    raise wire.Unavailable(f"workload {workload}")


class Served:
    """A model as a worker holds it: it counts the calls that it serves."""

    def __init__(self, workload, dir, dtype, form, threads):
        torch.set_num_threads(threads)
        self.model = load(workload, dir, dtype, form)
        self.calls = 0

    def hold(self, arrays):
        self.calls += 1
        self.model.hold(arrays)

    def start(self, prompts, new, logits):
        self.calls += 1
        tokens, rows = self.model.start(prompts, new)
        return tokens, rows() if logits else None

    def step(self, tokens, logits):
        self.calls += 1
        tokens, rows = self.model.step(tokens)
        return tokens, rows() if logits else None

    def run(self, op, attrs, arrays):
        self.calls += 1
        return self.model.run(op, attrs, arrays)


def array(x):
    """What comes from a wire as an array, C-contiguous."""
    x = x.numpy() if isinstance(x, torch.Tensor) else x
    return np.ascontiguousarray(x)

"""Measures GPT-2 in PyTorch beside Genie: decoding and prefill, eagerly, in CUDA
graphs, and compiled. It needs PyTorch alone and reads the checkpoints that
`genie models new` writes. Results are lines of the Go benchmark format; each is
written when it is measured.

    python3 torch_gpt2.py --model DIR --name gpt2 --dtype f32 --goldens ../../llm

A generation is verified before it is timed: its tokens against those that
transformers computed with the float32 weights, up to the first choice that the
tolerance of the type may change.
"""

import argparse
import json
import mmap
import os
import statistics
import struct
import sys
import time

import torch
import torch.nn.functional as F

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
TOLERANCE = {"f32": 1e-4, "bf16": 5e-2}


def read_safetensors(path):
    """All tensors of a file, as views of its mapping."""
    with open(path, "rb") as f:
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        begin, end = t["data_offsets"]
        dtype = DTYPES[t["dtype"]]
        flat = torch.frombuffer(data, dtype=dtype, count=(end - begin) // dtype.itemsize, offset=8 + size + begin)
        out[name.removeprefix("transformer.")] = flat.view(t["shape"])
    return out


class GPT2:
    """The model with a cache of a given length, on the operators that PyTorch
    recommends: addmm, scaled_dot_product_attention, layer_norm."""

    def __init__(self, folder, device):
        with open(os.path.join(folder, "config.json")) as f:
            c = json.load(f)
        self.hidden, self.heads, self.layers = c["n_embd"], c["n_head"], c["n_layer"]
        self.vocab, self.positions, self.eps = c["vocab_size"], c["n_positions"], c["layer_norm_epsilon"]
        if c.get("activation_function", "gelu_new") != "gelu_new":
            raise SystemExit("torch_gpt2: only gelu_new")
        self.w = {k: v.to(device) for k, v in read_safetensors(os.path.join(folder, "model.safetensors")).items()}
        self.device, self.dtype = device, self.w["wte.weight"].dtype

    def caches(self, batch, length):
        shape = (self.layers, 2, batch, self.heads, length, self.hidden // self.heads)
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def norm(self, x, name):
        return F.layer_norm(x, (self.hidden,), self.w[name + ".weight"], self.w[name + ".bias"], self.eps)

    def linear(self, x, name):
        w = self.w[name + ".weight"]
        flat = torch.addmm(self.w[name + ".bias"], x.reshape(-1, w.shape[0]), w)
        return flat.view(*x.shape[:-1], w.shape[1])

    def forward(self, tokens, positions, cache, at, mask):
        """Logits of the last position, [batch, vocab]. at puts the new keys and
        values into a layer's cache and returns what attention reads."""
        b, t = tokens.shape
        x = F.embedding(tokens, self.w["wte.weight"]) + F.embedding(positions, self.w["wpe.weight"])
        for i in range(self.layers):
            p = f"h.{i}."
            qkv = self.linear(self.norm(x, p + "ln_1"), p + "attn.c_attn")
            q, k, v = qkv.view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            k, v = at(cache[i], k, v)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and t > 1)
            x = x + self.linear(y.transpose(1, 2).reshape(b, t, -1), p + "attn.c_proj")
            h = F.gelu(self.linear(self.norm(x, p + "ln_2"), p + "mlp.c_fc"), approximate="tanh")
            x = x + self.linear(h, p + "mlp.c_proj")
        return F.linear(self.norm(x[:, -1], "ln_f"), self.w["wte.weight"])

    def prefill(self, tokens, cache):
        t = tokens.shape[1]

        def at(layer, k, v):
            layer[0, :, :, :t], layer[1, :, :, :t] = k, v
            return k, v

        positions = torch.arange(t, device=self.device)
        return self.forward(tokens, positions, cache, at, None)

    def step(self, tokens, past, cache):
        """A step with the cache as long as it is: eager."""

        def at(layer, k, v):
            layer[0, :, :, past], layer[1, :, :, past] = k[:, :, 0], v[:, :, 0]
            return layer[0, :, :, : past + 1], layer[1, :, :, : past + 1]

        positions = torch.full((1,), past, device=self.device)
        return self.forward(tokens, positions, cache, at, None)

    def static_step(self, tokens, past, cache):
        """A step whose shapes do not change: past is a tensor [1], and a mask
        leaves out what is behind it. For graphs and the compiler."""
        length = cache.shape[-2]

        def at(layer, k, v):
            layer[0].index_copy_(2, past, k)
            layer[1].index_copy_(2, past, v)
            return layer[0], layer[1]

        mask = (torch.arange(length, device=self.device) <= past).view(1, 1, 1, length)
        return self.forward(tokens, past, cache, at, mask)


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


class Graph:
    """A function of static tensors as a CUDA graph."""

    def __init__(self, f):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                f()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            f()

    def __call__(self):
        self.graph.replay()


class Decoder:
    """Greedy decoding in one form. Each generation reads every token on the host
    as it comes, as a service that streams them does; the form graphs-async reads
    them at the end."""

    def __init__(self, model, form, prompts, new):
        self.m, self.form, self.new = model, form, new
        self.prompts = torch.tensor(prompts, device=model.device)
        length = -(-(self.prompts.shape[1] + new) // 64) * 64
        length = min(length, max(model.positions, self.prompts.shape[1] + new))
        self.cache = model.caches(len(prompts), length)
        self.tokens = torch.zeros((len(prompts), 1), dtype=torch.long, device=model.device)
        self.past = torch.zeros(1, dtype=torch.long, device=model.device)
        if form == "eager":
            return
        step = model.static_step
        if form == "compile":
            torch._dynamo.mark_static_address(self.cache)  # else no CUDA graph, since it is written
            compiled = torch.compile(step, mode="reduce-overhead" if model.device == "cuda" else "default", dynamic=False)

            def once():
                self.tokens.copy_(compiled(self.tokens, self.past, self.cache).argmax(-1, keepdim=True))
                self.past += 1

            self.once = once
            return

        def once():
            self.tokens.copy_(step(self.tokens, self.past, self.cache).argmax(-1, keepdim=True))
            self.past.add_(1)

        self.past.fill_(self.prompts.shape[1])
        self.once = Graph(once) if model.device == "cuda" else once

    def generate(self):
        """Tokens [batch][new], the time to the first token, and of all others."""
        synchronize(self.m.device)
        begin = time.perf_counter()
        t = self.prompts.shape[1]
        token = self.m.prefill(self.prompts, self.cache).argmax(-1, keepdim=True)
        out = [token.tolist()]
        first = time.perf_counter()
        self.tokens.copy_(token)
        self.past.fill_(t)
        later = []
        for i in range(1, self.new):
            if self.form == "eager":
                token = self.m.step(token, t + i - 1, self.cache).argmax(-1, keepdim=True)
                out.append(token.tolist())
                continue
            self.once()
            if self.form == "graphs-async":
                later.append(self.tokens.clone())
            else:
                out.append(self.tokens.tolist())
        if later:
            out += torch.stack(later).tolist()
        synchronize(self.m.device)
        end = time.perf_counter()
        return [[o[b][0] for o in out] for b in range(len(self.prompts))], first - begin, end - first


def verify(tokens, golden, tolerance, what):
    """The number of leading tokens that agree with transformers'; fails where one
    differs that the tolerance cannot change."""
    for i, (got, want) in enumerate(zip(tokens, golden["greedy"][0])):
        top = golden["top"][0][i]
        if top["logits"][0] - top["logits"][1] <= 2 * tolerance * top["max_abs"]:
            return i
        if got != want:
            raise SystemExit(f"torch_gpt2: {what}: token {i} is {got}, not {want}")
    return min(len(tokens), len(golden["greedy"][0]))


def bench_name(workload, baseline, parts):
    """What internal/benchname.Of gives, so that rows match Genie's."""
    whole = [workload]
    for key, value in parts:
        if key not in ("model", "net"):
            whole.append("b" + value if key == "batch" else key + value if value[0].isdigit() else value)
    return "/".join(["workload=" + "-".join(whole), "baseline=" + baseline] + [f"{k}={v}" for k, v in parts])


class Results:
    """Lines on standard output, each when it is known."""

    def line(self, text):
        print(text, flush=True)

    def add(self, function, name, n, seconds, metrics):
        values = "\t".join(f"{v:.10g} {unit}" for unit, v in metrics)
        self.line(f"Benchmark{function}/{name}-{torch.get_num_threads()}\t{n}\t{seconds / n * 1e9:.0f} ns/op\t{values}")


def rotations(prompt, n):
    return [prompt[i % len(prompt) :] + prompt[: i % len(prompt)] for i in range(n)]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--model", required=True, help="folder of the checkpoint")
    a.add_argument("--name", required=True, help="name of the model in results")
    a.add_argument("--scale", required=True, help="of the goldens: tiny, small or full")
    a.add_argument("--dtype", required=True, choices=["f32", "bf16"])
    a.add_argument("--goldens", required=True, help="testdata/llm")
    a.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    a.add_argument("--forms", default="eager,graphs,graphs-async")
    a.add_argument("--batches", default="1,8")
    a.add_argument("--prefills", default="512,1024")
    a.add_argument("--new", type=int, default=50)
    a.add_argument("--count", type=int, default=5, help="timed generations of each case")
    a.add_argument("--unverified", action="store_true", help="for weights that no golden is of")
    o = a.parse_args()
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = False  # float32 is float32, on both sides
    torch.backends.cudnn.allow_tf32 = False
    out = Results()
    m = GPT2(o.model, o.device)
    parts = [("dtype", o.dtype), ("model", o.name)]
    with open(os.path.join(o.goldens, o.scale + "-decode.json")) as f:
        decode = json.load(f)
    with open(os.path.join(o.goldens, o.scale + "-prefill.json")) as f:
        prefill = json.load(f)
    failed = False
    for form in o.forms.split(","):
        for batch in map(int, o.batches.split(",")):
            name = bench_name("decode", "pytorch-" + form, parts + [("batch", str(batch))])
            try:
                d = Decoder(m, form, rotations(decode["prompts"][0], batch), o.new)
                tokens, _, _ = d.generate()
                if not o.unverified:
                    verify(tokens[0], decode, TOLERANCE[o.dtype], name)
                d.generate()
                spent = [d.generate()[1:] for _ in range(o.count)]
            except Exception as e:  # one form less, not all figures
                failed = True
                out.line(f"# failed {name}: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
                continue
            step = statistics.median(s for _, s in spent) / (o.new - 1)
            out.add("Decode", name, o.count, sum(f + s for f, s in spent), [("step-ns", step * 1e9), ("tok/s", batch / step)])
            del d
        if form in ("graphs-async", "compile"):
            continue
        for rows in map(int, o.prefills.split(",")):
            name = bench_name("prefill", "pytorch-" + form, parts + [("rows", str(rows))])
            prompt = (prefill["prompts"][0] * (1 + rows // len(prefill["prompts"][0])))[:rows]
            try:
                spent = measure_prefill(m, form, prompt, o, prefill, name)
            except Exception as e:
                failed = True
                out.line(f"# failed {name}: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
                continue
            ttft = statistics.median(spent)
            out.add("Prefill", name, o.count, sum(spent), [("ttft-ns", ttft * 1e9), ("tok/s", rows / ttft)])
    sys.exit(1 if failed else 0)


def measure_prefill(m, form, prompt, o, golden, name):
    tokens = torch.tensor([prompt], device=m.device)
    cache = m.caches(1, len(prompt))
    result = torch.zeros((1, 1), dtype=torch.long, device=m.device)

    def run():
        result.copy_(m.prefill(tokens, cache).argmax(-1, keepdim=True))

    if form == "graphs" and m.device == "cuda":
        run = Graph(run)
    run()
    token = result.tolist()[0]
    if not o.unverified and prompt == golden["prompts"][0]:
        verify(token, golden, TOLERANCE[o.dtype], name)
    spent = []
    for _ in range(o.count):
        synchronize(m.device)
        begin = time.perf_counter()
        run()
        result.tolist()
        spent.append(time.perf_counter() - begin)
    return spent


if __name__ == "__main__":
    main()

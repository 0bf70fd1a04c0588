"""Make the small GPT-2 checkpoints of testdata/gpt2 and their goldens.

    python make_gpt2_goldens.py                 # every case
    python make_gpt2_goldens.py --case odd fp16 # some of them

or compute a golden for a checkpoint that is kept elsewhere (too big to commit):

    python make_gpt2_goldens.py --model DIR --prompt-len 72 --new 50 --seed 7 --out FILE.json

Made with torch 2.15.0, transformers 5.23.0, numpy 2.4.6, safetensors 0.8.0
(requirements.txt); each golden.json names the versions it was made with.

The weights are random (numpy's default_rng, so that they depend on the seed
alone), biases and LayerNorm parameters too: a reader that drops one of them
gets other logits. A search over gains and seeds picks the first checkpoint
whose greedy text does not degenerate and whose choices are not close calls, so
that a float32 implementation with another order of summation must produce the
same tokens.

In --model mode the prompts are
    numpy.random.default_rng(seed).integers(0, vocab_size, size=(batch, prompt_len))
and the file holds, for the last row of the prompt pass and for each decoded
token, max|logit| and the highest logits with their ids.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

import gpt2_ref as ref

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_OUT = os.path.join(HERE, "..", "gpt2")

NEW = 50  # greedy tokens per prompt
MIN_DISTINCT = 20  # distinct tokens among them
MIN_MARGIN = 1e-3  # (best - second) / max|logit|, every greedy choice
MAX_F32_ERROR = 2e-5  # |float32 - float64| / max|logit|
GAINS = (1.0, 1.5, 2.0, 2.5, 3.0)
SEEDS = 300  # per gain

# config: GPT2Config arguments; lens: prompt lengths; dtype: how it is stored
CASES = {
    "basic": dict(
        config=dict(n_layer=2, n_head=4, n_embd=64, vocab_size=128, n_positions=128),
    ),
    # nothing is a multiple of a vector; the longest prompt fills the context
    "odd": dict(
        config=dict(n_layer=3, n_head=3, n_embd=33, vocab_size=101, n_positions=127, n_inner=50),
        lens=(1, 17, 77),
    ),
    "untied": dict(
        config=dict(
            n_layer=2, n_head=2, n_embd=32, vocab_size=96, n_positions=96,
            tie_word_embeddings=False, activation_function="relu",
        ),
    ),
    "sharded": dict(
        config=dict(n_layer=3, n_head=4, n_embd=36, vocab_size=128, n_positions=96),
        shard="100KB",
    ),
    "noprefix": dict(
        config=dict(n_layer=2, n_head=4, n_embd=32, vocab_size=128, n_positions=96),
        noprefix=True,
    ),
    "fp16": dict(
        config=dict(n_layer=2, n_head=4, n_embd=64, vocab_size=128, n_positions=96),
        dtype=torch.float16,
    ),
    "bf16": dict(
        config=dict(n_layer=2, n_head=4, n_embd=64, vocab_size=128, n_positions=96),
        dtype=torch.bfloat16,
    ),
    "gelu": dict(
        config=dict(
            n_layer=2, n_head=2, n_embd=32, vocab_size=128, n_positions=96,
            activation_function="gelu",
        ),
    ),
    "scaled": dict(
        config=dict(
            n_layer=4, n_head=4, n_embd=32, vocab_size=128, n_positions=96,
            scale_attn_by_inverse_layer_idx=True, layer_norm_epsilon=1e-3,
        ),
    ),
}


def fill(model, seed, gain, dtype):
    """Set every parameter from the seed, rounded to dtype; names in sorted order."""
    rng = np.random.default_rng(seed)
    layers = model.config.n_layer
    params = dict(model.named_parameters())  # a tied lm_head is not listed twice
    for name in sorted(params):
        p = params[name]
        shape = tuple(p.shape)
        if ".ln_" in name and name.endswith("weight"):
            w = rng.uniform(0.5, 1.5, shape)
        elif name.endswith("bias"):
            w = rng.normal(0, 0.2, shape)
        elif name.endswith(("wte.weight", "lm_head.weight")):
            w = rng.normal(0, 0.3, shape)
        elif name.endswith("wpe.weight"):
            w = rng.normal(0, 0.3, shape)
        else:  # Conv1D: [in, out]
            w = rng.normal(0, gain / np.sqrt(shape[0]), shape)
            if name.endswith("c_proj.weight"):
                w /= np.sqrt(layers)
        p.data = torch.from_numpy(w.astype(np.float32)).to(dtype).to(torch.float32)


def prompts_for(seed, lens, vocab):
    rng = np.random.default_rng([seed, 1])
    return [rng.integers(0, vocab, n).tolist() for n in lens]


def good(model, prompts):
    """Whether every prompt's greedy text is varied and decided clearly."""
    for prompt in prompts:
        tokens, pre, steps = ref.greedy(model, prompt, NEW)
        if len(set(tokens)) < MIN_DISTINCT:
            return False
        if ref.margin(torch.cat([pre[-1:], steps])) < MIN_MARGIN:
            return False
    return True


def search(case):
    config = GPT2Config(
        bos_token_id=0, eos_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        attn_implementation="eager", **case["config"],
    )
    model = GPT2LMHeadModel(config).eval()
    lens = case.get("lens", (1, 17, 40))
    assert max(lens) + NEW <= config.n_positions
    for gain in GAINS:
        for seed in range(SEEDS):
            prompts = prompts_for(seed, lens, config.vocab_size)
            fill(model, seed, gain, case.get("dtype", torch.float32))
            if good(model, prompts):
                return model, prompts, seed, gain
    raise SystemExit("no seed and gain found")


def save(model, case, directory):
    dtype = case.get("dtype", torch.float32)
    stored = model.to(dtype)
    stored.config._attn_implementation = None
    target = stored.transformer if case.get("noprefix") else stored
    kwargs = {"max_shard_size": case["shard"]} if "shard" in case else {}
    target.save_pretrained(directory, **kwargs)
    if case.get("noprefix"):
        make_legacy(directory, model.config)


def make_legacy(directory, config):
    """Give a file saved from GPT2Model the buffers and config keys of old files."""
    path = os.path.join(directory, "model.safetensors")
    tensors = load_file(path)
    n = config.n_positions
    for i in range(config.n_layer):
        tensors[f"h.{i}.attn.bias"] = torch.ones(n, n).tril().view(1, 1, n, n).contiguous()
        tensors[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, path, metadata={"format": "pt"})
    path = os.path.join(directory, "config.json")
    with open(path) as f:
        cfg = json.load(f)
    cfg["architectures"] = ["GPT2LMHeadModel"]
    cfg["n_ctx"] = n
    with open(path, "w") as f:
        json.dump(cfg, f, indent=2, sort_keys=True)
        f.write("\n")


def golden(directory, prompts, seed, gain):
    """Run the checkpoint as stored, check it against float64, write the goldens."""
    model = ref.load(directory)
    tokens, tensors, distinct, margins = [], {}, [], []
    for i, prompt in enumerate(prompts):
        out, pre, steps = ref.greedy(model, prompt, NEW)
        tokens.append(out)
        tensors[f"prefill.{i}"] = pre.contiguous()
        tensors[f"step.{i}"] = steps.contiguous()
        distinct.append(len(set(out)))
        margins.append(ref.margin(torch.cat([pre[-1:], steps])))
    assert min(distinct) >= MIN_DISTINCT and min(margins) >= MIN_MARGIN

    # one float64 pass without a cache over prompt and text must agree
    error, peak = 0.0, 0.0
    model = model.double()
    for i, prompt in enumerate(prompts):
        with torch.no_grad():
            want = model(input_ids=torch.tensor([prompt + tokens[i][:-1]]), use_cache=False).logits[0]
        got = torch.cat([tensors[f"prefill.{i}"], tensors[f"step.{i}"]]).double()
        error = max(error, float((got - want).abs().max()))
        peak = max(peak, float(want.abs().max()))
    assert error / peak < MAX_F32_ERROR, error / peak

    save_file(tensors, os.path.join(directory, "golden.safetensors"))
    ref.write_json(os.path.join(directory, "golden.json"), {
        **ref.versions(),
        "seed": seed,
        "gain": gain,
        "max_abs_logit": peak,
        "max_error_f32_vs_f64": error,
        "min_margin": min(margins),
        "distinct": distinct,
        "prompts": prompts,
        "greedy": tokens,
    })
    return f"seed {seed} gain {gain} distinct {distinct} margin {min(margins):.1e} error {error / peak:.1e}"


def make_cases(names, out):
    for name in names:
        case = CASES[name]
        model, prompts, seed, gain = search(case)
        with tempfile.TemporaryDirectory() as tmp:
            save(model, case, tmp)
            said = golden(tmp, prompts, seed, gain)
            os.chmod(tmp, 0o755)
            for f in os.listdir(tmp):
                os.chmod(os.path.join(tmp, f), 0o644)
            target = os.path.join(out, name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(tmp, target)
        if "shard" in case:
            shards = [f for f in os.listdir(target) if f.startswith("model-")]
            assert len(shards) >= 3, shards
        size = sum(os.path.getsize(os.path.join(target, f)) for f in os.listdir(target))
        print(f"{name}: {size / 1e3:.0f} kB, {said}", flush=True)


def big_golden(args):
    """Golden of a checkpoint directory: tokens and the highest logits of each row."""
    files = {}
    for name in sorted(os.listdir(args.model)):
        path = os.path.join(args.model, name)
        if name == "config.json" or name.endswith(".safetensors"):
            with open(path, "rb") as f:
                digest = hashlib.file_digest(f, "sha256").hexdigest() if args.sha256 else None
            files[name] = {"bytes": os.path.getsize(path), "sha256": digest}
    model = ref.load(args.model)
    vocab = model.config.vocab_size
    ids = np.random.default_rng(args.seed).integers(0, vocab, size=(args.batch, args.prompt_len))
    rows = []  # [batch, vocab] per greedy token

    def record(logits):
        top = logits.topk(args.top, dim=-1)
        rows.append([
            {
                "max_abs": float(logits[b].abs().max()),
                "ids": top.indices[b].tolist(),
                "logits": top.values[b].tolist(),
            }
            for b in range(args.batch)
        ])
        return logits.argmax(-1)

    logits, cache = ref.prefill(model, torch.from_numpy(ids), last_only=True)
    tokens = [record(logits[:, -1])]
    while len(tokens) < args.new:
        logits, cache = ref.decode(model, tokens[-1][:, None], cache)
        tokens.append(record(logits))
    greedy = torch.stack(tokens, 1).tolist()
    peak = max(r["max_abs"] for step in rows for r in step)
    least = min(r["logits"][0] - r["logits"][1] for step in rows for r in step) / peak
    ref.write_json(args.out, {
        **ref.versions(),
        "files": files,
        "seed": args.seed,
        "batch": args.batch,
        "prompt_len": args.prompt_len,
        "new": args.new,
        "prompt_rule": "numpy.random.default_rng(seed).integers(0, vocab_size, size=(batch, prompt_len))",
        "max_abs_logit": peak,
        "min_margin": least,
        "distinct": [len(set(g)) for g in greedy],
        "prompts": ids.tolist(),
        "greedy": greedy,
        # [batch][new]: row j chose greedy[batch][j]
        "top": [[step[b] for step in rows] for b in range(args.batch)],
    })
    print(f"{args.out}: distinct {[len(set(g)) for g in greedy]} margin {least:.1e}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--case", nargs="+", choices=sorted(CASES), default=list(CASES))
    p.add_argument("--out", help="cases: folder to write to (testdata/gpt2); --model: the JSON file")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--model", help="checkpoint directory to compute a golden for")
    p.add_argument("--prompt-len", type=int, default=72)
    p.add_argument("--new", type=int, default=50)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--top", type=int, default=8, help="logits kept per row")
    p.add_argument("--sha256", action="store_true", help="record the hash of the checkpoint's files")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    if args.model:
        if not args.out:
            sys.exit("--model needs --out")
        big_golden(args)
    else:
        make_cases(args.case, args.out or DEFAULT_OUT)


if __name__ == "__main__":
    main()

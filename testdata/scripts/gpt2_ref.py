"""Reference runs of GPT-2 checkpoints with Hugging Face transformers.

Shared by the scripts that write goldens. Everything is float32 on the CPU
with attn_implementation="eager"; a checkpoint stored as float16 or bfloat16
is widened on loading, so the goldens are those of the stored weights.
"""

import json
import os

import torch
import transformers
import transformers.utils.logging as hf_logging
from transformers import GPT2LMHeadModel

hf_logging.disable_progress_bar()
hf_logging.set_verbosity_error()


def load(directory):
    """Load a checkpoint as float32 and fail if any of its weights is missing."""
    model, info = GPT2LMHeadModel.from_pretrained(
        directory,
        dtype=torch.float32,
        attn_implementation="eager",
        local_files_only=True,
        output_loading_info=True,
    )
    for what in ("missing_keys", "mismatched_keys"):
        # transformers lists a tied lm_head.weight as missing in some versions
        left = set(info[what]) - {"lm_head.weight"}
        if left:
            raise SystemExit(f"{directory}: {what}: {sorted(map(str, left))}")
    return model.eval()


@torch.no_grad()
def prefill(model, ids, last_only=False):
    """Run the prompts [batch, length]; return (logits, KV cache)."""
    keep = {"logits_to_keep": 1} if last_only else {}
    out = model(input_ids=ids, use_cache=True, **keep)
    return out.logits, out.past_key_values


@torch.no_grad()
def decode(model, token, cache):
    """Feed one token per row [batch, 1]; return (logits [batch, vocab], cache)."""
    out = model(input_ids=token, past_key_values=cache, use_cache=True)
    return out.logits[:, -1], out.past_key_values


def greedy(model, prompt, new):
    """Greedy tokens of one prompt with the KV cache.

    Returns (tokens, prefill logits [len(prompt), vocab], step logits
    [new-1, vocab]); row j of the steps follows from feeding tokens[j]. Ties
    go to the lowest id (argmax).
    """
    logits, cache = prefill(model, torch.tensor([prompt]))
    tokens = [int(logits[0, -1].argmax())]
    steps = []
    while len(tokens) < new:
        row, cache = decode(model, torch.tensor([[tokens[-1]]]), cache)
        steps.append(row[0])
        tokens.append(int(row[0].argmax()))
    steps = torch.stack(steps) if steps else logits.new_zeros(0, logits.shape[-1])
    return tokens, logits[0], steps


def margin(rows):
    """Smallest (best - second) / max|logit| over rows [n, vocab]."""
    top = rows.topk(2, dim=-1).values
    return float(((top[:, 0] - top[:, 1]) / rows.abs().max()).min())


def versions():
    import numpy
    import safetensors
    import tokenizers

    return {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "safetensors": safetensors.__version__,
        "tokenizers": tokenizers.__version__,
    }


def write_json(path, obj):
    """JSON with one top-level key a line and short lists kept on one line."""
    body = ",\n".join(
        f"  {json.dumps(k)}: {_compact(v)}" for k, v in obj.items()
    )
    tmp = f"{path}.tmp"
    with open(tmp, "w", encoding="utf-8") as f:
        f.write("{\n" + body + "\n}\n")
    os.replace(tmp, path)


def _compact(value):
    if isinstance(value, list) and value and isinstance(value[0], (list, dict)):
        rows = ",\n".join("    " + json.dumps(v, ensure_ascii=False) for v in value)
        return "[\n" + rows + "\n  ]"
    return json.dumps(value, ensure_ascii=False)

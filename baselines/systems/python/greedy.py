"""Greedy generation over a step function, timed the same way for every library."""

import numpy as np

from wire import now


def generate(start, step, prompts, new, force=None, logits=False):
    """Runs start(prompts) and then step(tokens) new-1 times. Both return the
    last row's logits per sequence as something with argmax: a pair (tokens,
    rows), tokens a list with the largest logit's index of each sequence and
    rows a function that gives the logits as float32 [batch, vocab].

    force holds the tokens that are fed instead of the chosen ones, [batch][new];
    logits asks for the rows of every step.

    Times are from having the tokens to having the next ones, in this process's
    memory as Python integers."""
    tokens, rows, spent = [], [], []
    for i in range(new):
        if i == 0:
            began = now()
            chosen, row = start(prompts)
        else:
            fed = [f[i - 1] for f in force] if force else tokens[-1]
            began = now()
            chosen, row = step(fed)
        spent.append(now() - began)
        tokens.append(chosen)
        if logits:
            rows.append(np.asarray(row(), dtype=np.float32).copy())
    result = {
        "tokens": [list(t) for t in zip(*tokens, strict=True)],
        "ttft_ns": spent[0],
        "step_ns": spent[1:],
    }
    return result, {"logits": np.stack(rows)} if logits else {}

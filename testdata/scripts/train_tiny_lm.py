"""Train the small GPT-2 of testdata/models/austen.

    apt-get download r-cran-janeaustenr
    python train_tiny_lm.py --deb r-cran-janeaustenr_1.0.0-1_all.deb --out ../models/austen

The text is described in austen_text.py. The last chapter of each novel is held
out. A chapter is one document, opened by <|endoftext|> (id 0), so that the
model can begin a chapter out of nothing and end one.

The matrices inside the blocks are trained with Muon (momentum, then the update
is made orthogonal by Newton-Schulz), all else with AdamW; cosine schedule with
a short warm-up. Everything is seeded, but --minutes ends the schedule by the
clock, so that a run is repeated exactly only with --minutes 0 and the same
--steps, thread count and versions.
"""

import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel

import austen_text

EOT = "<|endoftext|>"


def make_tokenizer(texts, vocab, out):
    """Byte-level BPE as GPT-2 has it; <|endoftext|> is id 0."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[EOT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    ))
    assert tok.get_vocab_size() == vocab and tok.token_to_id(EOT) == 0
    tok.save(os.path.join(out, "tokenizer.json"))
    tok.model.save(out)  # vocab.json, merges.txt
    return tok


def write_json(path, obj):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(obj, f, indent=2, sort_keys=True)
        f.write("\n")


def write_tokenizer_config(out, context):
    write_json(os.path.join(out, "tokenizer_config.json"), {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": context,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "bos_token": EOT, "eos_token": EOT, "unk_token": EOT,
    })
    write_json(os.path.join(out, "special_tokens_map.json"), {
        "bos_token": EOT, "eos_token": EOT, "unk_token": EOT,
    })


def encode(tok, documents):
    ids = []
    for encoded in tok.encode_batch(documents):
        ids += [0, *encoded.ids]
    return torch.tensor([*ids, 0])


class Muon(torch.optim.Optimizer):
    """Momentum whose update is replaced by its nearest orthogonal matrix."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0, iterations=5):
        super().__init__(params, dict(
            lr=lr, momentum=momentum, weight_decay=weight_decay, iterations=iterations))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if "m" not in state:
                    state["m"] = torch.zeros_like(p)
                m = state["m"].lerp_(p.grad, 1 - group["momentum"])
                # Conv1D weights are [in, out]; Q, K and V are three matrices
                update = p.grad.lerp(m, group["momentum"])
                rows, cols = p.shape
                parts = 3 if cols == 3 * rows else 1
                update = torch.cat(
                    [orthogonal(u, group["iterations"]) for u in update.chunk(parts, 1)], 1)
                scale = max(1.0, (cols / parts) / rows) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


def orthogonal(g, iterations):
    """Newton-Schulz iteration towards U V^T of g's singular value decomposition."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        s = x @ x.T
        x = torch.addmm(x, torch.addmm(s, s, s, beta=b, alpha=c), x, beta=a)
    return x.T if g.shape[0] > g.shape[1] else x


def batches(data, context, batch, rng):
    """Endless batches [batch, context + 1]; each epoch cuts the text at new places."""
    while True:
        shift = int(rng.integers(0, context))
        starts = np.arange(shift, len(data) - context - 1, context)
        rng.shuffle(starts)
        for i in range(0, len(starts) - batch + 1, batch):
            yield torch.stack([data[s : s + context + 1] for s in starts[i : i + batch]])


def loss_of(model, x):
    logits = model(input_ids=x[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model, data, context):
    model.eval()
    n = (len(data) - 1) // context
    x = torch.stack([data[i * context : (i + 1) * context + 1] for i in range(n)])
    total = sum(float(loss_of(model, part)) * len(part) for part in x.split(16))
    model.train()
    return total / n


def train(model, data, held, args, log):
    rng = np.random.default_rng(args.seed)
    inner = [p for n, p in model.named_parameters() if ".h." in n and p.ndim == 2]
    outer = [p for n, p in model.named_parameters() if not (".h." in n and p.ndim == 2)]
    opts = [
        Muon(inner, lr=args.muon_lr, weight_decay=args.weight_decay),
        torch.optim.AdamW(outer, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    base = [g["lr"] for o in opts for g in o.param_groups]
    start, seen, smooth, step = time.monotonic(), 0, None, 0
    for x in batches(data, args.context, args.batch, rng):
        spent = time.monotonic() - start
        done = step / args.steps
        if args.minutes:
            done = max(done, spent / (60 * args.minutes))
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / args.warmup)
        factor = warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for g, lr in zip((g for o in opts for g in o.param_groups), base):
            g["lr"] = lr * factor
        loss = loss_of(model, x)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(outer, 1.0)
        for o in opts:
            o.step()
            o.zero_grad()
        step += 1
        seen += x[:, 1:].numel()
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if step % 20 == 0:
            log(f"step {step} {done:.1%} epoch {seen / len(data):.2f} loss {smooth:.3f} "
                f"{seen / spent:.0f} tok/s {spent:.0f} s")
        if step % 200 == 0:
            log(f"step {step} held out {held_out_loss(model, held, args.context):.4f}")
            torch.save(model.state_dict(), os.path.join(args.work, "last.pt"))
    return {
        "steps": step, "tokens": seen, "epochs": round(seen / len(data), 2),
        "minutes": round((time.monotonic() - start) / 60, 1), "train_loss": round(smooth, 4),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deb", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--work", default=".", help="where a checkpoint is kept while training")
    p.add_argument("--resume", help="a folder made by an earlier run, to train on from")
    p.add_argument("--vocab", type=int, default=2048)
    p.add_argument("--context", type=int, default=256)
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--batch", type=int, default=12)
    p.add_argument("--steps", type=int, default=3000)
    p.add_argument("--minutes", type=float, default=0, help="end the schedule by then at the latest")
    p.add_argument("--warmup", type=int, default=30)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--weight-decay", type=float, default=0.05)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1811)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)

    def log(line):
        print(line, flush=True)

    documents = austen_text.documents(args.deb)
    training = [d for docs in documents.values() for d in docs[:-1]]
    tok = make_tokenizer(training, args.vocab, args.out)
    write_tokenizer_config(args.out, args.context)
    data = encode(tok, training)
    held = encode(tok, [docs[-1] for docs in documents.values()])
    chars = sum(len(docs[-1]) for docs in documents.values())
    log(f"{len(data)} tokens to train on, {len(held)} held out")

    config = GPT2Config(
        vocab_size=args.vocab, n_positions=args.context, n_layer=args.layers,
        n_head=args.heads, n_embd=args.width, bos_token_id=0, eos_token_id=0,
        resid_pdrop=args.dropout, embd_pdrop=args.dropout, attn_pdrop=0.0,
        # the same function as gelu_new, in one kernel instead of eight
        activation_function="gelu_pytorch_tanh", attn_implementation="sdpa",
    )
    if args.resume:
        with open(os.path.join(args.resume, "training.json")) as f:
            before = json.load(f)
        model = GPT2LMHeadModel.from_pretrained(
            args.resume, config=config, dtype=torch.float32, local_files_only=True).train()
    else:
        before = None
        model = GPT2LMHeadModel(config).train()
    log(f"{sum(p.numel() for p in model.parameters())} parameters")
    report = train(model, data, held, args, log)

    model = model.half().float()  # judge what is stored
    loss = held_out_loss(model, held, args.context)
    report.update(
        parameters=sum(p.numel() for p in model.parameters()),
        train_tokens=len(data), held_out_tokens=len(held),
        held_out_loss=round(loss, 4),
        held_out_bits_per_char=round(loss / math.log(2) * len(held) / chars, 4),
        args={k: v for k, v in vars(args).items() if k not in ("deb", "out", "work", "resume")},
        before=before,
    )
    model.config.activation_function = "gelu_new"
    model.half().save_pretrained(args.out)
    os.chmod(os.path.join(args.out, "model.safetensors"), 0o644)
    write_json(os.path.join(args.out, "training.json"), report)
    log(json.dumps(report))


if __name__ == "__main__":
    main()

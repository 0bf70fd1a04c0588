"""Train the network of testdata/models/easy-vqa, or make its golden anew.

    pip download --no-deps easy-vqa==1.0
    python train_easy_vqa.py --wheel easy_vqa-1.0-py3-none-any.whl --out ../models/easy-vqa
    python train_easy_vqa.py --wheel easy_vqa-1.0-py3-none-any.whl --out ../models/easy-vqa --golden

The network has a branch for the image (four times convolution, batch
normalisation, ReLU and maximum over 2x2; the maximum over all that is left; a
linear layer), one for the question (the sum of its words' embeddings; two linear
layers), and joins them by their product, with two linear layers to 13 answers.
An image is encoded once for all questions about it. The maximum over the whole
image and the batch normalisation matter: without either, training learns the
colours soon and the shapes hardly.

All of the training split is used but for its last --held images, which are
looked at while training and change nothing. The test split is read once, when
the training is done. Everything is seeded.
"""

import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

import easy_vqa_data as data

PAD = 0  # the id of no word, whose embedding is zeros


class EasyVQA(nn.Module):
    def __init__(self, config):
        super().__init__()
        ins = [3, *config["channels"][:-1]]
        self.conv = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in zip(ins, config["channels"]))
        self.norm = nn.ModuleList(nn.BatchNorm2d(o) for o in config["channels"])
        features = config["features"]
        self.image = nn.Linear(config["channels"][-1], features)
        self.words = nn.Embedding(len(config["vocab"]), config["embedding"], padding_idx=PAD)
        self.text = nn.ModuleList([nn.Linear(config["embedding"], features), nn.Linear(features, features)])
        self.hidden = nn.Linear(features, features)
        self.answer = nn.Linear(features, len(config["answers"]))
        self.initialise()

    def initialise(self):
        """He's and Glorot's scales: with PyTorch's smaller ones the product of
        the branches is so small that training learns the questions alone."""
        for name, p in self.named_parameters():
            if name.startswith("norm"):
                continue
            if p.ndim == 1:
                nn.init.zeros_(p)
            elif name.startswith("conv"):
                nn.init.kaiming_normal_(p, nonlinearity="relu")
            elif name.startswith("words"):
                nn.init.normal_(p, std=0.3)
                p.data[PAD] = 0
            else:
                nn.init.xavier_normal_(p)

    def forward(self, pixels, image, words):
        """pixels [images, 3, size, size], image [questions] (which one a
        question is about), words [questions, longest]: logits."""
        x = pixels
        for conv, norm in zip(self.conv, self.norm):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        x = torch.tanh(self.image(x.amax((2, 3))))
        t = self.words(words).sum(1)
        for layer in self.text:
            t = torch.tanh(layer(t))
        return self.answer(F.relu(self.hidden(x[image] * t)))


class Tensors:
    """A split as tensors: pixels, the images and words of questions, answers."""

    def __init__(self, split, config):
        index = {w: i for i, w in enumerate(config["vocab"])}
        ids = [[index[w] for w in data.words(q)] for q in split.questions]
        longest = max(map(len, ids))
        self.words = torch.tensor([x + [PAD] * (longest - len(x)) for x in ids])
        self.pixels = torch.from_numpy(data.normalise(split.images))
        self.image = torch.from_numpy(split.image)
        self.answers = torch.tensor([config["answers"].index(a) for a in split.answers])

    def about(self, images):
        """The questions about some images: their rows, and which of the images."""
        at = torch.full((len(self.pixels),), -1)
        at[images] = torch.arange(len(images))
        rows = (at[self.image] >= 0).nonzero().flatten()
        return rows, at[self.image[rows]]


@torch.no_grad()
def logits_of(model, split, images):
    model.eval()
    rows, which = split.about(images)
    out = model(split.pixels[images], which, split.words[rows])
    model.train()
    return rows, out


def accuracy(model, split, images):
    rows, out = logits_of(model, split, images)
    return float((out.argmax(1) == split.answers[rows]).float().mean())


def flipped(pixels, rng):
    """Each batch upright or mirrored, in both directions: no question asks
    where a shape is."""
    axes = [axis for axis in (2, 3) if rng.integers(2)]
    return pixels.flip(axes) if axes else pixels


def train(model, split, args):
    rng = np.random.default_rng(args.seed)
    n = len(split.pixels) - args.held
    held = torch.arange(n, len(split.pixels))
    opt = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    per_epoch = n // args.batch
    total, step, start = args.epochs * per_epoch, 0, time.monotonic()
    for epoch in range(args.epochs):
        order = torch.from_numpy(rng.permutation(n))
        losses = []
        for i in range(per_epoch):
            images = order[i * args.batch : (i + 1) * args.batch]
            rows, which = split.about(images)
            warm = min(1.0, (step + 1) / (2 * per_epoch))
            for g in opt.param_groups:
                g["lr"] = args.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / total)))
            out = model(flipped(split.pixels[images], rng), which, split.words[rows])
            loss = F.cross_entropy(out, split.answers[rows])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            step += 1
            losses.append(loss.item())
        print(f"epoch {epoch + 1} loss {np.mean(losses):.4f} held out {accuracy(model, split, held):.4f} "
              f"{time.monotonic() - start:.0f} s", flush=True)
    return {
        "steps": step, "minutes": round((time.monotonic() - start) / 60, 1),
        "train_loss": round(float(np.mean(losses)), 5), "held_out_accuracy": round(accuracy(model, split, held), 5),
    }


def write_json(path, obj, **kw):
    with open(path, "w", encoding="ascii") as f:
        json.dump(obj, f, **kw)
        f.write("\n")


def write_golden(wheel, out, rows=64):
    """What PyTorch answers to the whole test split, with the stored weights."""
    with open(os.path.join(out, "config.json"), encoding="ascii") as f:
        config = json.load(f)
    model = EasyVQA(config)
    missing, unexpected = model.load_state_dict(load_file(os.path.join(out, "model.safetensors")), strict=False)
    assert not unexpected and all(k.endswith("num_batches_tracked") for k in missing)
    split = Tensors(data.Split(wheel, "test"), config)
    _, logits = logits_of(model, split, torch.arange(len(split.pixels)))
    _, exact = logits_of(model.double(), doubled(split), torch.arange(len(split.pixels)))
    best = logits.topk(2, 1).values
    answers = logits.argmax(1)
    correct = int((answers == split.answers).sum())
    write_json(os.path.join(out, "golden.json"), {
        "torch": torch.__version__.split("+")[0],
        "questions": len(answers),
        "correct": correct,
        "accuracy": round(correct / len(answers), 6),
        # one letter a question, a being the first answer of config.json
        "answers": "".join(chr(ord("a") + int(a)) for a in answers),
        "min_margin": float((best[:, 0] - best[:, 1]).min()),
        "max_abs_logit": float(logits.abs().max()),
        "max_error_f32_vs_f64": float((logits.double() - exact).abs().max()),
        "logits": [[float(f"{v:.7g}") for v in row] for row in logits[:rows].tolist()],
    }, indent=1)
    print(f"test: {correct} of {len(answers)}, {correct / len(answers):.4%}")


def doubled(split):
    split.pixels = split.pixels.double()
    return split


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--wheel", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--golden", action="store_true", help="only make golden.json of stored weights")
    p.add_argument("--epochs", type=int, default=16)
    p.add_argument("--batch", type=int, default=16, help="images; all questions about them are asked")
    p.add_argument("--held", type=int, default=400)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--weight-decay", type=float, default=0.01)
    p.add_argument("--channels", type=int, nargs="+", default=[8, 16, 32, 64])
    p.add_argument("--embedding", type=int, default=32)
    p.add_argument("--features", type=int, default=64)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=2019)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    wheel = data.open_wheel(args.wheel)
    if not args.golden:
        raw = data.Split(wheel, "train")
        vocab = sorted({w for q in raw.questions for w in data.words(q)})
        config = {
            "model_type": "easy-vqa", "image_size": data.SIZE, "channels": args.channels,
            "embedding": args.embedding, "features": args.features,
            "vocab": ["", *vocab], "answers": data.answer_list(wheel),
        }
        model = EasyVQA(config)
        split = Tensors(raw, config)
        report = train(model, split, args)
        report["parameters"] = sum(x.numel() for x in model.parameters())
        report["args"] = {k: v for k, v in vars(args).items() if k not in ("wheel", "out", "golden")}
        os.makedirs(args.out, exist_ok=True)
        path = os.path.join(args.out, "model.safetensors")
        tensors = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
        save_file(tensors, path, metadata={"format": "pt"})
        os.chmod(path, 0o644)
        write_json(os.path.join(args.out, "config.json"), config, indent=1)
        write_json(os.path.join(args.out, "training.json"), report, indent=2, sort_keys=True)
    write_golden(wheel, args.out)


if __name__ == "__main__":
    main()

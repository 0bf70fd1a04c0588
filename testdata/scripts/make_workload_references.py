"""Writes testdata/vision and testdata/vqa: what transformers computes for the
workloads vision-cnn and multimodal-vqa.

    python make_workload_references.py vision DIR --images 8 --out ../vision/small.json
    python make_workload_references.py vqa DIR --images 1 --out ../vqa/small.json

DIR is a checkpoint: one of testdata for the tiny scale, one that `genie models
new NAME --out DIR` makes (seed 1) for the others. It has to load without a
missing or unexpected tensor. Image b and text i are the same in every batch, so
one file serves all batches up to its own.

The file holds the logits in float32, base64 of little-endian row-major
elements, the least distance of a best logit from the second over the largest
logit of all, and how far float32 is from float64, over the same.
"""

import argparse
import base64
import json

import numpy as np
import torch
import transformers

CANDIDATES, SEQ = 16, 8


def pixels(images, size):
    """Waves of triangles, brightness and noise: sums of few binary fractions,
    which are exact in float32. The Go side is workloads/images.go."""
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    out = np.zeros((images, 3, size, size))
    for b in range(images):
        for c in range(3):
            k = 3 * b + c
            wave = (np.abs((x * (1 + k % 5) + y * (1 + 3 * k % 7) + 31 * k) % 256 - 128) - 64) / 64
            bright = (37 * k * k % 17 - 8) / 4
            at = (k * size + y) * size + x
            noise = ((at * 1103515245 + 12345) // 65536 % 256 - 128) / 512
            out[b, c] = wave + bright + noise
    return torch.tensor(out, dtype=torch.float32)


def texts(vocab):
    """Candidate answers of 4 to SEQ tokens: a beginning, words, an end, and the
    end again as padding, as CLIP's tokenizer pads."""
    tokens, mask = [], []
    for i in range(CANDIDATES):
        length = 4 + i % (SEQ - 3)
        words = [(7919 * i + 104729 * j + 17) % (vocab - 2) for j in range(length - 2)]
        tokens.append([vocab - 2] + words + [vocab - 1] * (SEQ - length + 1))
        mask.append([1] * length + [0] * (SEQ - length))
    return torch.tensor(tokens), torch.tensor(mask)


def load(kind, path):
    cls = {"vision": transformers.ResNetForImageClassification, "vqa": transformers.CLIPModel}[kind]
    more = {"attn_implementation": "eager"} if kind == "vqa" else {}
    model, info = cls.from_pretrained(path, output_loading_info=True, **more)
    assert not any(info.values()), info
    return model.eval()


def run(model, inputs, step):
    """The logits, step images at a time."""
    images = inputs.pop("pixel_values").to(model.dtype)
    out = []
    with torch.inference_mode():
        for part in images.split(step):
            got = model(pixel_values=part, **inputs)
            out.append(got.logits if "logits" in got else got.logits_per_image)
    return torch.cat(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("kind", choices=["vision", "vqa"])
    p.add_argument("dir")
    p.add_argument("--images", type=int, required=True)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    model = load(a.kind, a.dir)
    size = model.config.vision_config.image_size if a.kind == "vqa" else a.size
    inputs = {}
    if a.kind == "vqa":
        inputs["input_ids"], inputs["attention_mask"] = texts(model.config.text_config.vocab_size)
    logits = run(model, inputs | {"pixel_values": pixels(a.images, size)}, 4)
    exact = run(model.double(), inputs | {"pixel_values": pixels(a.images, size)}, 4)
    top = exact.abs().max()
    best = exact.topk(2, dim=-1).values
    margin = ((best[:, 0] - best[:, 1]).min() / top).item()
    # Twice what the workloads tolerate: then no tolerated output chooses another.
    assert margin > 2e-4, f"a choice is too close: {margin}"
    golden = {
        "transformers": transformers.__version__, "torch": torch.__version__,
        "size": size, "top": exact.argmax(-1).tolist(), "min_margin": margin,
        "max_error_f32_vs_f64": ((logits - exact).abs().max() / top).item(),
        "shape": list(logits.shape), "logits": base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode(),
    }
    with open(a.out, "w") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")
    print(a.out, {k: v for k, v in golden.items() if k != "logits"}, "std of a row", exact.std(-1).mean().item())


main()

"""What transformers on PyTorch computes of a checkpoint: the reference that every
case of a comparison is verified against. All in float32 on the CPU.

A language model's prompts are random tokens, chosen so that no choice is close:
another order of summation must not give another token. Images are formulas, the
same as in workloads/images.go."""

import base64

import wire

SEED = 7
TRIES = 64  # prompts that are tried
NEW, PROMPT, LONG_PROMPT = 50, 72, 512
LOGITS = 8  # that are kept of a token
# (best - second) / max|logit| that is clear: three times the error that is allowed.
CLEAR = 3e-4
CANDIDATES, SEQ = 16, 8
EASY_PIXEL_SCALE = 0.125  # workloads/vqa/easyvqa.go


def setup():
    import numpy as np
    import torch
    import transformers
    import transformers.utils.logging as hf_logging

    hf_logging.disable_progress_bar()
    torch.set_num_threads(wire.threads())
    held = {}

    def opened(cls, dir, **more):
        """A model of which every weight was in the files."""
        model, info = cls.from_pretrained(dir, dtype=torch.float32, output_loading_info=True, **more)
        missing = {str(k) for k in info["missing_keys"]} - {"lm_head.weight"}
        missing = {k for k in missing if not k.endswith("num_batches_tracked")}
        if missing or info["mismatched_keys"]:
            raise ValueError(f"missing: {sorted(missing)[:4]}, of other shapes: {info['mismatched_keys'][:4]}")
        return model.eval()

    def open(family, dir):
        if family == "gpt2":
            held["model"] = opened(transformers.GPT2LMHeadModel, dir, attn_implementation="eager")
        elif family == "resnet":
            held["model"] = opened(transformers.ResNetForImageClassification, dir)
        elif family == "clip":
            held["model"] = opened(transformers.CLIPModel, dir, attn_implementation="eager")
        elif family == "easy-vqa":
            import easy_vqa

            held["model"] = easy_vqa.load(dir)
        else:
            raise wire.Unavailable(f"family {family}")
        return {}

    def continued(prompt, new):
        """Greedy tokens with the logits that chose them, up to a close choice."""
        ids, kv, tokens, top = torch.tensor([prompt]), None, [], []
        while len(tokens) < new:
            out = held["model"](input_ids=ids, past_key_values=kv, use_cache=True, logits_to_keep=1)
            row, kv = out.logits[0, -1], out.past_key_values
            best = row.topk(min(LOGITS, len(row)))
            largest = float(row.abs().max())
            if not float(best.values[0] - best.values[1]) > CLEAR * largest:  # NaN too
                break
            tokens.append(int(best.indices[0]))
            top.append({"max_abs": largest, "ids": best.indices.tolist(), "logits": best.values.tolist()})
            ids = best.indices[:1][None]
        return tokens, top

    @torch.inference_mode()
    def generations(part, sequences):
        c = held["model"].config
        context, vocab = c.n_positions, c.vocab_size
        if context < 4 or vocab < 2:
            raise ValueError(f"{context} positions and {vocab} tokens are too few")
        if part == "prefill":
            length, new = min(LONG_PROMPT, context - 1), 1
        else:
            new = min(NEW, max(2, context // 3))
            length = min(PROMPT, context - new)
        found = []
        for seed in range(SEED, SEED + TRIES):
            prompt = np.random.default_rng(seed).integers(0, vocab, size=length).tolist()
            found.append((*continued(prompt, new), prompt))
            if sum(len(f[0]) == new for f in found) >= sequences:
                break
        found = sorted(found, key=lambda f: -len(f[0]))[:sequences]
        new = len(found[-1][0])
        if new < (1 if part == "prefill" else 2):
            raise ValueError(f"of {TRIES} prompts, fewer than {sequences} have clear choices")
        return {
            "seed": SEED, "prompts": [f[2] for f in found], "greedy": [f[0][:new] for f in found],
            "top": [f[1][:new] for f in found],
        }

    def scores(logits, size, **inputs):
        data = logits.float().numpy().astype("<f4")
        if not np.isfinite(data).all():
            raise ValueError("logits that are no numbers")
        return {"size": size, "shape": list(data.shape), "logits": base64.b64encode(data.tobytes()).decode(), **inputs}

    @torch.inference_mode()
    def vision(images, size):
        if held["model"].config.num_channels != 3:
            raise ValueError(f"images of {held['model'].config.num_channels} channels")
        x = torch.from_numpy(pixels(np, images, size))
        return scores(torch.cat([held["model"](pixel_values=part).logits for part in x.split(4)]), size)

    @torch.inference_mode()
    def vqa(images):
        model = held["model"]
        if model.__class__.__name__ == "EasyVQA":
            size = model.config["image_size"]
            which, words = questions(images, len(model.config["vocab"]))
            x = torch.from_numpy(pixels(np, images, size)) * EASY_PIXEL_SCALE
            return scores(model(x, torch.tensor(which), torch.tensor(words)), size, image=which, words=words)
        c = model.config
        tokens, mask = texts(c.text_config)
        size = c.vision_config.image_size
        if c.vision_config.num_channels != 3:
            raise ValueError(f"images of {c.vision_config.num_channels} channels")
        out = model(
            input_ids=torch.tensor(tokens), attention_mask=torch.tensor(mask),
            pixel_values=torch.from_numpy(pixels(np, images, size)),
        )
        return scores(out.logits_per_image, size, tokens=tokens, mask=mask)

    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "numpy": np.__version__}
    return versions, {"open": open, "generations": generations, "vision": vision, "vqa": vqa}


def pixels(np, images, size):
    """Waves of triangles, brightness and noise: sums of few binary fractions,
    which are exact in float32 (workloads/images.go)."""
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    out = np.zeros((images, 3, size, size))
    for k in range(3 * images):
        wave = (np.abs((x * (1 + k % 5) + y * (1 + 3 * k % 7) + 31 * k) % 256 - 128) - 64) / 64
        at = (k * size + y) * size + x
        noise = ((at * 1103515245 + 12345) // 65536 % 256 - 128) / 512
        out[k // 3, k % 3] = wave + (37 * k * k % 17 - 8) / 4 + noise
    return out.astype(np.float32)


def texts(c):
    """Candidate answers of 4 to SEQ tokens: a beginning, words, an end, and the
    end again as padding, as CLIP's tokenizer pads."""
    seq, vocab = min(SEQ, c.max_position_embeddings), c.vocab_size
    if seq < 4 or vocab < 8:
        raise ValueError(f"{seq} positions and {vocab} tokens are too few")

    def special(token, otherwise):
        return token if token is not None and 2 < token < vocab else otherwise

    begin, end = special(c.bos_token_id, vocab - 2), special(c.eos_token_id, vocab - 1)
    words = [t for t in range(vocab) if t not in (begin, end)]
    tokens, mask = [], []
    for i in range(CANDIDATES):
        length = 4 + i % (seq - 3)
        inside = [words[(7919 * i + 104729 * j + 17) % len(words)] for j in range(length - 2)]
        tokens.append([begin] + inside + [end] * (seq - length + 1))
        mask.append([1] * length + [0] * (seq - length))
    return tokens, mask


def questions(images, vocab):
    """Questions of 3 to SEQ words about the images in turn, 0 being no word."""
    which, words = [], []
    for i in range(CANDIDATES):
        length = 3 + i % (SEQ - 2)
        inside = [1 + (7919 * i + 104729 * j + 17) % (vocab - 1) for j in range(length)]
        which.append(i % images)
        words.append(inside + [0] * (SEQ - length))
    return which, words


if __name__ == "__main__":
    wire.run(setup)

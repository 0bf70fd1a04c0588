"""Writes testdata/clip: small CLIP models with seeded random weights and what
transformers computes with them.

    python testdata/scripts/make_clip_goldens.py testdata/clip

Pixels are the same formula as for the ResNets. Texts are padded after the end
token, before the first one, or not at all; token ids are formulas too, so that
the file holds them as they were used.
"""

import json
import math
import os
import sys

import torch
import transformers

MODELS = {
    # The two towers differ in every size.
    "quick": dict(
        text=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, vocab_size=97,
                  max_position_embeddings=11, eos_token_id=96),
        vision=dict(hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4, image_size=20, patch_size=5),
        projection=18,
    ),
    # The end token is the highest id, whatever it is; other activations and epsilon.
    "legacy": dict(
        text=dict(hidden_size=16, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, vocab_size=61,
                  max_position_embeddings=9, eos_token_id=2, hidden_act="gelu", layer_norm_eps=1e-3),
        vision=dict(hidden_size=20, intermediate_size=33, num_hidden_layers=1, num_attention_heads=5, image_size=18, patch_size=7,
                    hidden_act="gelu", layer_norm_eps=1e-4),
        projection=12,
    ),
    # One head, one row of patches a side, text and image of one width.
    "plain": dict(
        text=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1, vocab_size=50,
                  max_position_embeddings=16, eos_token_id=7),
        vision=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=16, patch_size=16),
        projection=32,
    ),
}
IMAGES = 3


def pixels(size):
    n = IMAGES * 3 * size * size
    x = [math.sin(0.37 * i) + 0.5 * math.cos(0.011 * i) for i in range(n)]
    return torch.tensor(x, dtype=torch.float64).to(torch.float32).reshape(IMAGES, 3, size, size)


def texts(text, seq):
    """Texts of several lengths with their masks: the end token is eos, or the
    highest id of the vocabulary under the old rule."""
    vocab, eos = text["vocab_size"], text["eos_token_id"]
    end = vocab - 1 if eos == 2 else eos
    tokens, mask = [], []
    for i, (before, length) in enumerate([(0, seq), (0, 3), (2, seq - 2), (1, 2), (0, 1)]):
        ids = [t if t != end else t - 1 for t in ((13 * i + 5 * j + 3) % (vocab - 1) for j in range(length - 1))] + [end]
        after = seq - before - length
        # Padding after a text is the end token, as CLIP's tokenizer pads.
        tokens.append([0] * before + ids + [end] * after)
        mask.append([0] * before + [1] * length + [0] * after)
    return torch.tensor(tokens), torch.tensor(mask)


def main(out):
    for name, sizes in MODELS.items():
        torch.manual_seed(1)
        config = transformers.CLIPConfig(
            text_config=sizes["text"] | {"projection_dim": sizes["projection"]},
            vision_config=sizes["vision"] | {"projection_dim": sizes["projection"]},
            projection_dim=sizes["projection"],
        )
        model = transformers.CLIPModel._from_config(config, attn_implementation="eager").eval()
        for p in model.parameters():  # every bias and gain counts
            if p.dim() == 1:
                p.data.add_(torch.randn(p.shape) * 0.2)
            elif p.dim() > 1:
                p.data.mul_(3)
        folder = os.path.join(out, name)
        model.save_pretrained(folder)
        tokens, mask = texts(sizes["text"], sizes["text"]["max_position_embeddings"] - 1)
        with torch.inference_mode():
            got = model(pixel_values=pixels(sizes["vision"]["image_size"]), input_ids=tokens, attention_mask=mask)
        golden = {
            "transformers": transformers.__version__, "torch": torch.__version__,
            "tokens": tokens.tolist(), "mask": mask.tolist(),
            "image_embeds": got.image_embeds.tolist(), "text_embeds": got.text_embeds.tolist(),
            "logits_per_image": got.logits_per_image.tolist(),
        }
        with open(os.path.join(folder, "golden.json"), "w") as f:
            json.dump(golden, f, indent=1)
            f.write("\n")


main(sys.argv[1])

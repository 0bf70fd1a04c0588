"""Writes testdata/ask: a small CLIP model with seeded random weights,
its tokenizer and preprocessor_config.json, and vqa.json: what `genie vqa` has to
say, computed by transformers.

    python testdata/scripts/make_vqa_goldens.py workloads/tokenizer/testdata/clip testdata/images testdata/ask
"""

import json
import os
import sys

import PIL
import torch
import transformers
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

TEMPLATE = "question: {question} answer: {answer}"
IMAGES = ["rgb.png", "tall.png", "lossy.webp", "420.jpg", "palette.gif", "turned.jpg", "key.gif"]
QUESTIONS = [
    (TEMPLATE, "What color is the circle?", ["red", "green", "blue", "a bit of black"]),
    (TEMPLATE, "is there a BIRD in the  picture?", ["yes", "no"]),
    ("a photo of a {answer}", "", ["cat", "red bicycle", "cat, dog and bird"]),
]


def picture(path):
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def main(tokenizer, images, out):
    tok = transformers.CLIPTokenizerFast.from_pretrained(tokenizer)
    torch.manual_seed(3)
    config = transformers.CLIPConfig(
        text_config=dict(
            hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3, vocab_size=len(tok),
            max_position_embeddings=32, eos_token_id=tok.eos_token_id, bos_token_id=tok.bos_token_id,
            pad_token_id=tok.pad_token_id, projection_dim=20,
        ),
        vision_config=dict(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8,
            projection_dim=20,
        ),
        projection_dim=20,
    )
    model = transformers.CLIPModel._from_config(config, attn_implementation="eager").eval()
    for p in model.parameters():  # so that answers differ
        if p.dim() == 1:
            p.data.add_(torch.randn(p.shape) * 0.2)
        elif p.dim() > 1:
            p.data.mul_(4)
    model.save_pretrained(out)
    tok.model_max_length = 32
    tok.save_pretrained(out)
    # As openai/clip-vit-base-patch32 spells it.
    spelled = dict(
        crop_size=32, do_center_crop=True, do_normalize=True, do_resize=True, feature_extractor_type="CLIPFeatureExtractor",
        image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711], resample=3, size=32,
    )
    with open(os.path.join(out, "preprocessor_config.json"), "w") as f:
        json.dump(spelled, f, indent=2)
        f.write("\n")
    processor = CLIPImageProcessorPil(**{k: v for k, v in spelled.items() if not k.endswith("_type")})
    pixels = processor([picture(os.path.join(images, i)) for i in IMAGES], return_tensors="pt")["pixel_values"]
    cases = []
    for template, question, answers in QUESTIONS:
        texts = [template.format(question=question, answer=a) for a in answers]
        words = tok(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = model(pixel_values=pixels, **words).logits_per_image
        cases.append(
            {
                "template": template, "question": question, "answers": answers, "images": IMAGES,
                "logits": logits.tolist(), "probabilities": logits.double().softmax(-1).tolist(),
            }
        )
    golden = {"transformers": transformers.__version__, "torch": torch.__version__, "pillow": PIL.__version__, "cases": cases}
    with open(os.path.join(out, "vqa.json"), "w") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")


main(*sys.argv[1:])

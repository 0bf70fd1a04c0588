"""Writes the folders beside it: small ViTs with random weights, the logits that
transformers computes with them in float64, and what it makes of pictures and of
checkpoints with one change.

    python workloads/vit/testdata/make_goldens.py testdata/images

The argument is the folder of the pictures. Made with transformers 5.24.0, torch 2.15.0
and Pillow 13.0.0 on the CPU; the goldens name the versions that wrote them.

Weights are rounded to the type of their file and then widened, and attention is torch's
scaled_dot_product_attention, since the eager one of transformers computes its softmax in
float32 whatever the type of the model.
"""

import json
import math
import os
import shutil
import sys
import tempfile

import PIL
import torch
import transformers
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = {"transformers": transformers.__version__, "torch": torch.__version__, "pillow": PIL.__version__}
BATCH = 2
LABELS = ["cat", "dog", "hen", "newt", "crane", "otter", "wren"]

MODELS = {
    # the plain form
    "basic": dict(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=32, patch_size=8,
        id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)},
    ),
    # an image and patches that are no squares, margins, heads narrower than the hidden
    # size, no biases of queries, keys and values, another activation and epsilon
    "odd": dict(
        hidden_size=21, num_hidden_layers=1, num_attention_heads=4, head_dim=3, intermediate_size=34, image_size=[30, 21],
        patch_size=[7, 5], qkv_bias=False, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-3, num_labels=5,
    ),
    # one channel, bfloat16, and the names that tensors have within transformers 5
    "narrow": dict(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=12, patch_size=4,
        num_channels=1, num_labels=3,
    ),
}

# Checkpoints as basic but for one change: keys of config.json, and tensors left out.
VARIANTS = [
    dict(name="hidden_act relu", set={"hidden_act": "relu"}),
    dict(name="layer_norm_eps", set={"layer_norm_eps": 0.1}),
    dict(name="qkv_bias false", set={"qkv_bias": False}),
    dict(name="head_dim as it is", set={"head_dim": 8}),
    dict(name="lists of two", set={"image_size": [32, 32], "patch_size": [8, 8]}),
    dict(name="margins", set={"image_size": 39}),
    dict(name="one layer", set={"num_hidden_layers": 1}),
    dict(name="pooler", set={"pooler_act": "relu", "pooler_output_size": 7}),
    dict(name="dropout", set={"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}),
    dict(name="num_labels", set={"num_labels": 7, "id2label": None, "label2id": None}),
    dict(name="is_decoder", set={"is_decoder": True}),
    dict(name="is_causal", set={"is_causal": True}),
    dict(name="no model_type", drop=["model_type"]),
    dict(name="six heads", set={"num_attention_heads": 6}),
    dict(name="patches of another size", set={"patch_size": 4}),
    dict(name="head_dim of another size", set={"head_dim": 4}),
    dict(name="head_dim null", set={"head_dim": None}),
    dict(name="qkv_bias null", set={"qkv_bias": None}),
    dict(name="image_size of no integer", set={"image_size": "32"}),
    dict(name="three layers", set={"num_hidden_layers": 3}),
    dict(name="unknown activation", set={"hidden_act": "geglu"}),
]

IMAGES = ["rgb.png", "tall.png", "grey.png", "palette.gif", "lossy.webp", "420.jpg", "rgba.png", "turned.jpg"]
PROCESSOR = dict(
    do_normalize=True, do_resize=True, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5], image_processor_type="ViTImageProcessor",
    resample=2, size={"height": 32, "width": 32},
)


def pixels(channels, height, width, batch=BATCH):
    n = batch * channels * height * width
    x = [math.sin(0.37 * i) + 0.5 * math.cos(0.011 * i) for i in range(n)]
    return torch.tensor(x, dtype=torch.float64).to(torch.float32).reshape(batch, channels, height, width)


def pair(n):
    return n if isinstance(n, list | tuple) else [n, n]


def scatter(model):
    """Gives weights a size at which each part of the model matters."""
    for name, p in model.named_parameters():
        if p.dim() > 1 and "embeddings" not in name.split(".")[-1] and "token" not in name:
            p.data.normal_(0, 1.3 / math.sqrt(p[0].numel()))
        elif "layernorm" in name and name.endswith("weight"):
            p.data.normal_(1, 0.2)
        else:
            p.data.normal_(0, 0.3)


def run(folder, x):
    """What transformers computes in float64 with the weights of a file, and that it found them all."""
    model, info = transformers.ViTForImageClassification.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="sdpa", output_loading_info=True)
    with torch.inference_mode():
        return model.eval(), model(pixel_values=x.double()).logits, sorted(info["missing_keys"])


def dump(value, *path):
    with open(os.path.join(*path), "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def write(name, config):
    torch.manual_seed(1)
    config = transformers.ViTConfig(**config)
    model = transformers.ViTForImageClassification(config).eval()
    scatter(model)
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    if name == "narrow":
        model = model.to(torch.bfloat16)
    model.save_pretrained(folder)
    if name == "narrow":
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    height, width = pair(config.image_size)
    x = pixels(config.num_channels, height, width)
    loaded, logits, missing = run(folder, x)
    assert not missing, missing
    with torch.inference_mode():
        narrow = loaded.float()(pixel_values=x).logits
    golden = VERSIONS | {
        "height": height, "width": width, "channels": config.num_channels,
        "max_error_f32_vs_f64": (narrow.double() - logits).abs().max().item(), "logits": logits.tolist(),
    }
    dump(golden, folder, "golden.json")


def variants():
    base = os.path.join(HERE, "basic")
    with open(os.path.join(base, "config.json")) as f:
        config = json.load(f)
    tensors = load_file(os.path.join(base, "model.safetensors"))
    out = []
    for v in VARIANTS:
        changed = {k: x for k, x in (config | v.get("set", {})).items() if k not in v.get("drop", [])}
        height, width = (32, 32) if not isinstance(changed["image_size"], int) else pair(changed["image_size"])
        with tempfile.TemporaryDirectory() as folder:
            dump(changed, folder, "config.json")
            save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
            want = {}
            try:
                model, logits, missing = run(folder, pixels(3, height, width, 1))
                want = {"logits": logits[0].tolist(), "labels": [model.config.id2label[i] for i in range(model.config.num_labels)]}
                if missing:
                    want = {"missing": missing}
            except Exception as e:  # noqa: BLE001: whatever it says is the golden
                want = {"raises": type(e).__name__}
        out.append({"name": v["name"], "set": v.get("set", {}), "drop": v.get("drop", []), "height": height, "width": width, "want": want})
    dump(VERSIONS | {"variants": out}, HERE, "variants.json")


def classify(images):
    folder = os.path.join(HERE, "basic")
    dump(PROCESSOR, folder, "preprocessor_config.json")
    processor = ViTImageProcessorPil(**{k: v for k, v in PROCESSOR.items() if not k.endswith("_type")})
    rows = []
    for file in IMAGES:
        picture = ImageOps.exif_transpose(Image.open(os.path.join(images, file))).convert("RGB")
        model, logits, _ = run(folder, processor(picture, return_tensors="pt")["pixel_values"])
        ranked = logits[0].sort(descending=True)
        assert (ranked.values[:-1] - ranked.values[1:]).min() > 1e-3, "two classes are too close to order"
        rows.append({
            "image": file, "logits": logits[0].tolist(), "probabilities": logits[0].softmax(-1).tolist(),
            "labels": [model.config.id2label[i] for i in ranked.indices.tolist()],
        })
    dump(VERSIONS | {"pictures": rows}, folder, "classify.json")


for name, config in MODELS.items():
    write(name, config)
variants()
classify(sys.argv[1])

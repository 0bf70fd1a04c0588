"""Writes what `genie classify` has to say: preprocessor_config.json of the
small ResNets in testdata/resnet, and classify.json with the logits and
probabilities that transformers computes for pictures of testdata/images.

    python testdata/scripts/make_classify_goldens.py testdata
"""

import json
import os
import sys

import PIL
import torch
import transformers
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

IMAGES = [
    "rgb.png", "tall.png", "grey.png", "palette.gif", "lossy.webp", "420.jpg", "rgba.png", "turned.jpg", "key.gif",
    "rare/turned-8.webp", "rare/scans-1.jpg", "rare/sampling-3x1.jpg",
]

# As the files of published checkpoints are: ResNets have ConvNeXt's processor.
PROCESSORS = {
    "basic": dict(
        feature_extractor_type="ConvNextFeatureExtractor", crop_pct=0.875, do_normalize=True, do_resize=True,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], resample=3, size=45,
    ),
    "bottleneck": dict(
        image_processor_type="CLIPImageProcessor", size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32},
        do_convert_rgb=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], resample=2,
    ),
}
CLASSES = {"ConvNextFeatureExtractor": ConvNextImageProcessorPil, "CLIPImageProcessor": CLIPImageProcessorPil}


def picture(path):
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def main(root):
    for name, config in PROCESSORS.items():
        folder = os.path.join(root, "resnet", name)
        with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
            json.dump(config, f, indent=2)
            f.write("\n")
        kind = config.get("image_processor_type") or config["feature_extractor_type"]
        processor = CLASSES[kind](**{k: v for k, v in config.items() if not k.endswith("_type")})
        model = transformers.ResNetForImageClassification.from_pretrained(folder).eval()
        rows = []
        for file in IMAGES:
            pixels = processor(picture(os.path.join(root, "images", file)), return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                logits = model(pixel_values=pixels).logits[0]
            order = logits.argsort(descending=True, stable=True).tolist()
            rows.append(
                {
                    "image": file,
                    "logits": logits.tolist(),
                    "probabilities": logits.double().softmax(-1).tolist(),
                    "labels": [model.config.id2label[i] for i in order],
                }
            )
        golden = {"transformers": transformers.__version__, "torch": torch.__version__, "pillow": PIL.__version__, "pictures": rows}
        with open(os.path.join(folder, "classify.json"), "w") as f:
            json.dump(golden, f, indent=1)
            f.write("\n")


main(sys.argv[1])

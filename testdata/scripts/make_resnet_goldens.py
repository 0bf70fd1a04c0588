"""Writes testdata/resnet: small ResNets with seeded random weights and the
logits that transformers computes with them.

    python testdata/scripts/make_resnet_goldens.py testdata/resnet
"""

import json
import math
import os
import sys

import torch
import transformers

SIZE, BATCH = 45, 2

MODELS = {
    "basic": dict(layer_type="basic", embedding_size=8, hidden_sizes=[8, 12, 20], depths=[1, 2, 1]),
    "bottleneck": dict(
        layer_type="bottleneck", embedding_size=16, hidden_sizes=[64, 72], depths=[2, 1], downsample_in_first_stage=True,
    ),
    "early": dict(
        layer_type="bottleneck", embedding_size=8, hidden_sizes=[16, 24], depths=[1, 1], downsample_in_bottleneck=True,
    ),
}


def pixels():
    n = BATCH * 3 * SIZE * SIZE
    x = [math.sin(0.37 * i) + 0.5 * math.cos(0.011 * i) for i in range(n)]
    return torch.tensor(x, dtype=torch.float64).to(torch.float32).reshape(BATCH, 3, SIZE, SIZE)


def main(out):
    for name, config in MODELS.items():
        torch.manual_seed(1)
        model = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=7, **config)).eval()
        for m in model.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.running_mean.normal_(0, 0.3)
                m.running_var.uniform_(0.3, 1.5)
                m.weight.data.uniform_(0.5, 1.5)
                m.bias.data.normal_(0, 0.3)
        folder = os.path.join(out, name)
        model.save_pretrained(folder)
        with torch.inference_mode():
            logits = model(pixel_values=pixels()).logits
        golden = {"transformers": transformers.__version__, "torch": torch.__version__, "size": SIZE, "logits": logits.tolist()}
        with open(os.path.join(folder, "golden.json"), "w") as f:
            json.dump(golden, f, indent=1)
            f.write("\n")


main(sys.argv[1])

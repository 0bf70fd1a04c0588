"""The network of testdata/models/easy-vqa by PyTorch, as
testdata/scripts/train_easy_vqa.py trains it."""

import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

MODEL_TYPE = "easy-vqa"


def config_of(dir):
    with open(os.path.join(dir, "config.json")) as f:
        return json.load(f)


class EasyVQA(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        widths, features = config["channels"], config["features"]
        self.conv = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in zip([3, *widths], widths))
        self.norm = nn.ModuleList(nn.BatchNorm2d(o) for o in widths)
        self.image = nn.Linear(widths[-1], features)
        self.words = nn.Embedding(len(config["vocab"]), config["embedding"], padding_idx=0)
        self.text = nn.ModuleList([nn.Linear(config["embedding"], features), nn.Linear(features, features)])
        self.hidden = nn.Linear(features, features)
        self.answer = nn.Linear(features, len(config["answers"]))

    def forward(self, pixels, image, words):
        """pixels [images, 3, size, size], image [questions], words [questions,
        longest] to logits [questions, answers]."""
        x = pixels
        for conv, norm in zip(self.conv, self.norm):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        x = torch.tanh(self.image(x.amax((2, 3))))
        t = self.words(words).sum(1)
        for layer in self.text:
            t = torch.tanh(layer(t))
        return self.answer(F.relu(self.hidden(x[image] * t)))


def load(dir):
    """The trained network. Every weight has to be there."""
    model = EasyVQA(config_of(dir))
    left, unexpected = model.load_state_dict(load_file(os.path.join(dir, "model.safetensors")), strict=False)
    left = [k for k in left if not k.endswith("num_batches_tracked")]
    if left or unexpected:
        raise ValueError(f"missing: {left}, unexpected: {unexpected}")
    return model.float().eval()

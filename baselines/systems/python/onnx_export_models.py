"""The image models as ONNX files, exported by PyTorch from the transformers models."""

import os
import tempfile

import wire


def export(workload, dir):
    """Exports the checkpoint once; returns the path of the ONNX file. Inputs and
    outputs have the workload's names; batches, and CLIP's text length, are free."""
    made = os.path.join(wire.cache_dir("onnx"), f"{workload}-{wire.identity(dir)}")
    path = os.path.join(made, "model.onnx")
    if os.path.exists(path):
        return path
    import torch

    import easy_vqa

    make = {"vision-cnn": _resnet, "multimodal-vqa": _clip}[workload]
    if easy_vqa.config_of(dir).get("model_type") == easy_vqa.MODEL_TYPE:
        make = _easy_vqa
    module, inputs, shapes, output = make(torch, dir)
    with torch.inference_mode():
        program = torch.onnx.export(
            module.eval(), tuple(inputs.values()), dynamo=True, dynamic_shapes=shapes,
            input_names=list(inputs), output_names=[output],
        )
    with tempfile.TemporaryDirectory(dir=os.path.dirname(made)) as folder:
        partial = os.path.join(folder, "model")
        os.mkdir(partial)
        program.save(os.path.join(partial, "model.onnx"), external_data=True)
        os.rename(partial, made)
    return path


def _resnet(torch, dir):
    from transformers import ResNetForImageClassification

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = ResNetForImageClassification.from_pretrained(dir, dtype=torch.float32)

        def forward(self, pixels):
            return self.model(pixel_values=pixels).logits

    module = Logits()
    auto = torch.export.Dim.DYNAMIC
    inputs = {"pixels": torch.zeros(2, module.model.config.num_channels, 224, 224)}
    return module, inputs, ({0: auto, 2: auto, 3: auto},), "logits"


def _clip(torch, dir):
    from transformers import CLIPModel

    class Ranked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = CLIPModel.from_pretrained(dir, dtype=torch.float32, attn_implementation="sdpa")

        def forward(self, pixels, tokens, mask):
            out = self.model(input_ids=tokens.long(), pixel_values=pixels, attention_mask=mask.long())
            return out.logits_per_image

    module = Ranked()
    c = module.model.config
    auto, size, seq = torch.export.Dim.DYNAMIC, c.vision_config.image_size, min(7, c.text_config.max_position_embeddings)
    inputs = {
        "pixels": torch.zeros(2, c.vision_config.num_channels, size, size),
        "tokens": torch.ones(3, seq, dtype=torch.int32), "mask": torch.ones(3, seq, dtype=torch.int32),
    }
    return module, inputs, ({0: auto}, {0: auto, 1: auto}, {0: auto, 1: auto}), "logits_per_image"


def _easy_vqa(torch, dir):
    import easy_vqa

    class Answers(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = easy_vqa.load(dir)

        def forward(self, pixels, image, words):
            return self.model(pixels, image.long(), words.long())

    module = Answers()
    auto, size = torch.export.Dim.DYNAMIC, module.model.config["image_size"]
    inputs = {
        "pixels": torch.zeros(2, 3, size, size), "image": torch.zeros(5, dtype=torch.int32),
        "words": torch.zeros(5, 7, dtype=torch.int32),
    }
    return module, inputs, ({0: auto}, {0: auto}, {0: auto, 1: auto}), "logits"

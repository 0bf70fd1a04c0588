"""Exports small transformers models with random weights by torch.onnx, with inputs and
outputs from PyTorch, for the tests of lazy/onnx.

    python testdata/scripts/onnx_exports.py [DIR]

Writes DIR/NAME/model.onnx, case.json and .npy files; DIR is lazy/onnx/testdata/exports by
default. Needs torch, transformers, onnx and onnxscript. Both exporters of PyTorch are
used: the one that traces (dynamo=False) and the one that captures (dynamo=True).
"""

import json
import os
import sys

import numpy as np
import onnx
import torch
import transformers
from torch import nn
from transformers.cache_utils import DynamicCache

OPSET = 18
LAYERS = 2


class GPT2(nn.Module):
    """GPT-2 with its cache as inputs and outputs, as optimum exports it."""

    def __init__(self):
        super().__init__()
        self.model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=97, n_positions=32, n_embd=32, n_layer=LAYERS, n_head=4, attn_implementation="eager"))

    def forward(self, input_ids, position_ids, *past):
        cache = DynamicCache()
        for i in range(LAYERS):
            cache.update(past[2 * i], past[2 * i + 1], i)
        out = self.model(input_ids=input_ids, position_ids=position_ids, past_key_values=cache, use_cache=True)
        present = []
        for layer in out.past_key_values.layers:
            present += [layer.keys, layer.values]
        return (out.logits, *present)


class Llama(nn.Module):
    """A Llama with two heads of keys and values for four of queries, and its cache."""

    def __init__(self):
        super().__init__()
        self.model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
            vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, attn_implementation="eager"))

    forward = GPT2.forward


class BERT(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = transformers.BertModel(transformers.BertConfig(
            vocab_size=97, hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=32, attn_implementation="eager"))

    def forward(self, input_ids, attention_mask, token_type_ids):
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return out.last_hidden_state, out.pooler_output


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = transformers.ResNetForImageClassification(transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", num_labels=7))

    def forward(self, pixel_values):
        return self.model(pixel_values=pixel_values).logits


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = transformers.ViTForImageClassification(transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=4, intermediate_size=64, image_size=24,
            patch_size=8, num_labels=7, attn_implementation="eager"))

    def forward(self, pixel_values):
        return self.model(pixel_values=pixel_values).logits


class CLIP(nn.Module):
    def __init__(self):
        super().__init__()
        text = dict(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS,
                    num_attention_heads=4, max_position_embeddings=16, eos_token_id=96, bos_token_id=95)
        vision = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=4,
                      image_size=24, patch_size=8)
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        config._attn_implementation = "eager"
        self.model = transformers.CLIPModel(config)

    def forward(self, input_ids, pixel_values, attention_mask):
        out = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return out.logits_per_image, out.text_embeds, out.image_embeds


def tokens(*shape):
    return torch.randint(1, 90, shape)


def decoder(heads, width):
    def inputs(batch, past, new):
        positions = torch.arange(past, past + new)[None].expand(batch, new)
        return (tokens(batch, new), positions, *(torch.randn(batch, heads, past, width) for _ in range(2 * LAYERS)))
    names = ["input_ids", "position_ids"]
    outs = ["logits"]
    for i in range(LAYERS):
        names += [f"past_key_values.{i}.key", f"past_key_values.{i}.value"]
        outs += [f"present.{i}.key", f"present.{i}.value"]
    axes = {"input_ids": {0: "batch", 1: "seq"}, "position_ids": {0: "batch", 1: "seq"}}
    axes |= {n: {0: "batch", 2: "past"} for n in names[2:]}
    return dict(inputs=names, outputs=outs, axes=axes, sample=inputs(2, 3, 2), runs=[inputs(2, 5, 1), inputs(1, 7, 4)])


def padded(batch, seq):
    mask = torch.ones(batch, seq, dtype=torch.int64)
    mask[-1, seq // 2:] = 0
    return mask


def models():
    yield "gpt2", GPT2, decoder(4, 8)
    yield "llama", Llama, decoder(2, 8)
    bert = lambda b, s: (tokens(b, s), padded(b, s), torch.zeros(b, s, dtype=torch.int64))
    text = {0: "batch", 1: "seq"}
    yield "bert", BERT, dict(
        inputs=["input_ids", "attention_mask", "token_type_ids"], outputs=["last_hidden_state", "pooler_output"],
        axes={n: text for n in ["input_ids", "attention_mask", "token_type_ids"]}, sample=bert(2, 6),
        runs=[bert(3, 9), bert(1, 5)])
    image = lambda n, side: (torch.randn(n, 3, side, side),)
    one = dict(inputs=["pixel_values"], outputs=["logits"], axes={"pixel_values": {0: "batch"}})
    yield "resnet", ResNet, one | dict(sample=image(2, 32), runs=[image(3, 32)])
    yield "vit", ViT, one | dict(sample=image(2, 24), runs=[image(3, 24)])

    def clip(texts, seq, images):
        ids = tokens(texts, seq)
        ids[:, -1] = 96
        return ids, torch.randn(images, 3, 24, 24), torch.ones(texts, seq, dtype=torch.int64)
    yield "clip", CLIP, dict(
        inputs=["input_ids", "pixel_values", "attention_mask"],
        outputs=["logits_per_image", "text_embeds", "image_embeds"],
        axes={"input_ids": {0: "texts", 1: "seq"}, "attention_mask": {0: "texts", 1: "seq"}, "pixel_values": {0: "images"}},
        sample=clip(3, 7, 2), runs=[clip(2, 9, 3)])


def shrink(path):
    """Removes what no importer reads, such as stack traces."""
    model = onnx.load(path)
    del model.metadata_props[:]
    for graph in [model.graph] + [f for f in model.functions]:
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
    for v in model.graph.value_info:
        del v.metadata_props[:]
    onnx.save(model, path)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
        os.path.dirname(__file__), "..", "..", "lazy", "onnx", "testdata", "exports")
    for name, cls, m in models():
        for dynamo in [False, True]:
            torch.manual_seed(7)
            module = cls().eval()
            folder = os.path.join(root, name + ("-dynamo" if dynamo else ""))
            os.makedirs(folder, exist_ok=True)
            path = os.path.join(folder, "model.onnx")
            axes = dict(m["axes"])
            try:
                with torch.no_grad():
                    if dynamo:
                        dims = {}
                        shapes = []
                        for n in m["inputs"]:
                            shapes.append({a: dims.setdefault(d, torch.export.Dim(d, min=1, max=64)) for a, d in axes.get(n, {}).items()})
                        if isinstance(module, (GPT2, Llama)):
                            shapes = shapes[:2] + [tuple(shapes[2:])]
                        torch.onnx.export(module, m["sample"], path, input_names=m["inputs"], output_names=m["outputs"],
                                          opset_version=OPSET, dynamo=True, dynamic_shapes=shapes, external_data=False)
                    else:
                        torch.onnx.export(module, m["sample"], path, input_names=m["inputs"], output_names=m["outputs"],
                                          opset_version=17, dynamo=False, dynamic_axes=axes)
            except Exception as err:  # says which exporter fails on which model
                print(f"{folder}: not exported: {type(err).__name__}: {str(err)[:400]}")
                os.rmdir(folder)
                continue
            shrink(path)
            case = {"from": f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, "
                            f"torch.onnx.export(dynamo={dynamo}), random weights of seed 7", "runs": []}
            for r, inputs in enumerate(m["runs"]):
                with torch.no_grad():
                    out = module(*inputs)
                out = out if isinstance(out, tuple) else (out,)
                run = {"inputs": {}, "outputs": {}}
                for kind, names, values in [("inputs", m["inputs"], inputs), ("outputs", m["outputs"], out)]:
                    for i, (n, v) in enumerate(zip(names, values)):
                        file = f"{r}.{kind[:-1]}{i}.npy"
                        np.save(os.path.join(folder, file), np.ascontiguousarray(v.numpy()))
                        run[kind][n] = file
                case["runs"].append(run)
            with open(os.path.join(folder, "case.json"), "w") as f:
                json.dump(case, f, indent=1)
                f.write("\n")
            print(folder, os.path.getsize(path))


if __name__ == "__main__":
    main()

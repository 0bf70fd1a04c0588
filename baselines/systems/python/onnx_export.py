"""GPT-2 as an ONNX file, exported by PyTorch from the transformers model."""

import os
import tempfile

import wire


def export(dir):
    """Exports the checkpoint once; returns the path of the ONNX file.

    Inputs: input_ids [batch, seq], position_ids [1, seq] and for each layer
    past_key_i, past_value_i [batch, heads, past, head]. Outputs: logits of the
    last row [batch, vocab] and present_key_i, present_value_i. An empty past is
    a prompt pass. Weights lie beside the graph in a file that the runtime maps."""
    made = os.path.join(wire.cache_dir("onnx"), wire.identity(dir))
    path = os.path.join(made, "model.onnx")
    if os.path.exists(path):
        return path
    import torch
    from torch.export import Dim
    from transformers import DynamicCache, GPT2LMHeadModel

    class Step(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, position_ids, past):
            kv = DynamicCache(config=self.model.config)
            for i in range(len(past) // 2):
                kv.update(past[2 * i], past[2 * i + 1], i)
            out = self.model(
                input_ids=input_ids, position_ids=position_ids, past_key_values=kv,
                use_cache=True, logits_to_keep=1,
            )
            present = []
            for layer in out.past_key_values.layers:
                present += [layer.keys, layer.values]
            return out.logits[:, -1], *present

    model = GPT2LMHeadModel.from_pretrained(dir, dtype=torch.float32, attn_implementation="sdpa").eval()
    c = model.config
    past = [torch.zeros(2, c.n_head, 5, c.n_embd // c.n_head) for _ in range(2 * c.n_layer)]
    names = [f"{k}_{i}" for i in range(c.n_layer) for k in ("key", "value")]
    batch, seq, length = Dim.DYNAMIC, Dim.DYNAMIC, Dim.DYNAMIC
    with torch.inference_mode():
        program = torch.onnx.export(
            Step(model).eval(),
            (torch.ones(2, 3, dtype=torch.long), torch.arange(5, 8)[None], past),
            dynamo=True,
            dynamic_shapes=({0: batch, 1: seq}, {1: seq}, [{0: batch, 2: length} for _ in past]),
            input_names=["input_ids", "position_ids", *(f"past_{n}" for n in names)],
            output_names=["logits", *(f"present_{n}" for n in names)],
        )
    with tempfile.TemporaryDirectory(dir=os.path.dirname(made)) as folder:
        partial = os.path.join(folder, "model")
        os.mkdir(partial)
        program.save(os.path.join(partial, "model.onnx"), external_data=True)
        os.rename(partial, made)
    return path

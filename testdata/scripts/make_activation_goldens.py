"""Writes internal/activation/testdata/goldens.json: what PyTorch computes of
transformers' activations, float32.

    python make_activation_goldens.py ../../internal/activation/testdata
"""

import json
import os
import sys

import torch
import transformers
from transformers.activations import ACT2FN

X = [-200.0, -90.0, -30.0, -10.0, -6.0, -3.5, -3.0, -2.0, -1.1, -0.5, -0.01, -1e-6, 0.0, 1e-6, 0.01, 0.5, 1.0, 2.25, 3.0, 5.9, 6.0, 6.1,
     9.5, 10.5, 19.5, 20.5, 45.0, 90.0, 200.0]
NAMES = ("gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish leaky_relu linear mish "
         "quick_gelu relu relu2 relu6 sigmoid silu swish tanh").split()

x = torch.tensor(X)
with open(os.path.join(sys.argv[1], "goldens.json"), "w", encoding="ascii") as f:
    json.dump({"transformers": transformers.__version__, "x": x.tolist(), "y": {n: ACT2FN[n](x).tolist() for n in NAMES}}, f)
    f.write("\n")

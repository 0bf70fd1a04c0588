"""Single operators and transfers. An operator's weights can be held where it runs;
its other inputs come with each call."""

import torch

import wire

F = torch.nn.functional
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def matmul(t):
    return t["a"] @ t["b"]


def conv(t, stride=1, pad=0):
    """x [batch, channels, height, width], w [out, channels, kh, kw], b [out] or none."""
    return F.conv2d(t["x"], t["w"], t.get("b"), stride, pad)


def attention(t, causal=False):
    """q, k, v [batch, heads, seq, head], scaled by the root of the head's size."""
    return F.scaled_dot_product_attention(t["q"], t["k"], t["v"], is_causal=causal)


def linear(t):
    """x [rows, in], w [out, in], b [out] or none."""
    return F.linear(t["x"], t["w"], t.get("b"))


def batch_norm(t, eps=1e-5):
    """x [batch, channels, height, width]; mean, var, scale, bias [channels]."""
    return F.batch_norm(t["x"], t["mean"], t["var"], t["scale"], t["bias"], False, 0.0, eps)


def echo(t):
    """The input travels both ways; a copy is made where there is no way."""
    return t["x"].clone()


def upload(t):
    """The input travels to the operator, its first element back."""
    return t["x"].flatten()[:1].clone()


def download(t):
    """A held array travels back."""
    return t["x"].clone()


OPERATORS = {
    "matmul": matmul, "conv": conv, "attention": attention, "linear": linear, "batch-norm": batch_norm,
    "echo": echo, "upload": upload, "download": download,
}
IMAGES = ("conv", "batch-norm")


class Micro:
    def __init__(self, dtype, form):
        self.dtype, self.format = dtype, FORMATS[form or "contiguous"]
        self.held = {}

    def hold(self, arrays):
        """Keeps arrays as further inputs of the calls to come."""
        self.held = {k: self._tensor(v) for k, v in arrays.items()}

    def _tensor(self, a):
        t = torch.from_numpy(a)
        if t.is_floating_point():
            t = t.to(self.dtype)
        return t.contiguous(memory_format=self.format) if t.dim() == 4 else t

    @torch.inference_mode()
    def run(self, op, attrs, arrays):
        if op not in OPERATORS:
            raise wire.Unavailable(f"operator {op}")
        tensors = self.held | {k: self._tensor(v) for k, v in arrays.items()}
        y = OPERATORS[op](tensors, **attrs)
        if y.is_floating_point():
            y = y.float()
        return {"y": y.contiguous().numpy()}

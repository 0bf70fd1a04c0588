"""Single operators and transfers. An operator's weights can be held where it runs;
its other inputs come with each call."""

import torch

import wire

F = torch.nn.functional
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def matmul(t):
    """x [m, k], weight [k, n]; also a transfer up: a sum for each row comes back."""
    return t["x"] @ t["weight"]


def conv(t, stride=1, pad=1):
    """x [batch, channels, height, width], weight [out, channels, kh, kw], bias [out] or none."""
    return F.conv2d(t["x"], t["weight"], t.get("bias"), stride, pad)


def attention(t, causal=True):
    """q, k, v [batch, heads, seq, head], scaled by the root of the head's size."""
    return F.scaled_dot_product_attention(t["q"], t["k"], t["v"], is_causal=causal)


def linear(t):
    """x [rows, in], weight [in, out], bias [out]."""
    return torch.addmm(t["bias"], t["x"], t["weight"])


def batch_norm(t, eps=1e-5):
    """x [batch, channels, height, width]; the others [channels]."""
    return F.batch_norm(t["x"], t["running_mean"], t["running_var"], t["weight"], t["bias"], False, 0.0, eps)


def download(t):
    """index [rows] of a held table weight [table, columns]; the rows travel back."""
    return t["weight"][t["index"].long()]


def echo(t):
    """x travels both ways; what comes back is x + 1, so that it is not the same bytes."""
    return t["x"] + 1


OPERATORS = {
    "matmul": matmul, "conv": conv, "attention": attention, "linear": linear, "batch_norm": batch_norm,
    "upload": matmul, "download": download, "echo": echo,
}
IMAGES = ("conv", "batch_norm")


class Micro:
    def __init__(self, dtype, form):
        self.dtype, self.format = dtype, FORMATS[form or "contiguous"]
        self.held = {}

    def hold(self, arrays):
        """Keeps arrays as further inputs of the calls to come."""
        self.held = {k: self._tensor(v, v.ndim == 4) for k, v in arrays.items()}

    def _tensor(self, a, image):
        t = torch.from_numpy(a)
        if t.is_floating_point():
            t = t.to(self.dtype)
        return t.contiguous(memory_format=self.format) if image else t

    @torch.inference_mode()
    def run(self, op, attrs, arrays):
        if op not in OPERATORS:
            raise wire.Unavailable(f"operator {op}")
        tensors = self.held | {k: self._tensor(v, op in IMAGES) for k, v in arrays.items()}
        y = OPERATORS[op](tensors, **attrs)
        if y.is_floating_point():
            y = y.float()
        return {"y": y.contiguous().numpy()}

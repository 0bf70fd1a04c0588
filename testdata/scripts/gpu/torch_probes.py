"""Measures what PyTorch reaches on a GPU: the bandwidth of copies and reads, and
the rate of cuBLAS in products, square ones and those of GPT-2's layers. Ratios
of Genie's figures to these are of one run on one machine.

    python3 torch_probes.py --models gpt2,gpt2-xl
"""

import argparse
import time

import torch

from torch_gpt2 import Graph, Results, bench_name, synchronize

WIDTHS = {"gpt2": (768, 12), "gpt2-xl": (1600, 48), "gpt2-tiny": (64, 2)}


def timed(f, device, seconds=0.2, least=5):
    """Seconds of one call, the fastest of blocks, after a warm-up."""
    f()
    synchronize(device)
    best, begin = float("inf"), time.perf_counter()
    blocks = 0
    while blocks < least or time.perf_counter() - begin < seconds:
        if device == "cuda":
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            f()
            end.record()
            end.synchronize()
            spent = start.elapsed_time(end) / 1e3
        else:
            at = time.perf_counter()
            f()
            spent = time.perf_counter() - at
        best = min(best, spent)
        blocks += 1
    return best


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--models", required=True)
    a.add_argument("--rows", default="512,1024")
    a.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    a.add_argument("--mib", type=int, default=2048, help="size of the copies")
    a.add_argument("--side", type=int, default=8192, help="of square products")
    o = a.parse_args()
    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = False
    out = Results()

    def report(function, name, seconds, unit, amount):
        out.add(function, name, 1, seconds, [(unit, amount / seconds)])

    n = o.mib << 18
    x, y = torch.ones(n, device=o.device), torch.empty(n, device=o.device)
    report("Probe", bench_name("copy", "pytorch", []), timed(lambda: y.copy_(x), o.device), "read-B/s", 8 * n)
    report("Probe", bench_name("read", "pytorch", []), timed(lambda: torch.sum(x), o.device), "read-B/s", 4 * n)
    del x, y
    for dtype, t in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        p = torch.randn(o.side, o.side, device=o.device, dtype=t)
        q = torch.randn(o.side, o.side, device=o.device, dtype=t)
        s = timed(lambda: torch.mm(p, q), o.device)
        report("Probe", bench_name("product", "cublas", [("dtype", dtype)]), s, "FLOP/s", 2 * o.side**3)
        del p, q
        for model in o.models.split(","):
            h, layers = WIDTHS[model]
            layers = min(layers, 12)  # more weights than a cache holds
            shapes = [(h, 3 * h), (h, h), (h, 4 * h), (4 * h, h)]
            w = [[torch.randn(k, m, device=o.device, dtype=t) for k, m in shapes] for _ in range(layers)]
            bias = [torch.randn(m, device=o.device, dtype=t) for _, m in shapes]
            for rows in map(int, o.rows.split(",")):
                ins = {k: torch.randn(rows, k, device=o.device, dtype=t) for k in (h, 4 * h)}

                def products():
                    for layer in w:
                        for b, v in zip(bias, layer):
                            torch.addmm(b, ins[v.shape[0]], v)

                flops = layers * sum(2 * rows * k * m for k, m in shapes)
                name = bench_name("prefill-products", "cublas", [("dtype", dtype), ("model", model), ("rows", str(rows))])
                report("PrefillProducts", name, timed(Graph(products) if o.device == "cuda" else products, o.device), "FLOP/s", flops)
            del w


if __name__ == "__main__":
    main()

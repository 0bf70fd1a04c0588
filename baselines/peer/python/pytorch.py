"""GPT-2 by transformers on PyTorch."""

import wire


def setup():
    import torch
    import transformers
    from transformers import DynamicCache, GPT2LMHeadModel, StaticCache

    import greedy

    torch.set_num_threads(wire.threads())
    dtypes = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
    held = {}

    def load(dir, dtype="f32", compile=False, context=0):
        if dtype not in dtypes:
            raise wire.Unavailable(f"dtype {dtype}")
        model = GPT2LMHeadModel.from_pretrained(dir, dtype=dtypes[dtype], attn_implementation="sdpa").eval()
        held.update(model=model, dtype=dtypes[dtype], compile=compile, forward=model, context=context)
        if compile:
            import torch._inductor.config as inductor

            inductor.freezing = True  # weights become constants, packed once
            held["forward"] = torch.compile(model, dynamic=False)
        return {"threads": torch.get_num_threads(), "parallel": torch.__config__.parallel_info()[:2000]}

    def cache(batch, length):
        m = held["model"]
        if not held["compile"]:
            return DynamicCache(config=m.config)
        # A compiled step wants fixed shapes. The same buffers are used again.
        key = ("cache", batch, length)
        if key not in held:
            held[key] = StaticCache(config=m.config, max_cache_len=length)
        held[key].reset()
        return held[key]

    def forward(state, ids):
        n = ids.shape[1]
        args = {}
        if held["compile"]:
            args["position_ids"] = torch.arange(state["at"], state["at"] + n)[None]
        out = held["forward"](
            input_ids=ids, past_key_values=state["kv"], use_cache=True, logits_to_keep=1, **args
        )
        state["at"] += n
        row = out.logits[:, -1]
        return row.argmax(-1).tolist(), lambda: row.float().numpy()

    @torch.inference_mode()
    def generate(prompts, new, force=None, logits=False):
        state = {"at": 0, "kv": None}

        def start(prompts):
            ids = torch.tensor(prompts)
            state["kv"] = cache(len(prompts), held["context"] or len(prompts[0]) + new)
            return forward(state, ids)

        def step(tokens):
            return forward(state, torch.tensor(tokens)[:, None])

        return greedy.generate(start, step, prompts, new, force, logits)

    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return versions, {"load": load, "generate": generate}


if __name__ == "__main__":
    wire.run(setup)

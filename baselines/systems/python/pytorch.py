"""The workloads by transformers on PyTorch, in this process."""

import wire


def setup():
    import torch

    import greedy
    import serving
    import torch_models

    torch.set_num_threads(wire.threads())
    held = {}

    def load(dir, dtype="f32", compile=False, context=0):
        """A language model that may be compiled."""
        held["llm"] = torch_models.LLM(dir, dtype, compile, context)
        return {"threads": torch.get_num_threads(), "parallel": torch.__config__.parallel_info()[:2000]}

    operations = serving.operations(serving.Local(torch_models.load))
    of_workload = operations["generate"]

    def generate(prompts, new, force=None, logits=False):
        if "llm" not in held:
            return of_workload(prompts=prompts, new=new, force=force, logits=logits)
        m = held["llm"]
        return greedy.generate(lambda p: m.start(p, new), m.step, prompts, new, force, logits)

    return torch_models.versions(), {**operations, "load": load, "generate": generate}


if __name__ == "__main__":
    wire.run(setup)

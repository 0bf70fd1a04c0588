"""GPT-2 by llama.cpp in this process."""

import wire


def setup():
    import greedy
    import llamacpp_model

    llamacpp_model.start_library()
    held = {}

    def load(dir, dtype="f32", compile=False, context=0):
        held["model"] = llamacpp_model.Model(dir, dtype)
        return {"threads": wire.threads(), "system": held["model"].system}

    def generate(prompts, new, force=None, logits=False):
        m = held["model"]
        m.ready(prompts, new)
        return greedy.generate(m.start, m.step, prompts, new, force, logits)

    return llamacpp_model.versions(), {"load": load, "generate": generate}


if __name__ == "__main__":
    wire.run(setup)

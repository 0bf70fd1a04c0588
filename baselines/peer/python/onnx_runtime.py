"""GPT-2 by ONNX Runtime on its CPU provider."""

import wire


def setup():
    import numpy as np
    import onnxruntime as ort

    import greedy
    import onnx_export

    held = {}

    def load(dir, dtype="f32", compile=False, context=0):
        if dtype != "f32":
            raise wire.Unavailable(f"dtype {dtype}: the CPU provider has no kernels for it")
        options = ort.SessionOptions()
        options.intra_op_num_threads = wire.threads()
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        s = ort.InferenceSession(onnx_export.export(dir), options, providers=["CPUExecutionProvider"])
        shape = next(i.shape for i in s.get_inputs() if i.name == "past_key_0")
        held.update(session=s, heads=shape[1], head=shape[3], outputs=[o.name for o in s.get_outputs()])
        return {"threads": wire.threads(), "providers": s.get_providers()}

    def forward(state, ids):
        n = ids.shape[1]
        feeds = {
            "input_ids": ort.OrtValue.ortvalue_from_numpy(ids),
            "position_ids": ort.OrtValue.ortvalue_from_numpy(np.arange(state["at"], state["at"] + n)[None]),
            **state["past"],
        }
        out = held["session"].run_with_ort_values(held["outputs"], feeds)
        # The keys and values stay the runtime's own buffers.
        state["past"] = {
            name.replace("present", "past"): v for name, v in zip(held["outputs"][1:], out[1:], strict=True)
        }
        state["at"] += n
        row = out[0].numpy()
        return row.argmax(-1).tolist(), lambda: row

    def generate(prompts, new, force=None, logits=False):
        empty = np.zeros((len(prompts), held["heads"], 0, held["head"]), np.float32)
        state = {"at": 0, "past": {
            name.replace("present", "past"): ort.OrtValue.ortvalue_from_numpy(empty)
            for name in held["outputs"][1:]
        }}
        return greedy.generate(
            lambda p: forward(state, np.array(p, np.int64)),
            lambda t: forward(state, np.array(t, np.int64)[:, None]),
            prompts, new, force, logits,
        )

    return {"onnxruntime": ort.__version__}, {"load": load, "generate": generate}


if __name__ == "__main__":
    wire.run(setup)

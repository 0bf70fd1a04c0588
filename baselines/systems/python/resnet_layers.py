"""Convolution layers and a whole ResNet-50, by PyTorch (oneDNN) and ONNX Runtime.

Layers are what a folded ResNet runs: a convolution with bias, then perhaps an
addition of the residual, then perhaps ReLU. The caller gives the tensors and
gets the outputs back, so that it can compare them with its own."""

import os

import wire


def best(run, repeat, seconds):
    """The times of up to repeat runs within about so many seconds, after two
    runs that are not counted."""
    for _ in range(2):
        run()
    times, until = [], wire.now() + int(seconds * 1e9)
    while not times or (len(times) < repeat and wire.now() < until):
        began = wire.now()
        run()
        times.append(wire.now() - began)
    return times


def setup():
    import numpy as np
    import onnx
    import onnxruntime as ort
    import torch
    import transformers
    from onnx import TensorProto, helper

    torch.set_num_threads(wire.threads())
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    F = torch.nn.functional

    def known(library):
        if library not in ("onnxruntime", "torch-packed", *(f"torch-{f}" for f in formats)):
            raise wire.Unavailable(f"library {library}")

    def session(model):
        options = ort.SessionOptions()
        options.intra_op_num_threads = wire.threads()
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def on_torch(form, x, w, b, residual, stride, pad, relu):
        fmt = formats[form]
        x, w, b = (torch.from_numpy(a.copy()) for a in (x, w, b))
        x, w = x.contiguous(memory_format=fmt), w.contiguous(memory_format=fmt)
        r = None if residual is None else torch.from_numpy(residual.copy()).contiguous(memory_format=fmt)

        def run():
            y = F.conv2d(x, w, b, stride, pad)
            if r is not None:
                y.add_(r)
            return y.relu_() if relu else y

        return run, lambda: run().contiguous().numpy()

    def on_packed(x, w, b, residual, stride, pad, relu):
        """The operators that torch.compile makes of frozen weights."""
        fmt = torch.channels_last
        x, w, b = (torch.from_numpy(a.copy()) for a in (x, w, b))
        x = x.contiguous(memory_format=fmt)
        r = None if residual is None else torch.from_numpy(residual.copy()).contiguous(memory_format=fmt)
        at = [pad] * 2, [stride] * 2, [1, 1], 1
        w = torch._C._nn.mkldnn_reorder_conv2d_weight(w.to_mkldnn(), *at, list(x.shape))
        op = torch.ops.mkldnn._convolution_pointwise

        def run():
            if r is None:
                return op(x, w, b, *at, "relu" if relu else "none", [], "")
            return op.binary(x, r, w, b, *at, "add", 1.0, "relu" if relu else None, [], None)

        return run, lambda: run().contiguous().numpy()

    def on_ort(x, w, b, residual, stride, pad, relu):
        nodes = [helper.make_node(
            "Conv", ["x", "w", "b"], ["conv"], kernel_shape=w.shape[2:], strides=[stride] * 2, pads=[pad] * 4,
        )]
        shape = [x.shape[0], w.shape[0], *((n + 2 * pad - k) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True))]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
        feeds = {"x": ort.OrtValue.ortvalue_from_numpy(x.copy())}
        if residual is not None:
            nodes.append(helper.make_node("Add", ["conv", "r"], ["sum"]))
            inputs.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, residual.shape))
            feeds["r"] = ort.OrtValue.ortvalue_from_numpy(residual.copy())
        if relu:
            nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], ["y"]))
        last = nodes[-1].output[0]
        graph = helper.make_graph(
            nodes, "layer", inputs, [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
            [onnx.numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in (("w", w), ("b", b))],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        s = session(model.SerializeToString())
        binding = s.io_binding()
        for name, v in feeds.items():
            binding.bind_ortvalue_input(name, v)
        y = ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32)
        binding.bind_ortvalue_output(last, y)
        return (lambda: s.run_with_iobinding(binding)), (lambda: y.numpy())

    @torch.inference_mode()
    def layer(library, stride, pad, relu, repeat, seconds, tensors):
        known(library)
        args = [tensors["x"], tensors["w"], tensors["b"], tensors.get("residual"), stride, pad, relu]
        if library == "onnxruntime":
            run, value = on_ort(*args)
        elif library == "torch-packed":
            run, value = on_packed(*args)
        else:
            run, value = on_torch(library.removeprefix("torch-"), *args)
        times = best(run, repeat, seconds)
        return {"ns": times}, {"y": np.ascontiguousarray(value(), np.float32)}

    def resnet():
        torch.manual_seed(1)
        m = transformers.ResNetForImageClassification(transformers.ResNetConfig()).eval()
        # Untrained statistics would make the activations grow without bound.
        for mod in m.modules():
            if isinstance(mod, torch.nn.BatchNorm2d):
                mod.running_mean.normal_(0, 0.1)
                mod.running_var.uniform_(0.5, 1.5)
                mod.weight.data.uniform_(0.2, 0.6)
                mod.bias.data.normal_(0, 0.1)
        return m

    def resnet_onnx(model):
        made = os.path.join(wire.cache_dir("onnx"), "resnet50.onnx")
        if not os.path.exists(made):
            class Logits(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.model = model

                def forward(self, pixels):
                    return self.model(pixel_values=pixels).logits

            program = torch.onnx.export(
                Logits().eval(), (torch.zeros(2, 3, 224, 224),), dynamo=True,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), input_names=["pixels"], output_names=["logits"],
            )
            partial = f"{made}.{os.getpid()}"
            program.save(partial, external_data=False)
            os.rename(partial, made)
        return made

    networks = {}  # what runs one, by library and batch: compiling takes long

    @torch.inference_mode()
    def whole(library, batch, repeat, seconds):
        known(library)
        if (library, batch) not in networks:
            networks[library, batch] = network(library, batch)
        run = networks[library, batch]
        times = best(run, repeat, seconds)
        return {"ns": times}, {"y": np.ascontiguousarray(run(), np.float32)}

    def network(library, batch):
        model = resnet()
        x = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(2))
        if library == "onnxruntime":
            s = session(resnet_onnx(model))
            feed = {"pixels": ort.OrtValue.ortvalue_from_numpy(x.numpy())}

            def run():
                return s.run_with_ort_values(["logits"], feed)[0].numpy()
        else:
            form = library.removeprefix("torch-")
            if form == "packed":
                import torch._inductor.config as inductor

                inductor.freezing = True
                model = model.to(memory_format=torch.channels_last)
                forward = torch.compile(model, dynamic=False)
                x = x.contiguous(memory_format=torch.channels_last)
            else:
                forward = model = model.to(memory_format=formats[form])
                x = x.contiguous(memory_format=formats[form])

            def run():
                return forward(pixel_values=x).logits.numpy()
        return run

    @torch.inference_mode()
    def checkpoint(dir, batch):
        """Writes the network, and gives images with its logits."""
        model = resnet()
        model.save_pretrained(dir)
        x = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(2))
        return {}, {"x": x.numpy(), "y": np.ascontiguousarray(model(pixel_values=x).logits.numpy(), np.float32)}

    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "onnxruntime": ort.__version__}
    return versions, {"layer": layer, "resnet50": whole, "checkpoint": checkpoint}


if __name__ == "__main__":
    wire.run(setup)

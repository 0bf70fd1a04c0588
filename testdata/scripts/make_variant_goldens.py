"""Writes testdata/variants/variants.json: checkpoints of testdata that were
changed in one thing, and what transformers makes of each: a file that says the
same in other words, one that says more, or one that says something else.

    python make_variant_goldens.py ..          # the folder testdata

A variant is a base folder, keys of config.json that are set or dropped, changes
of the tensors, and further files by their text. Go makes the same folders
(internal/checkpoint/checkpointtest). Where transformers raises an error, or
loads with weights that the checkpoint does not have, there is no output, and
"raises" or "missing" says what it said.
"""

import json
import os
import re
import shutil
import sys
import tempfile

import safetensors.torch
import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageClassification

transformers.logging.set_verbosity_error()

ACTIVATIONS = ("gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish "
               "leaky_relu linear mish quick_gelu relu relu2 relu6 sigmoid silu swish tanh").split()
NAN, INF = float("nan"), float("inf")


def rename(pattern, to):
    return ["rename", pattern, to]


def copy(pattern, to, factor=1.0):
    return ["copy", pattern, to, factor]


def drop(pattern):
    return ["drop", pattern]


def changed(tensors, changes):
    """Applies changes; a pattern is a regular expression that a whole name matches."""
    for change in changes:
        out = {}
        for name, t in tensors.items():
            matches = re.fullmatch(change[1], name) is not None
            if not matches:
                out[name] = t
            elif change[0] == "rename":
                out[re.sub(f"^{change[1]}$", change[2], name)] = t
            elif change[0] == "copy":
                out[name] = t
                out[re.sub(f"^{change[1]}$", change[2], name)] = (t * change[3]).clone()
            elif change[0] != "drop":
                raise ValueError(change[0])
        tensors = out
    return tensors


def variants():
    """Yields (name, base, what is changed)."""
    g, b, x, r = "gpt2/basic", "bert/tiny", "bert/xlm-roberta", "resnet/basic"
    act = {g: "activation_function", b: "hidden_act", x: "hidden_act", r: "hidden_act"}
    for base, key in act.items():
        for name in ACTIVATIONS:
            yield f"{key} {name}", base, dict(set={key: name})
        yield f"{key} unknown", base, dict(set={key: "xielu2"})

    # Names of the attribute map; where both are there, the other name counts.
    alias = {"num_attention_heads": ("n_head", 4), "num_hidden_layers": ("n_layer", 2), "hidden_size": ("n_embd", 64),
             "max_position_embeddings": ("n_positions", 128)}
    yield "all aliases", g, dict(set={k: v for k, (_, v) in alias.items()}, drop=[k for k, _ in alias.values()])
    for k, (own, value) in alias.items():
        yield f"{k} alone", g, dict(set={k: value}, drop=[own])
    yield "heads twice, other", g, dict(set={"n_head": 4, "num_attention_heads": 2})
    yield "heads twice, own", g, dict(set={"n_head": 2, "num_attention_heads": 4})
    yield "layers twice", g, dict(set={"n_layer": 2, "num_hidden_layers": 1})
    yield "n_head 8", g, dict(set={"n_head": 8})
    yield "n_ctx is not read", g, dict(set={"n_ctx": 7})

    # What does not change the numbers.
    for k, v in {"add_cross_attention": True, "is_decoder": True, "pruned_heads": {"0": [1]}, "use_cache": False,
                 "dtype": "float64", "torch_dtype": "junk", "n_ctx": "x", "attn_pdrop": NAN, "summary_type": None, "foo": {"a": [NAN, INF]},
                 "N_HEAD": 2, "quantization_config": None, "chunk_size_feed_forward": 3, "architectures": ["GPT2DoubleHeadsModel"],
                 "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}}.items():
        yield f"{k}={v}", g, dict(set={k: v})
    for k, v in {"position_embedding_type": "absolute", "chunk_size_feed_forward": 3, "pad_token_id": None, "classifier_dropout": 0.5,
                 "embedding_size": 8, "num_labels": 3, "n_head": 2, "foo": NAN, "gradient_checkpointing": False}.items():
        yield f"{k}={v}", b, dict(set={k: v})
    # What changes them.
    for k, v in {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True, "scale_attn_weights": False,
                 "layer_norm_epsilon": 0.5, "n_inner": 256}.items():
        yield f"{k}={v}", g, dict(set={k: v})
    for k, v in {"layer_norm_eps": 0.5, "num_attention_heads": 2, "is_decoder": True, "add_cross_attention": True}.items():
        yield f"{k}={v}", b, dict(set={k: v})

    # Tensors under other names, and more of them.
    c = r"transformer\.h\.0\.mlp\.c_fc\.weight"
    yield "no prefix", g, dict(tensors=[rename(r"transformer\.(.*)", r"\1")])
    yield "prefix of some", g, dict(tensors=[rename(r"transformer\.(h\.0\..*|wpe.*)", r"\1")])
    yield "wte without prefix", g, dict(tensors=[rename(r"transformer\.(wte.*)", r"\1")])
    yield "both prefixes", g, dict(tensors=[copy(c, "h.0.mlp.c_fc.weight", 5)])
    yield "only lm_head", g, dict(tensors=[rename(r"transformer\.wte\.weight", "lm_head.weight")])
    yield "only transformer.lm_head", g, dict(tensors=[rename(r"transformer\.wte\.weight", "transformer.lm_head.weight")])
    yield "only lm_head, rest without prefix", g, dict(tensors=[rename(r"transformer\.wte\.weight", "lm_head.weight"), rename(r"transformer\.(.*)", r"\1")])
    yield "equal lm_head", g, dict(tensors=[copy(r"transformer\.wte\.weight", "lm_head.weight")])
    yield "other lm_head", g, dict(tensors=[copy(r"transformer\.wpe\.weight", "lm_head.weight", -3)])
    yield "other lm_head, tie absent", g, dict(drop=["tie_word_embeddings"], tensors=[copy(r"transformer\.wpe\.weight", "lm_head.weight", -3)])
    yield "other lm_head, untied", g, dict(set={"tie_word_embeddings": False}, tensors=[copy(r"transformer\.wpe\.weight", "lm_head.weight", -3)])
    yield "untied without lm_head", g, dict(set={"tie_word_embeddings": False})
    yield "untied without wte", g, dict(set={"tie_word_embeddings": False}, tensors=[rename(r"transformer\.wte\.weight", "lm_head.weight")])
    yield "lm_head of another shape", g, dict(tensors=[copy(c, "lm_head.weight")])
    yield "layer too many", g, dict(tensors=[copy(r"transformer\.h\.1\.(.*)", r"transformer.h.2.\1", 2)])
    yield "config with a layer less", g, dict(set={"n_layer": 1})
    yield "adapter in a layer", g, dict(tensors=[copy(c, "transformer.h.0.mlp.c_fc.lora_A.default.weight", 7)])
    yield "lm_head.bias", g, dict(tensors=[copy(r"transformer\.ln_f\.bias", "lm_head.bias", 9)])
    yield "gamma in GPT-2", g, dict(tensors=[rename(r"transformer\.ln_f\.weight", "transformer.ln_f.gamma")])
    yield "module.", g, dict(tensors=[rename(r"(.*)", r"module.\1")])
    yield "no bias", g, dict(tensors=[drop(r"transformer\.h\.0\.mlp\.c_fc\.bias")])

    ln = [rename(r"(.*LayerNorm)\.weight", r"\1.gamma"), rename(r"(.*LayerNorm)\.bias", r"\1.beta")]
    yield "gamma and beta", b, dict(tensors=ln)
    yield "bert. before each", b, dict(tensors=[rename(r"(.*)", r"bert.\1")])
    yield "bert. before some", b, dict(tensors=[rename(r"(encoder\..*)", r"bert.\1")])
    yield "bert. and gamma", b, dict(tensors=[rename(r"(.*)", r"bert.\1")] + ln)
    yield "gamma beside weight", b, dict(tensors=[copy(r"(embeddings\.LayerNorm)\.weight", r"\1.gamma", 3)])
    yield "gamma of one", b, dict(tensors=[rename(r"(embeddings\.LayerNorm)\.weight", r"\1.gamma")])
    yield "heads of pretraining", b, dict(tensors=[rename(r"(.*)", r"bert.\1"), copy(r"bert\.embeddings\.LayerNorm\.bias", "cls.predictions.bias")])
    yield "layer too many", b, dict(tensors=[copy(r"encoder\.layer\.1\.(.*)", r"encoder.layer.2.\1", 2)])
    yield "no bias", b, dict(tensors=[drop(r"encoder\.layer\.0\.intermediate\.dense\.bias")])
    yield "model.bert.", b, dict(tensors=[rename(r"(.*)", r"model.bert.\1")])

    # RoBERTa and its like: positions begin behind that of the padding.
    for t in ("roberta", "xlm-roberta", "camembert"):
        yield f"model_type {t}", x, dict(set={"model_type": t})
    for name, ids in {"one": [5], "padding inside": [0, 5, 1, 9, 1, 2], "padding first": [1, 1, 0, 5, 2], "all padding": [1, 1], "longest": [7] * 22}.items():
        yield name, x, dict(ids=ids)
    yield "pad_token_id 0", x, dict(set={"pad_token_id": 0}, ids=[0, 5, 0, 9])
    yield "pad_token_id -1", x, dict(set={"pad_token_id": -1})
    yield "pad_token_id absent", x, dict(drop=["pad_token_id"])
    yield "pad_token_id null", x, dict(set={"pad_token_id": None})
    yield "pad_token_id outside", x, dict(set={"pad_token_id": 4000})
    yield "too long", x, dict(ids=[7] * 23)
    yield "prefix", x, dict(tensors=[rename(r"(.*)", r"roberta.\1")])
    yield "prefix of some, gamma", x, dict(tensors=[rename(r"(encoder\..*)", r"roberta.\1")] + ln)

    # Labels of a ResNet: 7 in the weights.
    names = {str(i): f"c{i}" for i in range(7)}
    yield "num_labels", r, dict(drop=["id2label", "label2id"], set={"num_labels": 7})
    yield "num_labels, id2label null", r, dict(set={"num_labels": 7, "id2label": None, "label2id": None})
    yield "num_labels over id2label", r, dict(set={"num_labels": 7, "id2label": {str(i): "x" for i in range(9)}})
    yield "num_labels other than id2label", r, dict(set={"num_labels": 9, "id2label": names})
    yield "label2id alone", r, dict(drop=["id2label"], set={"label2id": {v: int(k) for k, v in names.items()}})
    yield "odd keys", r, dict(set={"id2label": {"10": "x", "1": "b", "2": "c", "03": "d", " 4": "e", "5": "f", "6": "g"}})
    yield "names", r, dict(set={"id2label": names})
    yield "no labels at all", r, dict(drop=["id2label", "label2id"])
    yield "prefix of none", r, dict(tensors=[rename(r"resnet\.(.*)", r"\1")])
    yield "prefix of some", r, dict(tensors=[rename(r"resnet\.(encoder\..*)", r"\1")])
    yield "layer too many", r, dict(tensors=[copy(r"(resnet\.encoder\.stages\.1\.layers)\.1\.(.*)", r"\1.2.\2", 2)])
    for shape in ([33, 47], [64, 32], [40, 41]):
        yield f"{shape[0]}x{shape[1]}", r, dict(shape=shape)
        yield f"bottleneck {shape[0]}x{shape[1]}", "resnet/bottleneck", dict(shape=shape)

    yield from clips()

    # The end of a text. Greedy without any is ... 8 tokens.
    yield from ends(g)


def clips():
    """Masks with holes, and configurations. The end token is 96."""
    c = "clip/quick"
    tokens = [[3, 8, 13, 18, 23, 96, 5, 6], [16, 21, 96, 96, 96, 96, 96, 96]]
    ones = [[1] * 8] * 2
    masks = {
        "a hole": [[1, 1, 0, 1, 1, 1, 1, 1], ones[0]], "two holes": [[1, 0, 1, 0, 1, 1, 1, 1], [1, 0, 1, 0, 0, 0, 0, 0]],
        "hole and padding before": [[0, 1, 0, 1, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0, 0, 0]], "end hidden": [[1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]],
        "only the end": [[0, 0, 0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]], "all hidden": [[0] * 8, [0] * 8],
        "after the end": [[0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]], "other numbers": [[2, -1, 0, 1, 7, 1, 1, 1], ones[0]], "all": ones,
    }
    for name, mask in masks.items():
        yield f"mask: {name}", c, dict(texts=tokens, mask=mask)
    plain = dict(texts=tokens, mask=masks["a hole"])

    def towers(**both):
        with open("CLIP") as f:
            config = json.load(f)
        return {"text_config": config["text_config"] | both, "vision_config": config["vision_config"] | both}
    for name in ACTIVATIONS:
        yield f"hidden_act {name}", c, plain | dict(set=towers(hidden_act=name))
    yield "hidden_act unknown", c, plain | dict(set=towers(hidden_act="xielu2"))
    yield "clip. before each", c, plain | dict(tensors=[rename(r"(.*)", r"clip.\1")])
    yield "clip. before some", c, plain | dict(tensors=[rename(r"(text_model\..*)", r"clip.\1")])
    yield "keys of no use", c, plain | dict(set=towers(bos_token_id=4, foo=NAN, model_type="siglip_text_model", dropout=0.7) | {"n_head": 9})
    yield "layer_norm_eps 0.5", c, plain | dict(set=towers(layer_norm_eps=0.5))
    yield "eos 2", c, plain | dict(set={"text_config": towers()["text_config"] | {"eos_token_id": 2}})
    yield "eos outside", c, plain | dict(set={"text_config": towers()["text_config"] | {"eos_token_id": 49407}})
    yield "layer too many", c, plain | dict(tensors=[copy(r"text_model\.encoder\.layers\.1\.(.*)", r"text_model.encoder.layers.2.\1", 2)])
    old = towers()
    yield "old dicts", c, plain | dict(set={"text_config_dict": old["text_config"], "vision_config_dict": old["vision_config"],
                                            "text_config": {"hidden_size": 8}, "vision_config": None})


def ends(g):
    with open("GREEDY") as f:
        first, _, third = json.load(f)
    for where in ("config", "generation"):
        def say(values):
            if where == "config":
                return dict(set=values, drop=["eos_token_id"] if "eos_token_id" not in values else [], files={"generation_config.json": None})
            return dict(files={"generation_config.json": json.dumps(values)})
        for name, eos in {"one": third, "list": [0, third], "list of one": [third], "null": None, "outside": 50256, "float": float(third),
                          "first": [first, 127], "minus": -1, "nested": [[third]], "text": str(third), "empty": []}.items():
            yield f"eos {where} {name}", g, dict(say({"eos_token_id": eos}), generate=True)
        yield f"eos {where} absent", g, dict(say({}), generate=True)
        settings = {"repetition_penalty": 2.0, "no_repeat_ngram_size": 1, "bad_words_ids": [[first]], "suppress_tokens": [first],
                    "begin_suppress_tokens": [first], "forced_bos_token_id": 5, "forced_eos_token_id": 5, "num_beams": 2,
                    "num_return_sequences": 2, "sequence_bias": [[[first], -30.0]], "encoder_repetition_penalty": 3.0,
                    "encoder_no_repeat_ngram_size": 2, "exponential_decay_length_penalty": [1, 1.5], "guidance_scale": 2.0,
                    "watermarking_config": {"bias": 9.0}, "penalty_alpha": 0.6, "dola_layers": "low", "constraints": [1],
                    "force_words_ids": [[5]], "token_healing": True, "min_length": 9, "min_new_tokens": 7,
                    # of no consequence:
                    "renormalize_logits": True, "remove_invalid_values": True, "typical_p": 0.5, "epsilon_cutoff": 0.1, "eta_cutoff": 0.1, "min_p": 0.5,
                    "top_h": 0.5, "top_k": 1, "top_p": 0.1, "temperature": 0.5, "use_cache": False, "early_stopping": True, "length_penalty": 2.0,
                    "diversity_penalty": 1.0, "max_length": 5, "max_new_tokens": 2, "cache_implementation": "static", "low_memory": True,
                    "prompt_lookup_num_tokens": 3, "foo": 7, "repetition_penalty ": 3, "output_scores": True}
        for k, v in settings.items():
            eos = third if k in ("min_length", "min_new_tokens", "exponential_decay_length_penalty") else 0
            yield f"{where} {k}", g, dict(say({"eos_token_id": eos, k: v}), generate=True)
        yield f"{where} neutral", g, dict(say({
            "eos_token_id": third, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_length": 0, "num_beams": 1, "guidance_scale": 1,
            "bad_words_ids": None, "encoder_repetition_penalty": 1.0, "num_return_sequences": 1, "do_sample": False, "diversity_penalty": 0.0}), generate=True)
    yield "generation NaN", g, dict(files={"generation_config.json": '{"eos_token_id": [%d], "x": NaN}' % third}, generate=True)
    yield "generation over config", g, dict(set={"eos_token_id": third, "repetition_penalty": 5.0}, files={"generation_config.json": "{}"}, generate=True)


def pixels(shape):
    n = 3 * shape[0] * shape[1]
    i = torch.arange(n, dtype=torch.float64)
    return (torch.sin(0.37 * i) + 0.5 * torch.cos(0.011 * i)).to(torch.float32).reshape(1, 3, *shape)


def run(folder, family, what, ids):
    """What transformers computes, and the keys that the checkpoint lacks."""
    cls = {"gpt2": AutoModelForCausalLM, "bert": AutoModel, "clip": AutoModel, "resnet": AutoModelForImageClassification}[family]
    args = {} if family == "resnet" else {"attn_implementation": "eager"}
    model, info = cls.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **args)
    model.eval()
    missing = sorted(k for k in info["missing_keys"] if not any(x in k for x in ("pooler", "num_batches", "cross")))
    if missing:
        return {"missing": missing[:3]}
    with torch.inference_mode():
        if family == "gpt2":
            more = {} if what.get("generate") else {"eos_token_id": None, "do_sample": False}
            out = model.generate(torch.tensor([ids]), max_new_tokens=8, **more)
            return {"tokens": out[0, len(ids):].tolist(), "logits": rounded(model(torch.tensor([ids])).logits[0, -1])}
        if family == "clip":
            out = model(pixel_values=pixels([20, 20]), input_ids=torch.tensor(what["texts"]), attention_mask=torch.tensor(what["mask"]))
            return {"rows": rounded(out.text_embeds.flatten()), "logits": rounded(out.logits_per_image[0])}
        if family == "bert":
            return {"rows": rounded(model(torch.tensor([ids])).last_hidden_state.flatten())}
        return {"logits": rounded(model(pixels(what.get("shape", [40, 40]))).logits[0]),
                "labels": [str(model.config.id2label.get(i, "")) for i in range(model.config.num_labels)]}


def rounded(x):
    return [float(f"{v:.8g}") for v in x.tolist()]


def write(testdata, folder, base, what):
    """The variant's folder."""
    source = os.path.join(testdata, base)
    with open(os.path.join(source, "config.json")) as f:
        config = json.load(f)
    for key in what.get("drop", []):
        config.pop(key, None)
    config.update(what.get("set", {}))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    tensors = safetensors.torch.load_file(os.path.join(source, "model.safetensors"))
    safetensors.torch.save_file(changed(tensors, what.get("tensors", [])), os.path.join(folder, "model.safetensors"), {"format": "pt"})
    files = dict(what.get("files", {}))
    if os.path.exists(os.path.join(source, "generation_config.json")):
        files.setdefault("generation_config.json", open(os.path.join(source, "generation_config.json")).read())
    for name, text in files.items():
        if text is not None:
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)


def make_xlm_roberta(testdata):
    torch.manual_seed(6)
    config = transformers.XLMRobertaConfig(
        vocab_size=61, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
        max_position_embeddings=24, type_vocab_size=1, attn_implementation="eager")
    model = transformers.XLMRobertaModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(1.0 if p.ndim == 1 else 0.0, 0.3)
    folder = os.path.join(testdata, "bert", "xlm-roberta")
    model.save_pretrained(folder)
    os.chmod(os.path.join(folder, "model.safetensors"), 0o644)


def main(testdata):
    make_xlm_roberta(testdata)
    out = []
    with tempfile.TemporaryDirectory() as top:
        testdata = os.path.abspath(testdata)
        os.chdir(top)
        folder = os.path.join(top, "plain")
        os.makedirs(folder)
        write(testdata, folder, "gpt2/basic", {})
        with open("GREEDY", "w") as f:
            json.dump(run(folder, "gpt2", {}, [1, 5, 9])["tokens"][:3], f)
        shutil.copy(os.path.join(testdata, "clip", "quick", "config.json"), "CLIP")
        for name, base, what in variants():
            family = base.split("/")[0]
            folder = os.path.join(top, "variant")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            write(testdata, folder, base, what)
            ids = what.get("ids", [1, 5, 9])
            try:
                got = run(folder, family, what, ids)
            except Exception as e:  # whatever it says
                got = {"raises": f"{type(e).__name__}: {e}".split("\n")[0][:120]}
            # NaN is not JSON: what is set goes as the text of an object.
            entry = {"name": name, "base": base, "set": json.dumps(what.get("set", {})), "ids": ids}
            entry |= {k: what[k] for k in ("drop", "tensors", "files", "shape", "generate", "texts", "mask") if k in what} | {"want": got}
            out.append(entry)
            print(base, name, list(got), got.get("tokens", got.get("raises", got.get("missing", ""))))
    os.makedirs(os.path.join(testdata, "variants"), exist_ok=True)
    with open(os.path.join(testdata, "variants", "variants.json"), "w", encoding="ascii") as f:
        f.write('{"transformers": "%s", "torch": "%s", "variants": [\n' % (transformers.__version__, torch.__version__.split("+")[0]))
        f.write(",\n".join(json.dumps(v, separators=(",", ":")) for v in out))
        f.write("\n]}\n")


main(sys.argv[1])

"""Writes workloads/tokenizer/testdata/beside/: what transformers' AutoTokenizer
makes of a tokenizer.json with other files beside it, and of forms of its split.

    python make_tokenizer_settings.py ../../workloads/tokenizer/testdata

Each row of goldens.json changes keys of plain/tokenizer.json and writes files
beside it, by their text.
"""

import json
import os
import shutil
import sys
import tempfile

import transformers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()

TEXTS = ["the <new>cat", "see</s> x", "the 123x  45", "a<|endoftext|> b", " the", "the  ²٣ x", "<x><new>the"]
NEW = {"content": "<new>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
END = NEW | {"content": "<|endoftext|>"}


def variants(plain):
    byte_level = plain["pre_tokenizer"]
    gpt2 = {"config.json": {"model_type": "gpt2"}}
    x = {"id": len(plain["model"]["vocab"]), "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": False}

    def seq(*parts):
        return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(parts)}}
    prefixed, whole = byte_level | {"add_prefix_space": True}, byte_level | {"use_regex": False}
    each, runs = {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False}
    # What the class does with the split.
    for c in (None, "GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend", "FooTokenizer"):
        for files in ({}, gpt2):
            for space in (None, True, False):
                for edit in ({}, {"pre_tokenizer": prefixed}):
                    config = ({} if c is None else {"tokenizer_class": c}) | ({} if space is None else {"add_prefix_space": space})
                    yield edit, files | ({"tokenizer_config.json": config} if config else {})
    for edit in (seq(byte_level), seq(seq(byte_level)["pre_tokenizer"]), seq(each, byte_level), seq(runs, byte_level), seq(each, prefixed),
                 seq(runs, whole), {"pre_tokenizer": whole}, {"normalizer": {"type": "NFC"}},
                 {"decoder": {"type": "Sequence", "decoders": [plain["decoder"]]}},
                 {"decoder": {"type": "Sequence", "decoders": [plain["decoder"], {"type": "Fuse"}]}},
                 {"post_processor": {"type": "BertProcessing", "sep": ["a", plain["model"]["vocab"]["a"]], "cls": ["b", plain["model"]["vocab"]["b"]]}}):
        yield edit, {}
        yield edit, gpt2
    small = {"vocab": {"a": 0, "b": 1, "\u0120": 2, "the": 3, "t": 4, "h": 5, "e": 6, "th": 7}, "merges": [["t", "h"]]}
    for model in ({"unk_token": "b", "fuse_unk": True}, {"unk_token": "b"}, {"ignore_merges": True}, {"dropout": None}):
        yield {"model": {"type": "BPE"} | small | model, "added_tokens": []}, {}
        yield {"model": {"type": "BPE"} | small | model, "added_tokens": []}, gpt2
    yield {"added_tokens": []}, gpt2
    yield {"added_tokens": []}, {}
    more = plain["added_tokens"] + [x]
    # Tokens that the files add.
    for c in ({}, {"tokenizer_class": "GPT2Tokenizer"}):
        def config(**keys):
            return {"tokenizer_config.json": c | keys}
        yield {}, config(added_tokens_decoder={"700": NEW})
        yield {}, config(added_tokens_decoder={"0": END, "90000": NEW})
        yield {}, config(added_tokens_decoder={"901": NEW | {"content": "</s>"}, "900": NEW})
        yield {}, config(added_tokens_decoder={"700": NEW | {"lstrip": True}, "0": END | {"lstrip": True}})
        yield {}, config(added_tokens_decoder={"700": NEW | {"content": "the", "special": False}})
        yield {}, config(added_tokens_decoder={"700": NEW | {"content": "the", "single_word": True}})
        yield {}, config(added_tokens_decoder={"700": NEW | {"rstrip": True, "normalized": True, "special": False}})
        yield {}, config(added_tokens_decoder={"700": NEW | {"content": ""}})
        yield {"added_tokens": more}, config()
        yield {"added_tokens": more}, config(added_tokens_decoder={"9000": NEW})
        yield {"added_tokens": more}, config(added_tokens_decoder={"9000": NEW}) | {"added_tokens.json": {"</s>": 9}}
        yield {}, config(additional_special_tokens=["<new>"])
        yield {}, config(additional_special_tokens=[NEW | {"lstrip": True, "__type": "AddedToken"}, "</s>"])
        yield {}, config(extra_special_tokens=["<new>", "</s>"])
        yield {}, config(extra_special_tokens={"image_token": "<new>", "audio_token": "</s>"})
        yield {}, config(additional_special_tokens=["<new>"], extra_special_tokens=["</s>"])
        yield {}, config(image_token="<new>", other=3, x_token=None)
        yield {}, config(pad_token="<new>")
        yield {}, config(eos_token="</s>")
        yield {}, config(eos_token={"content": "</s>", "lstrip": True, "__type": "AddedToken"})
        yield {}, config(eos_token=None, bos_token=None)
        yield {}, config(eos_token="</s>", pad_token="<new>", unk_token="<unk>", cls_token="the", mask_token="<x>")
        yield {}, config(eos_token="the")
        yield {}, config(add_bos_token=True, add_eos_token=True, bos_token="<new>")
        yield {}, config(x=float("nan"), model_max_length=10 ** 30, chat_template={"a": [1]})
        s = "special_tokens_map.json"
        yield {}, config() | {s: {"eos_token": "</s>"}}
        yield {}, config(eos_token="the") | {s: {"eos_token": "</s>"}}
        yield {}, config(added_tokens_decoder={"700": NEW}) | {s: {"eos_token": "</s>"}}
        yield {}, config() | {s: {"additional_special_tokens": ["<new>"]}}
        yield {}, config() | {s: {"eos_token": {"content": "</s>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}}}
        yield {}, config(extra_special_tokens=["<new>"]) | {s: {"extra_special_tokens": ["</s>"]}}
        yield {}, config(extra_special_tokens=["<new>"]) | {s: {"additional_special_tokens": ["</s>"]}}
        a = "added_tokens.json"
        yield {}, config() | {a: {"<new>": 700, "</s>": 701}}
        yield {}, config() | {a: {"<new>": 701, "</s>": 700}}
        yield {"added_tokens": more}, config() | {a: {"<new>": 9000}}
        yield {}, config(added_tokens_decoder={"700": NEW}) | {a: {"</s>": 700}}
        yield {}, config() | {a: {"<new>": 700}, s: {"eos_token": "<new>"}}
        yield {}, config(eos_token="</s>", bos_token="<new>") | {a: {"<x>": 4}}


def main(testdata):
    with open(os.path.join(testdata, "plain", "tokenizer.json")) as f:
        plain = json.load(f)
    rows = []
    with tempfile.TemporaryDirectory() as top:
        for edit, files in variants(plain):
            folder = os.path.join(top, "t")
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            texts = {name: json.dumps(content) for name, content in files.items()}
            with open(os.path.join(folder, "tokenizer.json"), "w") as f:
                json.dump(plain | edit, f)
            for name, text in texts.items():
                with open(os.path.join(folder, name), "w") as f:
                    f.write(text)
            t = AutoTokenizer.from_pretrained(folder)
            ids = [t(x)["input_ids"] for x in TEXTS]
            rows.append({"edit": edit, "files": texts, "ids": ids, "decoded": [t.decode(i) for i in ids], "eos": t.eos_token_id, "pad": t.pad_token_id})
    out = os.path.join(testdata, "beside")
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "goldens.json"), "w", encoding="ascii") as f:
        head = {"transformers": transformers.__version__, "texts": TEXTS}
        f.write(json.dumps(head)[:-1] + ', "rows": [\n' + ",\n".join(json.dumps(r) for r in rows) + "\n]}\n")


main(sys.argv[1])

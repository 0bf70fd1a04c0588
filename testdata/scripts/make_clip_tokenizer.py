"""Trains a small vocabulary for CLIP's tokenizer and writes what transformers'
CLIPTokenizerFast makes of some texts.

    python testdata/scripts/make_clip_tokenizer.py --out workloads/tokenizer/testdata/clip

The vocabulary has the layout of the published one: 256 bytes, 256 bytes that
end a word, merges in their order, <|startoftext|>, <|endoftext|>.
--merges N bounds the merges; --no-golden writes the tokenizer only.

With --published FILE (bpe_simple_vocab_16e6.txt.gz, which the PyPI packages
open_clip_torch and clip-anytorch ship under MIT licence; not committed here)
the vocabulary is that one: 49,408 tokens.
"""

import argparse
import gzip
import itertools
import json
import os

import tokenizers
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizerFast

START, END, SUFFIX = "<|startoftext|>", "<|endoftext|>", "</w>"
SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"

SHAPES = ["circle", "rectangle", "triangle", "square", "star"]
COLOURS = ["red", "green", "blue", "black", "gray", "teal", "brown", "yellow", "white"]
THINGS = ["cat", "dog", "house", "bicycle", "person", "photograph", "mountain", "street", "bridge", "apple", "bird"]


def corpus():
    for colour, shape in itertools.product(COLOURS, SHAPES):
        yield f"what color is the {shape}? it is {colour}."
        yield f"is there a {colour} {shape} in the image? yes, there is. no, there isn't."
        yield f"question: what shape is this? answer: {shape}"
    for colour, thing in itertools.product(COLOURS, THINGS):
        yield f"a photo of a {colour} {thing}, it's a {thing} and they'll say that we've seen it."
        yield f"how many {thing}s are in the picture? one, two, three or 4?"


def train(merges):
    bpe = Tokenizer(models.BPE(end_of_word_suffix=SUFFIX, continuing_subword_prefix=""))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(tokenizers.Regex(SPLIT), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(vocab_size=4096, end_of_word_suffix=SUFFIX, show_progress=False, limit_alphabet=256)
    bpe.train_from_iterator(corpus(), trainer)
    rules = json.loads(bpe.to_str())["model"]["merges"]
    return [tuple(r) if isinstance(r, list) else tuple(r.split(" ")) for r in rules][:merges]


def published(path):
    lines = gzip.open(path, "rt", encoding="utf-8").read().split("\n")
    return [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]


def letters():
    """The bytes' letters in GPT-2's order: printable ones first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def vocabulary(merges):
    tokens = letters()
    tokens += [t + SUFFIX for t in tokens]
    tokens += [a + b for a, b in merges]
    tokens += [START, END]
    vocab = {t: i for i, t in enumerate(tokens)}
    assert len(vocab) == len(tokens)
    return vocab


TEXTS = [
    "", " ", "a", "A photo of a Cat", "question: what color is the circle? answer: red", "  spaces \t\n and\u00a0more\u2003 ",
    "it's THEY'LL we've I'd don't isn't 'tis 's'", "'sound 'Sound rock'n'roll", "1234 4th 3.14 \u00bd \u0664\u0665",
    "!!! ...'s '' \"quoted\" (x) -- a_b @home #1", "caf\u00e9 cafe\u0301 \u00c9COLE na\u00efve", "\u0130stanbul I\u0307 \u0130\u0323 DI\u0323\u0307",
    "\u03a3\u0391\u03a3 \u03c3\u03b1\u03c2 STRASSE \u1e9e \u01c5", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8", "emoji \U0001f600\U0001f44d\U0001f3fd\u200d\u2764\ufe0f!",
    "</w> a</w> <w>", "<|startoftext|> in the <|endoftext|> middle<|endoftext|>", "<|STARTOFTEXT|> upper <|EndOfText|>x",
    "<|startoftext|", "a\u0085b\u2028c\u180ed\u200be\ufefff", "tab\there\r\nline\x0b\x0cend", "\u0301alone \u00a0", "x" * 60,
    "how many bicycles are in the picture? " * 9, "\u1100\u1161\u11a8 \u212b \ufb01 \u2460", "a\x00b\x07", "na\u0303o \u00df \u0131",
]


def legacy(text):
    """tokenizer.json as it was published before version 5."""
    file = json.loads(text)
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = SPLIT
    del file["pre_tokenizer"]["pretokenizers"][1]["use_regex"]
    for token in file["added_tokens"]:
        token["normalized"] = True
    return json.dumps(file)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", required=True)
    args.add_argument("--merges", type=int, default=300)
    args.add_argument("--length", type=int, default=77)
    args.add_argument("--published")
    args.add_argument("--no-golden", action="store_true")
    args = args.parse_args()
    merges = published(args.published) if args.published else train(args.merges)
    fast = CLIPTokenizerFast(vocab=vocabulary(merges), merges=merges, model_max_length=args.length)
    os.makedirs(args.out, exist_ok=True)
    fast.save_pretrained(args.out)
    if args.no_golden:
        return
    text = fast.backend_tokenizer.to_str()
    old = Tokenizer.from_str(legacy(text))
    rows = []
    for t in TEXTS:
        ids = fast(t)["input_ids"]
        fixed = fast(t, padding="max_length", truncation=True, max_length=args.length)
        short = fast(t, padding="max_length", truncation=True, max_length=9)
        rows.append(
            {
                "text": t, "ids": ids, "decoded": fast.decode(ids), "legacy": old.encode(t).ids,
                "fixed": fixed["input_ids"], "mask": sum(fixed["attention_mask"]),
                "short": short["input_ids"], "short_mask": sum(short["attention_mask"]),
            }
        )
    golden = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "size": len(fast), "length": args.length}
    with open(os.path.join(args.out, "clip_golden.json"), "w") as f:
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        f.write(json.dumps(golden, indent=1)[:-2] + ',\n "rows": [\n' + lines + "\n ]\n}\n")


main()

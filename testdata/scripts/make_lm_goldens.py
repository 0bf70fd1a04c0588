"""Goldens of a trained model directory, made from its stored weights in float32.

    python make_lm_goldens.py ../models/austen             # golden.json, tokenizer_golden.json
    python make_lm_goldens.py ../models/austen --sample 3  # print samples, write nothing

golden.json holds, for a few text prompts, their ids, the greedy ids and the text
those decode to, and the smallest margin between the best and the second logit.
The prompts are those of PROMPTS that leave no close call (MIN_MARGIN).

tokenizer_golden.json holds {"text", "ids", "decoded"} for strings of all sorts.
The ids are those of the tokenizers library; the script asserts that
transformers' AutoTokenizer gives the same. Decoding skips no special tokens.
"""

import argparse
import os

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

import gpt2_ref as ref

EOT = "<|endoftext|>"
NEW = 100
WANTED = 6  # prompts kept
MIN_MARGIN = 3e-4  # (best - second) / max|logit|

PROMPTS = (
    EOT,
    "It is a truth universally acknowledged,",
    "She was",
    "Elinor could not",
    "\"My dear Mr. Bennet,\" said his lady",
    "The next morning",
    "Mrs. Jennings was a widow with an ample jointure. She had only two daughters, both of whom she had lived "
    "to see respectably married, and she had now therefore nothing to do but to marry all the rest of the world.",
    "Captain Wentworth",
    "Emma",
    "In the afternoon they walked to the",
    "\"I cannot imagine,\" said Anne,",
    "Mr. Darcy looked at her",
    "A letter from",
    "When the ladies returned to the drawing-room,",
)

STRINGS = (
    "",
    " ",
    "  ",
    "     five spaces before, and three   inside",
    "trailing spaces   ",
    "\n",
    "\n\n",
    "a\nb\n\nc\n\n\nd",
    "line one\r\nline two\r\n",
    "\ttab\tand \t mixed \n\t white space",
    "a",
    "Hello, world!",
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want "
    "of a wife.",
    "I'm sure we've said they'll come; he'd go, it's late, you're right, don't!",
    "I'M SURE WE'VE SHOUTED; DON'T!",
    "the Bennets' house, 'quoted' and ''twice''",
    "curly \u2018quotes\u2019 and \u201cdoubles\u201d, it\u2019s \u2014 an em dash\u2026",
    "Mr. Darcy--who had 10,000 a year--bowed.",
    "\u00a310,000 \u20ac20 $30",
    "1234567890 3.14159 1e-5 0x1F 2,000,000",
    "caf\u00e9 na\u00efve \u00fcber stra\u00dfe \u00c5ngstr\u00f6m",
    "cafe\u0301 (combining acute)",
    "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u05e2\u05d1\u05e8\u05d9\u05ea "
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\u65e5\u672c\u8a9e \u4e2d\u6587 \ud55c\uad6d\uc5b4",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1ec\U0001f1e7 \U0001f44d\U0001f3fd",
    "no\u00a0break\u2003em space\u3000ideographic",
    "zero\u200bwidth\ufeffmark",
    "\u00b2 \u00bd \u2163 \u0663 superscripts, fractions, Roman and Arabic-Indic digits",
    "\x00 nul and \x1b escape \x7f",
    "!@#$%^&*()_+-=[]{}|;':\",./<>?`~",
    "...!!!???",
    "under_score and __dunder__",
    "antidisestablishmentarianism supercalifragilisticexpialidocious",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "func main() {\n\tfmt.Println(\"hi\")\n}\n",
    EOT,
    EOT + "CHAPTER I",
    "one" + EOT + "two " + EOT + EOT + " three",
    "<|endoftext",
    "\U0010ffff\U00010000",
    "\n \n  \n a",
    "end with newline \n",
)


def tokenizer_golden(directory, tok):
    auto = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    rows = []
    for text in STRINGS:
        ids = tok.encode(text).ids
        decoded = tok.decode(ids, skip_special_tokens=False)
        assert auto(text)["input_ids"] == ids, (text, auto(text)["input_ids"], ids)
        assert auto.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False) == decoded
        assert decoded == text, (text, decoded)
        rows.append({"text": text, "ids": ids, "decoded": decoded})
    ref.write_json(os.path.join(directory, "tokenizer_golden.json"), {
        **ref.versions(), "vocab_size": tok.get_vocab_size(), "strings": rows,
    })
    print(f"{len(rows)} strings")


def model_golden(directory, tok):
    model = ref.load(directory)
    rows = []
    for prompt in PROMPTS:
        ids = tok.encode(prompt).ids
        tokens, pre, steps = ref.greedy(model, ids, NEW)
        margin = ref.margin(torch.cat([pre[-1:], steps]))
        text = tok.decode(tokens, skip_special_tokens=False)
        print(f"{margin:.1e} {prompt!r} -> {text!r}\n")
        if margin >= MIN_MARGIN and len(rows) < WANTED:
            rows.append({
                "text": prompt, "ids": ids, "greedy": tokens, "decoded": text,
                "min_margin": margin, "max_abs_logit": float(torch.cat([pre, steps]).abs().max()),
            })
    assert len(rows) >= 4, "too few prompts without a close call"
    ref.write_json(os.path.join(directory, "golden.json"), {
        **ref.versions(), "new": NEW, "prompts": rows,
    })
    print(f"{len(rows)} prompts")


def samples(directory, count, prompt, seed):
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, local_files_only=True)
    auto = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    torch.manual_seed(seed)
    ids = auto(prompt, return_tensors="pt")
    for _ in range(count):
        out = model.generate(**ids, max_new_tokens=150, do_sample=True, temperature=0.8, top_k=40, pad_token_id=0)
        print(auto.decode(out[0], skip_special_tokens=True), end="\n\n---\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("directory")
    p.add_argument("--sample", type=int, metavar="N", help="print N samples (temperature 0.8, top-k 40)")
    p.add_argument("--prompt", default=EOT)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--tokenizer-only", action="store_true")
    args = p.parse_args()
    torch.set_num_threads(1)
    if args.sample:
        return samples(args.directory, args.sample, args.prompt, args.seed)
    tok = Tokenizer.from_file(os.path.join(args.directory, "tokenizer.json"))
    tokenizer_golden(args.directory, tok)
    if not args.tokenizer_only:
        model_golden(args.directory, tok)


if __name__ == "__main__":
    main()

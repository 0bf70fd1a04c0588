"""The easy-VQA data set as its Python package ships it.

    pip download --no-deps easy-vqa==1.0
    python easy_vqa_data.py --wheel easy_vqa-1.0-py3-none-any.whl --out ../easy-vqa

reads the package, without installing it, and packs the test split into three
files: images.png, a sheet of all images, 32 in a row; questions.json; the
package's LICENSE. The packing is without loss, which it checks.
"""

import argparse
import hashlib
import io
import json
import os
import re
import zipfile

import numpy as np
from PIL import Image

VERSION = "1.0"
SHA256 = "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f"
SIZE = 64     # height and width of an image
COLUMNS = 32  # images in a row of the sheet


class Split:
    """One half of the data set: images [n, 64, 64, 3] of bytes and, for each
    question, its text, its answer and the number of its image."""

    def __init__(self, wheel, name):
        folder = f"easy_vqa/data/{name}/"
        items = json.loads(wheel.read(folder + "questions.json"))
        self.questions = [q for q, _, _ in items]
        self.answers = [a for _, a, _ in items]
        self.image = np.array([i for _, _, i in items])
        self.images = np.stack([
            np.asarray(Image.open(io.BytesIO(wheel.read(f"{folder}images/{i}.png"))).convert("RGB"))
            for i in range(self.image.max() + 1)
        ])
        assert self.images.shape[1:] == (SIZE, SIZE, 3)
        assert (np.diff(self.image) >= 0).all(), "questions are ordered by image"


def open_wheel(path):
    with open(path, "rb") as f:
        got = hashlib.sha256(f.read()).hexdigest()
    if got != SHA256:
        raise SystemExit(f"{path} is not easy-vqa {VERSION}: sha256 {got}")
    return zipfile.ZipFile(path)


def answer_list(wheel):
    """The 13 answers, in the package's order."""
    return wheel.read("easy_vqa/data/answers.txt").decode().split()


def words(question):
    """The words of a question: its runs of the letters a to z, in lower case."""
    return re.findall("[a-z]+", question.lower())


def normalise(images):
    """Bytes [n, h, w, 3] as the network reads them: float32 [n, 3, h, w] from
    -0.5 to 0.5."""
    x = images.astype(np.float32) / np.float32(255) - np.float32(0.5)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def sheet(images):
    n = len(images)
    rows = -(-n // COLUMNS)
    out = np.zeros((rows * SIZE, COLUMNS * SIZE, 3), np.uint8)
    for i, x in enumerate(images):
        y, z = i // COLUMNS * SIZE, i % COLUMNS * SIZE
        out[y : y + SIZE, z : z + SIZE] = x
    return out


def pack(wheel, out):
    split, answers = Split(wheel, "test"), answer_list(wheel)
    os.makedirs(out, exist_ok=True)
    whole = sheet(split.images)
    path = os.path.join(out, "images.png")
    Image.fromarray(whole).save(path, optimize=True)
    assert (np.asarray(Image.open(path)) == whole).all()
    texts = sorted(set(split.questions))
    items = [[] for _ in split.images]
    for q, a, i in zip(split.questions, split.answers, split.image):
        items[i].append([texts.index(q), answers.index(a)])
    with open(os.path.join(out, "questions.json"), "w", encoding="ascii") as f:
        f.write('{"package": "easy-vqa %s", "split": "test",\n' % VERSION)
        f.write(f'"answers": {json.dumps(answers)},\n"questions": {json.dumps(texts, indent=0)},\n"images": [\n')
        f.write(",\n".join(json.dumps(x, separators=(",", ":")) for x in items))
        f.write("\n]}\n")
    with open(os.path.join(out, "LICENSE"), "wb") as f:
        f.write(wheel.read(f"easy_vqa-{VERSION}.dist-info/LICENSE"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--wheel", required=True)
    p.add_argument("--out", required=True)
    args = p.parse_args()
    pack(open_wheel(args.wheel), args.out)


if __name__ == "__main__":
    main()

"""The training text of testdata/models/austen: Jane Austen's six novels.

Source: the Debian package r-cran-janeaustenr, version 1.0.0-1 (the R package
janeaustenr 1.0.0), got with `apt-get download r-cran-janeaustenr`. The novels
appeared between 1811 and 1817 and are in the public domain; the package took
them from Project Gutenberg, without its headers, and is itself under the MIT
licence (Copyright 2016-2017 Julia Silge). It has no other text in it.

The package holds the novels as six R character vectors, one string a line, in
one file of zlib blocks. They are read here without R. Lines of a paragraph are
joined by a space, paragraphs parted by an empty line, the underscores of
italics dropped, and each chapter becomes one document.

    python austen_text.py r-cran-janeaustenr_1.0.0-1_all.deb > austen.txt
"""

import hashlib
import re
import struct
import subprocess
import sys
import tarfile
import zlib

SHA256 = "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95"
MEMBER = "./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
NOVELS = ("emma", "mansfieldpark", "northangerabbey", "persuasion", "prideprejudice", "sensesensibility")
HEADING = re.compile(r"^(CHAPTER|VOLUME)\b", re.IGNORECASE)

STRSXP, CHARSXP = 16, 9  # types in R's serialisation


def novels(deb):
    """{name: [line, ...]} of the package's novels."""
    with open(deb, "rb") as f:
        if hashlib.file_digest(f, "sha256").hexdigest() != SHA256:
            raise SystemExit(f"{deb} is not r-cran-janeaustenr 1.0.0-1")
    tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    data = None
    with tarfile.open(fileobj=tar.stdout, mode="r|") as t:
        for member in t:
            if member.name == MEMBER:
                data = t.extractfile(member).read()
    tar.wait()
    blocks = []
    while data:  # u32 length (big-endian), zlib stream
        (size,) = struct.unpack(">I", data[:4])
        z = zlib.decompressobj()
        blocks.append(z.decompress(data[4:]))
        assert len(blocks[-1]) == size
        data = z.unused_data
    assert len(blocks) == len(NOVELS)
    return {name: strings(block) for name, block in zip(NOVELS, blocks)}


def strings(block):
    """The character vector in R's XDR serialisation, version 3."""
    assert block[:6] == b"X\n\x00\x00\x00\x03"
    (encoding,) = struct.unpack_from(">i", block, 14)
    at = 18 + encoding
    flags, count = struct.unpack_from(">ii", block, at)
    assert flags & 0xFF == STRSXP
    at += 8
    lines = []
    for _ in range(count):
        flags, size = struct.unpack_from(">ii", block, at)
        assert flags & 0xFF == CHARSXP and size >= 0
        at += 8
        lines.append(block[at : at + size].decode("utf-8"))
        at += size
    return lines


def chapters(lines):
    """Documents, one a chapter, out of the lines of a novel."""
    paragraphs, held = [], []
    for line in [*lines, ""]:
        line = " ".join(line.replace("_", "").split())
        if line:
            held.append(line)
        elif held:
            paragraphs.append(" ".join(held))
            held = []
    documents = [[]]
    for p in paragraphs:
        # a volume's heading stands before its first chapter's
        if HEADING.match(p) and any(not HEADING.match(q) for q in documents[-1]):
            documents.append([])
        documents[-1].append(p)
    # title pages and closing words are shorter than any chapter
    return [t for d in documents if len(t := "\n\n".join(d)) > 1000]


def documents(deb):
    """{novel: [chapter, ...]}"""
    return {name: chapters(lines) for name, lines in novels(deb).items()}


if __name__ == "__main__":
    for name, docs in documents(sys.argv[1]).items():
        print(f"{name}: {len(docs)} chapters, {sum(map(len, docs))} characters", file=sys.stderr)
        for text in docs:
            print(text, end="\n\n")

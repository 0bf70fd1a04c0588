"""Writes testdata/images/rare: pictures of rare forms, and what transformers'
load_image makes of them: how the camera was held (Pillow's exif_transpose) is
applied, and the result is RGB.

    python testdata/scripts/make_picture_goldens.py testdata/images/rare

golden.json has the size and the sha256 of the RGB bytes of each file, or none
where Genie refuses the file in its own words ("refused"). It needs Pillow and
cjpeg of libjpeg-turbo, whose own example programs are the only ones that write
every sampling and any script of scans.

Reports of such pictures: libjpeg-turbo/libjpeg-turbo#343 and #700 (progressive
files that were cut between scans), golang/go#62421 and #54997 (sampling),
mistralai/mistral-common#331 and mflux-community/mflux#495 (orientation).
"""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy as np
import PIL
from make_image_goldens import scene
from PIL import Image, ImageOps, features

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"

# Scripts of scans, as cjpeg -scans reads them.
MEANS_FIRST = """0,1,2: 0-0, 0, 1; 0: 1-5, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1; 0: 6-63, 0, 2;
0: 1-63, 2, 1; 0,1,2: 0-0, 1, 0; 2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;"""
ONE_BY_ONE = "0: 0-0,0,0; 1: 0-0,0,0; 2: 0-0,0,0; 0: 1-2,0,3; 0: 3-9,0,0; 1: 1-4,0,1; 2: 5-63,0,0;"
GREY = "0: 0-0,0,1; 0: 1-5,0,2; 0: 6-63,0,2; 0: 1-63,2,1; 0: 0-0,1,0; 0: 1-63,1,0;"


def cjpeg(pixels, *options, scans=None):
    b = io.BytesIO()
    Image.fromarray(pixels).save(b, "PPM")
    with tempfile.NamedTemporaryFile("w") as f:
        if scans:
            f.write(scans)
            f.flush()
            options += ("-scans", f.name)
        return subprocess.run(["cjpeg", *options], input=b.getvalue(), capture_output=True, check=True).stdout


def first_scans(jpeg, n):
    """A whole file, with its end marker, of the first scans."""
    at, seen = 2, 0
    while jpeg[at + 1] != 0xD9:
        begins, marker = at, jpeg[at + 1]
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xDA:
            seen += 1
            if seen > n:
                return jpeg[:begins] + b"\xff\xd9"
            while jpeg[at] != 0xFF or jpeg[at + 1] == 0 or 0xD0 <= jpeg[at + 1] <= 0xD7:
                at += 1
    return jpeg


def progressive():
    rough, smooth = scene(73, 51), scene(73, 51, noise=3)
    grey, small = scene(41, 35, noise=3)[:, :, 1], scene(19, 37, noise=3)
    for n in (1, 2, 3, 5, 7, 9):
        yield f"scans-{n}.jpg", first_scans(cjpeg(smooth, "-quality", "60", scans=MEANS_FIRST), n)
    for n in (2, 3, 5, 6, 7):
        yield f"single-{n}.jpg", first_scans(cjpeg(rough, "-quality", "40", scans=ONE_BY_ONE), n)
    for n in (1, 3, 4):
        yield f"grey-{n}.jpg", first_scans(cjpeg(grey, "-grayscale", "-quality", "80", scans=GREY), n)
    # The rows of blocks that fill up the last MCUs, and what is taken for them.
    for sampling in ("2x2", "1x4", "4x2", "1x2,1x2,1x1", "2x2,2x1,1x2"):
        name = sampling.replace(",", "_")
        yield f"means-{name}.jpg", first_scans(cjpeg(small, "-sample", sampling, "-quality", "50", scans=MEANS_FIRST), 1)
    for n, options in ((1, ("-sample", "1x4")), (2, ("-sample", "2x2"))):
        yield f"grey-sampled-{n}.jpg", first_scans(cjpeg(grey, "-grayscale", "-quality", "80", *options, scans=GREY), n)
    yield "narrow-means.jpg", first_scans(cjpeg(scene(7, 90), "-quality", "50", scans=MEANS_FIRST), 1)
    yield "flat-means.jpg", first_scans(cjpeg(scene(90, 7), "-quality", "50", scans=MEANS_FIRST), 1)
    anew = bytearray(cjpeg(smooth, "-quality", "60", scans="0; 1; 2;"))
    second = anew.index(b"\xff\xda", anew.index(b"\xff\xda") + 2)  # each channel has the table of its first scan
    anew[second:second] = b"\xff\xdb\0\x43\0" + b"\1" * 64
    yield "tables-anew.jpg", bytes(anew)
    yield "restart-means.jpg", first_scans(cjpeg(rough, "-quality", "50", "-restart", "2", scans=MEANS_FIRST), 4)


def sampled():
    pixels = scene(45, 37)
    for sampling in (
        "1x2", "4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "2x2,2x1,1x2", "2x1,2x1,1x1", "2x2,1x1,2x2",
        "1x1,2x2,1x1", "4x1,2x1,1x1", "1x1,1x1,2x1",
    ):  # fmt: skip
        name = sampling.replace(",", "_")
        yield f"sampling-{name}.jpg", cjpeg(pixels, "-quality", "75", "-sample", sampling)
    yield "sampling-3x1-progressive.jpg", cjpeg(pixels, "-quality", "75", "-sample", "3x1", "-progressive")


def tiff(orientation, order="<", kind=3, before=(), head=None, offset=8):
    """Exif data with the orientation after other entries."""
    form = {3: "H", 4: "L", 11: "f"}.get(kind)
    value = struct.pack(order + form, orientation) if form else struct.pack(order + "LL", orientation * 7, 7)
    entries, data = [*before, (0x0112, kind, 1, value)], b""
    out = (head or {"<": b"II*\0", ">": b"MM\0*"}[order]) + struct.pack(order + "L", offset) + b"\0" * (offset - 8)
    out += struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack(order + "HHL", tag, kind, count)
        if isinstance(value, int):
            out += struct.pack(order + "L", value)
        elif len(value) <= 4:
            out += value.ljust(4, b"\0")
        else:
            out += struct.pack(order + "L", offset + 2 + 12 * len(entries) + 4 + len(data))
            data += value
    return out + b"\0\0\0\0" + data


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, before=(), after=()):
    b = io.BytesIO()
    Image.fromarray(pixels).save(b, "PNG")
    b = b.getvalue()
    return b[:33] + b"".join(chunk(*c) for c in before) + b[33:-12] + b"".join(chunk(*c) for c in after) + b[-12:]


def jpeg(pixels, *segments):
    b = io.BytesIO()
    Image.fromarray(pixels).save(b, "JPEG")
    b = b.getvalue()
    return b[:20] + b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments) + b[20:]


def webp(pixels, flags, *chunks):
    def part(kind, data):
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    b = io.BytesIO()
    Image.fromarray(pixels).save(b, "WEBP", lossless=True)
    size = struct.pack("<I", pixels.shape[1] - 1)[:3] + struct.pack("<I", pixels.shape[0] - 1)[:3]
    body = part(b"VP8X", bytes([flags, 0, 0, 0]) + size) + b.getvalue()[12:] + b"".join(part(*c) for c in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def raw_profile(data):
    """As ImageMagick writes it."""
    digits = data.hex()
    lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    return f"\nexif\n{len(data):8}\n{lines}\n".encode()


def turned():
    p = (np.arange(7 * 5 * 3) * 2).astype(np.uint8).reshape(5, 7, 3)
    for o in range(1, 9):
        yield f"turned-{o}.jpg", jpeg(p, EXIF + tiff(o, "<>"[o % 2]))
        yield f"turned-{o}.png", png(p, [(b"eXIf", tiff(o, "><"[o % 2]))])
        yield f"turned-{o}.webp", webp(p, 8, (b"EXIF", tiff(o, "<>"[o % 2])))
    yield "turned-9.jpg", jpeg(p, EXIF + tiff(9))
    yield "type-long.jpg", jpeg(p, EXIF + tiff(6, kind=4))
    yield "type-rational.jpg", jpeg(p, EXIF + tiff(6, kind=5))
    yield "type-float.jpg", jpeg(p, EXIF + tiff(6, kind=11))
    yield "twice-prefixed.jpg", jpeg(p, EXIF + EXIF + tiff(6))
    yield "other-byte-order.jpg", jpeg(p, EXIF + tiff(6, ">", head=b"MM*\0"))
    yield "entries-before.jpg", jpeg(p, EXIF + tiff(6, before=[(271, 2, 20, b"Cameras and Company\0")], offset=20))
    yield "entry-outside.jpg", jpeg(p, EXIF + tiff(6, before=[(271, 2, 20, 0xFFFF00)]))
    yield "entry-huge.jpg", jpeg(p, EXIF + tiff(6, before=[(271, 2, 0xFFFFFFFF, 0)]))
    yield "no-tiff.jpg", jpeg(p, EXIF + b"neither Exif nor TIFF")
    large = tiff(6, before=[(271, 2, 300, b"A" * 300)])
    yield "two-segments.jpg", jpeg(p, EXIF + large[:15], EXIF + large[15:])
    attribute, element = b'<x tiff:Orientation="6"/>', b"<tiff:Orientation>8</tiff:Orientation>"
    yield "xmp.jpg", jpeg(p, XMP + attribute)
    yield "xmp-and-exif.jpg", jpeg(p, XMP + attribute, EXIF + tiff(1))
    yield "xmp.webp", webp(p, 4, (b"XMP ", element))
    yield "xmp.png", png(p, [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + element)])
    yield "xmp-compressed.png", png(p, [(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(attribute))])
    yield "no-flag.webp", webp(p, 0, (b"EXIF", tiff(6)))
    yield "after.png", png(p, after=[(b"eXIf", tiff(6))])
    profile = raw_profile(EXIF + tiff(6, before=[(271, 2, 90, b"B" * 90)]))
    yield "raw-profile.png", png(p, [(b"tEXt", b"Raw profile type exif\0" + profile)])
    yield "raw-profile-compressed.png", png(p, [(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))])
    yield "raw-profile-and-exif.png", png(p, [(b"tEXt", b"Raw profile type exif\0" + profile)], [(b"eXIf", tiff(3))])


def refused():
    p = scene(16, 16)
    yield "arithmetic.jpg", cjpeg(p, "-arithmetic"), "arithmetic coding"
    yield "arithmetic-progressive.jpg", cjpeg(p, "-arithmetic", "-progressive"), "arithmetic coding"
    b = io.BytesIO()
    Image.fromarray(p).save(b, "WEBP", save_all=True, append_images=[Image.fromarray(p.transpose(1, 0, 2))], lossless=True)
    yield "animated.webp", b.getvalue(), "animated"


def load_image(content):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    return {"size": list(image.size), "sha256": hashlib.sha256(image.tobytes()).hexdigest()}


def main(out):
    warnings.simplefilter("ignore")  # of Exif data that are broken
    os.makedirs(out, exist_ok=True)
    rows = {}
    for name, content in [*progressive(), *sampled(), *turned()]:
        rows[name] = content, load_image(content)
    for name, content, why in refused():
        rows[name] = content, {"refused": why}
    for name, (content, _) in rows.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(content)
    said = subprocess.run(["cjpeg", "-version"], capture_output=True, text=True)
    versions = {
        "pillow": PIL.__version__,
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "cjpeg": (said.stderr + said.stdout).split("\n")[0],
    }
    with open(os.path.join(out, "golden.json"), "w") as f:
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, (_, row) in rows.items())
        f.write(json.dumps(versions, indent=1)[:-2] + ',\n "pictures": {\n' + lines + "\n }\n}\n")


if __name__ == "__main__":
    main(sys.argv[1])

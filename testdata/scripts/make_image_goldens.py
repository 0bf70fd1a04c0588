"""Writes testdata/images: small pictures in every form that is read, and what
the image processors of transformers (the PIL ones) make of them.

    python testdata/scripts/make_image_goldens.py testdata/images

A picture is read as transformers' load_image does: it is turned as the camera's
orientation tag says and made RGB with convert("RGB"), so alpha is dropped. PIL
remembers a transparent colour, for which CLIP's processor puts white.
golden.json has the preprocessor_config.json of each case, the shape, and the
sha256 of the uint8 pixels [3, height, width] just before rescaling and of the
float32 output (little endian).
"""

import hashlib
import io
import json
import os
import sys

import numpy as np
import PIL
import transformers
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

CLASSES = {"CLIP": CLIPImageProcessorPil, "ConvNext": ConvNextImageProcessorPil, "ViT": ViTImageProcessorPil}

IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def scene(width, height, seed=0, noise=24):
    """Gradients, waves, hard edges and some noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = (x + 0.5) / width, (y + 0.5) / height
    out = np.stack([255 * u, 127 + 120 * np.sin(9 * u + 5 * v), 255 * (1 - v)], -1)
    out[(u - 0.55) ** 2 + (v - 0.4) ** 2 < 0.06] = (250, 40, 10)
    out[(np.abs(u - 0.25) < 0.08) & (v > 0.3)] = (0, 0, 255)
    out += np.random.default_rng(seed).normal(0, noise, out.shape)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def ramp(width, height):
    return ((np.arange(width)[None] * 7 + np.arange(height)[:, None] * 11) % 256).astype(np.uint8)


def encoded(image, form, **options):
    b = io.BytesIO()
    image.save(b, form, **options)
    return b.getvalue()


def rgb16_png(pixels):
    """PIL writes no 16-bit colour, so the chunks are made here."""
    import struct
    import zlib

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def gif_on_a_canvas(image, width, height, left, top):
    """A GIF whose only frame is a part of a larger screen."""
    b = bytearray(encoded(image, "GIF", transparency=3))
    b[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    at = 13 + 3 * 2 ** ((b[10] & 7) + 1)
    while b[at] == 0x21:
        at += 2
        while b[at]:
            at += 1 + b[at]
        at += 1
    assert b[at] == 0x2C
    b[at + 1 : at + 5] = left.to_bytes(2, "little") + top.to_bytes(2, "little")
    return bytes(b)


def pictures():
    s = scene(61, 47)
    rgb = Image.fromarray(s)
    alpha = Image.fromarray(np.dstack([s, ramp(61, 47)]), "RGBA")
    grey = rgb.convert("L")
    paletted = rgb.quantize(23)
    smooth = Image.fromarray(scene(61, 47, noise=2))
    out = {
        "rgb.png": encoded(rgb, "PNG"),
        "tall.png": encoded(Image.fromarray(scene(23, 90)), "PNG"),
        "wide.png": encoded(Image.fromarray(scene(150, 17)), "PNG"),
        "small.png": encoded(Image.fromarray(scene(5, 7)), "PNG"),
        "one.png": encoded(Image.fromarray(scene(1, 1)), "PNG"),
        "row.png": encoded(Image.fromarray(scene(37, 1)), "PNG"),
        "column.png": encoded(Image.fromarray(scene(1, 29)), "PNG"),
        "rgba.png": encoded(alpha, "PNG"),
        "grey.png": encoded(grey, "PNG"),
        "grey-alpha.png": encoded(alpha.convert("LA"), "PNG"),
        "grey16.png": encoded(Image.fromarray(ramp(61, 47).astype(np.uint16) * 5), "PNG"),
        "rgb16.png": rgb16_png(s.astype(np.uint16) * 251 + 77),
        "bilevel.png": encoded(rgb.convert("1"), "PNG"),
        "palette.png": encoded(paletted, "PNG"),
        "palette-alpha.png": encoded(paletted, "PNG", transparency=bytes(range(0, 230, 10))),
        "rgb-key.png": encoded(rgb, "PNG", transparency=tuple(int(c) for c in s[3, 5])),
        "grey-key.png": encoded(grey, "PNG", transparency=int(np.asarray(grey)[3, 5])),
        "palette-key.png": encoded(paletted, "PNG", transparency=3),
        "444.jpg": encoded(rgb, "JPEG", quality=90, subsampling=0),
        "422.jpg": encoded(rgb, "JPEG", quality=90, subsampling=1),
        "420.jpg": encoded(rgb, "JPEG", quality=90, subsampling=2),
        "even420.jpg": encoded(Image.fromarray(scene(64, 48)), "JPEG", quality=75, subsampling=2),
        "progressive.jpg": encoded(rgb, "JPEG", quality=85, subsampling=2, progressive=True),
        "progressive444.jpg": encoded(rgb, "JPEG", quality=85, subsampling=0, progressive=True),
        "restart.jpg": encoded(rgb, "JPEG", quality=90, subsampling=2, restart_marker_blocks=3),
        "restart-progressive.jpg": encoded(rgb, "JPEG", quality=60, subsampling=1, progressive=True, restart_marker_rows=1),
        "plain.jpg": encoded(rgb, "JPEG", quality=90, keep_rgb=True),
        "grey-progressive.jpg": encoded(grey, "JPEG", quality=40, progressive=True),
        "grey.jpg": encoded(grey, "JPEG", quality=90),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG", quality=95),
        "narrow420.jpg": encoded(Image.fromarray(scene(3, 11)), "JPEG", quality=90, subsampling=2),
        "one.jpg": encoded(Image.fromarray(scene(1, 1)), "JPEG", quality=90),
        "palette.gif": encoded(paletted, "GIF"),
        "key.gif": encoded(paletted, "GIF", transparency=3),
        "canvas.gif": gif_on_a_canvas(paletted, 70, 60, 4, 9),
        "rgb.bmp": encoded(rgb, "BMP"),
        "palette.bmp": encoded(paletted, "BMP"),
        "grey.bmp": encoded(grey, "BMP"),
        "lossless.webp": encoded(rgb, "WEBP", lossless=True),
        "lossless-alpha.webp": encoded(alpha, "WEBP", lossless=True, exact=True),
        "lossy.webp": encoded(smooth, "WEBP", quality=80),
        "lossy-even.webp": encoded(Image.fromarray(scene(64, 48)), "WEBP", quality=70),
        "lossy-alpha.webp": encoded(alpha, "WEBP", quality=80, exact=True),
    }
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    out["turned.jpg"] = encoded(rgb, "JPEG", quality=90, subsampling=0, exif=exif)
    return out


def configs():
    clip = dict(image_processor_type="CLIPImageProcessor", size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    resnet = dict(feature_extractor_type="ConvNextFeatureExtractor", resample=3, **IMAGENET)
    vit = dict(image_processor_type="ViTImageProcessor")
    return {
        "plain": dict(vit, do_resize=False),  # what decoding alone gives
        "clip": clip,
        "clip-old": dict(feature_extractor_type="CLIPFeatureExtractor", size=20, crop_size=18, do_center_crop=True, resample=3),
        "clip-224": dict(image_processor_type="CLIPImageProcessorFast"),
        "clip-pad": dict(clip, crop_size={"height": 31, "width": 40}),
        "clip-pad-odd": dict(clip, size={"shortest_edge": 7}, crop_size=[12, 5]),
        "clip-longest": dict(clip, size={"shortest_edge": 20, "longest_edge": 33}, do_center_crop=False),
        "clip-no-resize": dict(clip, do_resize=False, crop_size=[21, 16]),
        "resnet": dict(resnet, size=28, crop_pct=0.875),
        "resnet-224": dict(resnet, size=224, crop_pct=0.875),
        "resnet-384": dict(resnet, size={"shortest_edge": 384}, resample=2),
        "resnet-pct": dict(resnet, size={"shortest_edge": 21}, crop_pct=0.95, resample=2),
        "vit": dict(vit, size={"height": 20, "width": 28}),
        "vit-old": dict(feature_extractor_type="ViTFeatureExtractor", size=16, resample=2, image_mean=0.4, image_std=[0.5, 0.25, 0.3]),
        "nearest": dict(vit, size=[19, 23], resample=0),
        "lanczos": dict(vit, size=[19, 23], resample=1),
        "bicubic": dict(vit, size=[19, 23], resample=3),
        "box": dict(vit, size=[19, 23], resample=4),
        "hamming": dict(vit, size=[19, 23], resample=5),
        "nearest-up": dict(vit, size=[49, 50], resample=0),
        "lanczos-up": dict(vit, size=[49, 50], resample=1),
        "bilinear-up": dict(vit, size=[49, 50], resample=2),
        "bicubic-up": dict(vit, size=[49, 50], resample=3),
        "no-rescale": dict(vit, size=[8, 9], do_rescale=False),
        "no-normalize": dict(vit, size=[8, 9], do_normalize=False, rescale_factor=0.0078125),
        "raw": dict(vit, size=[8, 9], do_normalize=False, do_rescale=False),
    }


def cases(pictures, configs):
    """Every picture with three configurations, and three pictures with all."""
    for picture in pictures:
        for config in configs:
            small = picture in ("one.png", "row.png", "column.png", "one.jpg", "small.png")
            if config in ("plain", "clip", "resnet") or picture in ("rgb.png", "tall.png", "wide.png") and config != "plain":
                yield picture, config
            elif small and config in ("clip-224", "nearest", "lanczos", "clip-pad-odd", "vit"):
                yield picture, config


def processor(config):
    kind = config.get("image_processor_type") or config["feature_extractor_type"]
    for name, cls in CLASSES.items():
        if kind.startswith(name):
            return cls(**{k: v for k, v in config.items() if not k.endswith("_type")})
    raise ValueError(kind)


def main(out):
    os.makedirs(out, exist_ok=True)
    files, forms = pictures(), configs()
    for name, content in files.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(content)
    rows = []
    for picture, config in cases(files, forms):
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(files[picture]))).convert("RGB")
        p = processor(forms[config])
        u8 = p(image, do_rescale=False, do_normalize=False)["pixel_values"][0]
        assert u8.dtype == np.uint8 and u8.shape[0] == 3, (u8.dtype, u8.shape)
        f32 = np.ascontiguousarray(p(image)["pixel_values"][0], dtype=np.float32)
        rows.append(
            {
                "image": picture,
                "config": config,
                "shape": list(u8.shape),
                "u8_sha256": hashlib.sha256(np.ascontiguousarray(u8).tobytes()).hexdigest(),
                "f32_sha256": hashlib.sha256(f32.tobytes()).hexdigest(),
            }
        )
    golden = {
        "transformers": transformers.__version__,
        "pillow": PIL.__version__,
        "images": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "configs": forms,
    }
    with open(os.path.join(out, "golden.json"), "w") as f:
        text = json.dumps(golden, indent=1)
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        f.write(text[:-2] + ',\n "cases": [\n' + lines + "\n ]\n}\n")


if __name__ == "__main__":
    main(sys.argv[1])

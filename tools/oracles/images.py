"""Writes test/fixtures/images.json: resized, grey and decoded images of Pillow, the reference of torchvision's transforms.

Run: python tools/oracles/images.py. Pixels are base64 of [height, width] or [height, width, 3] bytes.
"""

import base64
import io
import json
import pathlib
import platform
import struct

import numpy as np
import PIL
from PIL import Image, features

SEED = 20264
rng = np.random.default_rng(SEED)


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode()


def picture(height, width, channels, kind):
    """Noise reaches every clipping case; waves are what photos are like."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    if kind == "noise":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "edges":
        return (rng.integers(0, 2, shape) * 255).astype(np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127.5 + 127.5 * np.sin(0.4 * y + (c + 1) * 0.3 * x + c) for c in range(channels)]
    return np.round(planes[0] if channels == 1 else np.stack(planes, axis=-1)).astype(np.uint8)


# (height, width, channels, kind, new height, new width)
SIZES = [
    (28, 28, 1, "noise", 32, 32),
    (28, 28, 1, "edges", 32, 32),
    (28, 28, 1, "waves", 14, 14),
    (28, 28, 1, "edges", 64, 64),
    (28, 28, 1, "noise", 28, 28),
    (32, 32, 3, "noise", 24, 24),
    (32, 32, 3, "waves", 48, 48),
    (32, 32, 3, "edges", 28, 28),
    (37, 23, 1, "noise", 16, 40),
    (23, 37, 3, "waves", 23, 11),
    (64, 48, 1, "edges", 7, 7),
    (90, 70, 3, "noise", 5, 6),
    (5, 7, 1, "noise", 3, 3),
    (2, 2, 1, "noise", 9, 5),
    (1, 1, 3, "noise", 4, 4),
    (1, 17, 1, "noise", 8, 8),
    (200, 3, 1, "noise", 1, 1),
]
METHODS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

resize = []
for height, width, channels, kind, new_height, new_width in SIZES:
    source = picture(height, width, channels, kind)
    out = {name: encode(np.asarray(Image.fromarray(source).resize((new_width, new_height), method)))
           for name, method in METHODS.items()}
    resize.append({"height": height, "width": width, "channels": channels, "kind": kind, "source": encode(source),
                   "newHeight": new_height, "newWidth": new_width, **out})

colours = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
grey = {"height": 40, "width": 40, "source": encode(colours), "grey": encode(np.asarray(Image.fromarray(colours).convert("L")))}

FILES = [
    ("grey png", "L", "waves", {"format": "PNG"}),
    ("rgb png", "RGB", "noise", {"format": "PNG"}),
    ("rgba png", "RGBA", "noise", {"format": "PNG"}),
    ("grey and alpha png", "LA", "noise", {"format": "PNG"}),
    ("palette png", "P", "waves", {"format": "PNG"}),
    ("1 bit png", "1", "edges", {"format": "PNG"}),
    ("grey jpeg", "L", "waves", {"format": "JPEG", "quality": 90}),
    ("rgb jpeg 4:4:4", "RGB", "waves", {"format": "JPEG", "quality": 90, "subsampling": 0}),
    ("rgb jpeg 4:2:0", "RGB", "waves", {"format": "JPEG", "quality": 75, "subsampling": 2}),
    ("progressive jpeg", "RGB", "noise", {"format": "JPEG", "quality": 80, "progressive": True}),
    ("rgb webp", "RGB", "waves", {"format": "WEBP", "quality": 80}),
    ("rgba webp without loss", "RGBA", "waves", {"format": "WEBP", "lossless": True}),
    ("rgb tiff", "RGB", "noise", {"format": "TIFF"}),
    ("grey tiff, lzw", "L", "waves", {"format": "TIFF", "compression": "tiff_lzw"}),
    ("rgb bmp", "RGB", "noise", {"format": "BMP"}),
    ("grey bmp", "L", "noise", {"format": "BMP"}),
    ("palette bmp", "P", "waves", {"format": "BMP"}),
    ("1 bit bmp", "1", "edges", {"format": "BMP"}),
    ("32 bit bmp", "RGBA", "noise", {"format": "BMP"}),
    ("ppm", "RGB", "noise", {"format": "PPM"}),
    ("pgm", "L", "noise", {"format": "PPM"}),
]
decode = []
for name, mode, kind, options in FILES:
    height, width = 19, 26
    if mode in ("L", "1", "P"):
        image = Image.fromarray(picture(height, width, 3 if mode == "P" else 1, kind)).convert(mode)
    else:
        image = Image.fromarray(picture(height, width, {"RGB": 3, "RGBA": 4, "LA": 2}[mode], kind), mode)
    buffer = io.BytesIO()
    image.save(buffer, **options)
    opened = Image.open(io.BytesIO(buffer.getvalue()))
    channels = 1 if opened.mode in ("L", "LA", "1") else 3
    pixels = np.asarray(opened.convert("L" if channels == 1 else "RGB"))
    decode.append({"name": name, "height": height, "width": width, "channels": channels,
                   "file": base64.b64encode(buffer.getvalue()).decode(), "pixels": encode(pixels)})

def stray(file, kind):
    # Bytes that do not belong there, in ways that Pillow passes over.
    after_first_segment = 4 + int.from_bytes(file[4:6], "big")
    return {"after": file + b"stray", "before the end": file[:-2] + bytes(7) + file[-2:],
            "between": file[:after_first_segment] + b"\0\1\2" + file[after_first_segment:]}[kind]


for kind in ("after", "before the end", "between"):
    buffer = io.BytesIO()
    Image.fromarray(picture(19, 26, 3, "waves")).save(buffer, format="JPEG", quality=90)
    file = stray(buffer.getvalue(), kind)
    decode.append({"name": f"jpeg with stray bytes {kind}", "height": 19, "width": 26, "channels": 3,
                   "file": base64.b64encode(file).decode(),
                   "pixels": encode(np.asarray(Image.open(io.BytesIO(file)).convert("RGB")))})

# Decimal PNM has no writer in Pillow.
plain = b"P3\n# a comment\n3 2\n255\n" + b" ".join(b"%d" % value for value in range(0, 252, 14)) + b"\n"
decode.append({"name": "decimal ppm", "height": 2, "width": 3, "channels": 3, "file": base64.b64encode(plain).decode(),
               "pixels": encode(np.asarray(Image.open(io.BytesIO(plain)).convert("RGB")))})

# Files that must be refused: not 8 bits a channel of grey or RGB.
REFUSED = [
    ("16 bit png", Image.fromarray((picture(6, 6, 1, "noise").astype(np.uint16) * 257)), {"format": "PNG"}),
    ("cmyk jpeg", Image.fromarray(picture(8, 8, 4, "noise"), "CMYK"), {"format": "JPEG"}),
    ("gif", Image.fromarray(picture(8, 8, 1, "noise")), {"format": "GIF"}),
    ("tiff of floats", Image.fromarray(picture(8, 8, 1, "noise")).convert("F"), {"format": "TIFF"}),
    ("bmp with run lengths", None, b"BM" + struct.pack("<IIIIiiHHIIiiII", 70, 0, 58, 40, 4, 1, 1, 8, 1, 4, 0, 0, 1, 0)
     + bytes(4) + b"\4\0\0\1"),
    ("pgm of 16 bits", None, b"P5 2 1 65535 " + bytes(4)),
]
refused = []
for name, image, options in REFUSED:
    buffer = io.BytesIO()
    if image is None:
        buffer.write(options)
    else:
        image.save(buffer, **options)
    refused.append({"name": name, "file": base64.b64encode(buffer.getvalue()).decode()})

fixture = {
    "script": "tools/oracles/images.py",
    "versions": {"python": platform.python_version(), "pillow": PIL.__version__, "numpy": np.__version__,
                 "libjpeg-turbo": features.version("libjpeg_turbo")},
    "seed": SEED,
    "resize": resize,
    "grey": grey,
    "decode": decode,
    "refused": refused,
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/images.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path.name, path.stat().st_size)

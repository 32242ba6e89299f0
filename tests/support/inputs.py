"""Every form an image may be given in, with the PIL image it should be taken for; and what is refused, with the sentence."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


class Frame:
    """A column of a table, as pandas has them: an array of objects with an index."""

    def __init__(self, items):
        self._items = np.empty(len(items), object)
        for number, item in enumerate(items):  # one by one: NumPy would take a list of PIL images for pixels
            self._items[number] = item
        self.iloc, self.shape, self.dtype = self._items, self._items.shape, self._items.dtype

    def __array__(self, dtype=None, copy=None):
        return self._items

    def __iter__(self):
        return iter(self._items)


def tensor(values):
    import torch

    return torch.from_numpy(np.array(values))


def saved(image, folder, name="x.png"):
    image.save(folder / name)
    return folder / name


def encoded(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream


def opened(image, folder):
    """An opened file that was read to its end already."""
    stream = io.BytesIO(saved(image, folder).read_bytes())
    stream.read()
    return stream


def in_home(image, _folder):
    """A path with ~, which tests let point at a folder of their own."""
    saved(image, Path.home())
    return "~/x.png"


def grey(image):
    return np.asarray(image.convert("L"))


def rgb(image):
    return np.asarray(image)


def see_through(image):
    """The image with its left half transparent."""
    layered = np.dstack([rgb(image), np.full(image.size[::-1], 255, np.uint8)])
    layered[:, : image.width // 2, 3] = 0
    return layered


def itself(image):
    return image


def to_grey(image):
    return image.convert("L")


def on_white(image):
    return Image.fromarray(see_through(image))


def two_tone(image):
    return image.convert("1")


TAKEN = {
    "PIL RGB": (itself, lambda im, _: im),
    **{f"PIL {mode}": (lambda im, m=mode: im.convert(m).convert("RGB"), lambda im, _, m=mode: im.convert(m))
       for mode in ("L", "1", "P", "CMYK", "YCbCr", "HSV", "RGBX")},
    **{f"PIL {mode}": (itself, lambda im, _, m=mode: im.convert(m)) for mode in ("RGBA", "RGBa")},
    **{f"PIL {mode}": (to_grey, lambda im, _, m=mode: im.convert("L").convert(m)) for mode in ("LA", "PA")},
    "PIL I": (to_grey, lambda im, _: Image.fromarray(grey(im).astype(np.int32) * 257)),
    "PIL I;16": (to_grey, lambda im, _: Image.fromarray(grey(im).astype(np.uint16) * 257)),
    "a path": (itself, saved),
    "a path as text": (itself, lambda im, folder: str(saved(im, folder))),
    "a path in the home folder": (itself, in_home),
    "a Path in the home folder": (itself, lambda im, folder: Path(in_home(im, folder))),
    "a file without a suffix": (itself, lambda im, folder: saved(im, folder).rename(folder / "image")),
    "bytes": (itself, lambda im, _: encoded(im).getvalue()),
    "bytearray": (itself, lambda im, _: bytearray(encoded(im).getvalue())),
    "BytesIO at its end": (itself, lambda im, _: encoded(im)),
    "an opened file": (itself, opened),
    "uint8 (H, W)": (to_grey, lambda im, _: grey(im)),
    "uint8 (H, W, 1)": (to_grey, lambda im, _: grey(im)[..., None]),
    "uint8 (H, W, 3)": (itself, lambda im, _: rgb(im)),
    "uint8 (H, W, 4)": (on_white, lambda im, _: see_through(im)),
    "uint8 (1, H, W)": (to_grey, lambda im, _: grey(im)[None]),
    "uint8 (3, H, W)": (itself, lambda im, _: np.moveaxis(rgb(im), -1, 0)),
    "uint8 (4, H, W)": (on_white, lambda im, _: np.moveaxis(see_through(im), -1, 0)),
    "bool (H, W)": (two_tone, lambda im, _: np.asarray(two_tone(im))),
    "float64 (H, W, 3) in 0…1": (itself, lambda im, _: rgb(im) / 255),
    "float16 (3, H, W) in 0…1": (itself, lambda im, _: (np.moveaxis(rgb(im), -1, 0) / 255).astype(np.float16)),
    "uint16 (H, W)": (to_grey, lambda im, _: grey(im).astype(np.uint16) * 257),
    "big-endian uint16 (H, W)": (to_grey, lambda im, _: (grey(im).astype(np.uint16) * 257).astype(">u2")),
    "uint16 (H, W, 3)": (itself, lambda im, _: rgb(im).astype(np.uint16) * 257),
    "a view with strides": (itself, lambda im, _: np.repeat(rgb(im), 2, axis=1)[:, ::2]),
    "tensor (H, W, 3)": (itself, lambda im, _: tensor(rgb(im))),
    "tensor (3, H, W) in 0…1": (itself, lambda im, _: tensor(np.moveaxis(rgb(im), -1, 0)) / 255),
    "tensor with a gradient": (itself, lambda im, _: (tensor(np.moveaxis(rgb(im), -1, 0)) / 255).requires_grad_()),
}  # fmt: skip
"""A name: the PIL image it should be taken for, and the form itself, both made of an RGB image of 40 pixels a side."""

COLLECTIONS = {
    "list": list,
    "tuple": tuple,
    "generator": lambda forms: (form for form in forms),
    "object array": lambda forms: Frame(forms).iloc,
    "column of a table": Frame,
}

BATCHES = {
    "uint8 (N, H, W, 3)": lambda x: x,
    "uint8 (N, 3, H, W)": lambda x: np.moveaxis(x, -1, 1),
    "float (N, H, W, 3)": lambda x: x / 255,
    "float (N, 3, H, W)": lambda x: np.moveaxis(x, -1, 1) / 255,
    "tensor (N, 3, H, W)": lambda x: tensor(np.moveaxis(x, -1, 1)) / 255,
    "list of arrays (1, H, W, 3)": lambda x: [one[None] for one in x],
    "list of arrays": list,
}

REFUSED = {
    "missing": (lambda _: "nowhere.png", "nowhere.png cannot be used: there is no such file or folder"),
    "an empty text": (lambda _: "", "there is no such file or folder"),
    "https": (lambda _: "https://example.com/cat.jpg", "https://example.com/cat.jpg cannot be used: it is a URL; download it"),
    "s3 as a Path": (lambda _: Path("s3://bucket/cat.jpg"), "it is a URL; download it first"),
    "file URL": (lambda _: "file:///cat.jpg", "it is a file URL; give the path alone"),
    "data URL": (lambda _: "data:image/png;base64,iVBORw0KGgo" + "A" * 9000, "it is a data URL; decode it"),
    "a long text": (lambda _: "x" * 9000, "xxx… cannot be used: "),
    "a null character": (lambda _: "a\0b", "cannot be used: it is not a valid path|there is no such file"),
    "a pattern": (lambda _: "images/*.png", "it is a pattern, not a path; give sorted"),
    "an unknown user": (lambda _: "~nobody-of-that-name/x.png", "it is not a valid path|there is no such file"),
    "an empty folder": (lambda folder: folder, "this folder holds no image"),
    "empty bytes": (lambda _: b"", "it is empty"),
    "other bytes": (lambda _: b"no image at all", "it is not an image"),
    "a text file": (lambda _: io.StringIO("x"), "is open in text mode; open it with 'rb'"),
    "None": (lambda _: None, "it is None, not an image"),
    "a number": (lambda _: 3, "it is an int, not an image"),
    "NaN": (lambda _: float("nan"), "it is nan, not an image"),
    "one row of pixels": (lambda _: np.zeros((40, 3), np.uint8), "may be one row of pixels"),
    "one row with opacity": (lambda _: np.zeros((40, 4), np.uint8), "may be one row of pixels"),
    "two channels": (lambda _: np.zeros((40, 40, 2), np.uint8), "has no axis for 1, 3 or 4 channels"),
    "five channels": (lambda _: np.zeros((5, 40, 40), np.uint8), "has no axis for 1, 3 or 4 channels"),
    "either order": (lambda _: np.zeros((3, 40, 3), np.uint8), r"shape \(3, 40, 3\) can be read in two ways"),
    "either order of RGBA": (lambda _: np.zeros((3, 40, 4), np.uint8), "can be read in two ways"),
    "the images last": (lambda _: np.zeros((40, 40, 3, 1), np.uint8), "may be one row of pixels"),
    "a vector": (lambda _: np.zeros(40, np.uint8), r"its shape \(40,\) is not that of an image"),
    "five axes": (lambda _: np.zeros((2, 2, 40, 40, 3), np.uint8), "is not that of an image"),
    "no axes": (lambda _: np.array(3), r"its shape \(\) is not that of an image"),
    "an empty array": (lambda _: np.zeros((0, 40, 3), np.uint8), "it is empty"),
    "int64": (lambda _: np.zeros((40, 40, 3), np.int64), "int64 values are whole numbers of unknown range"),
    "float in 0…255": (lambda _: np.full((40, 40, 3), 200.0), "should lie in 0…1 without NaN; scale them"),
    "normalised": (lambda _: np.full((3, 40, 40), -0.5), "should lie in 0…1 without NaN"),
    "an array with NaN": (lambda _: np.full((40, 40, 3), np.nan), "should lie in 0…1 without NaN"),
    "an array with infinity": (lambda _: np.full((40, 40, 3), np.inf), "should lie in 0…1 without NaN"),
    "complex": (lambda _: np.zeros((40, 40, 3), complex), "complex128 values are not pixels"),
    "lists of numbers": (lambda _: np.zeros((40, 40, 3), int).tolist(), r"int64 values .*, use np\.array\(…, 'uint8'\)"),
    "ragged lists": (lambda _: [[1, 2, 3], [1, 2]], "it cannot be read as one array"),
    "PIL F": (lambda _: Image.new("F", (40, 40)), "it has floating-point values of unknown range"),
    "PIL without pixels": (lambda _: Image.new("RGB", (0, 40)), "it has no pixels"),
    "PIL of one line": (
        lambda _: Image.new("RGB", (4000, 1)),
        "100 times the other; use max_aspect=4000 when the task is made",
    ),
    "a tensor of int64": (lambda _: tensor(np.zeros((40, 40, 3), int)), r"in 0…255, use \.to\(torch\.uint8\)"),
    "too dark": (lambda _: np.full((40, 40), 7, np.uint16), "reach only 7 of the .* that is read as white, so it would"),
}
"""A name: what is refused, made in an empty folder, and the sentence."""

NO_COLLECTION = {
    "a dictionary": (lambda: {"a": "x.png"}, "this is a dict; give a list"),
    "a set": (lambda: {"x.png"}, "this is a set; give a list"),
}

"""Python for places without nbtransfer, in the README of an export: preprocessing with Pillow and NumPy, and the check."""

from __future__ import annotations

from nbtransfer.core.backbone import InputSpec

CHECK = """
example = facts["example"]
answer = classify(Image.open(example["image"]))
print(answer)
assert np.allclose(list(answer.values()), example["probabilities"], atol=1e-3), "the packages here give different values"
"""
"""The stored question, asked again."""


def preprocessing_code(spec: InputSpec, white_level: int = 65_535) -> str:
    """Code of `preprocess(image)`; it needs `json`, `Path`, `np`, `Image` and `ImageOps`, and makes `facts`."""
    height, width = spec.shape
    resize = "\n".join(f"    {line}" for line in _resizing(spec))
    return f'''\
facts = json.loads(Path("model.json").read_text(encoding="utf-8"))


def preprocess(image):
    """A PIL image as the input of the model: float32 (1, 3, {height}, {width})."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image) * (255 / {white_level})).clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
{resize}
    left, top = round((image.width - {width}) / 2), round((image.height - {height}) / 2)
    pixels = np.asarray(image.crop((left, top, left + {width}, top + {height}))) / 255
    pixels = (pixels - facts["input"]["mean"]) / facts["input"]["std"]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)

'''


def _resizing(spec: InputSpec) -> list[str]:
    """As `engine.data.preprocess` does it."""
    down, across = spec.resized
    resample = f"Image.Resampling.{spec.interpolation.upper()}"
    if spec.crop_mode == "squash":
        return [f"image = image.resize(({across}, {down}), {resample})"]
    if spec.crop_mode == "center" and down == across:
        return [f"image = image.resize([{down} * side // min(image.size) for side in image.size], {resample})"]
    choose = "max" if spec.crop_mode == "border" else "min"
    lines = [
        f"ratio = {choose}(image.width / {across}, image.height / {down})",
        f"image = image.resize([max(1, round(side / ratio)) for side in image.size], {resample})",
    ]
    return [*lines, *_border(spec)] if spec.crop_mode == "border" else lines


def _border(spec: InputSpec) -> list[str]:
    height, width = spec.shape
    colour = tuple(round(255 * mean) for mean in spec.mean)
    return [
        f'canvas = Image.new("RGB", (max({width}, image.width), max({height}, image.height)), {colour})',
        "canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))",
        "image = canvas",
    ]

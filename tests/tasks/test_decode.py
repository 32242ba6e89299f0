"""Odd images are handled knowingly, hostile ones refused before a pixel is decoded."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from nbtransfer.core.task import Reading
from nbtransfer.errors import TaskError
from nbtransfer.tasks.decode import UndecodableError, check_header, load_rgb, to_rgb, white_level_of
from tests.support.pictures import save_wide_colours


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height, text=b""):
    """A PNG that claims a size and holds next to nothing; `text` are chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + pixels


@pytest.mark.parametrize("size", [(20_000, 20_000), (1, 100_000), (65_000, 65_000), (12_000, 9_000), (3, 400)])
def test_absurd_sizes_are_refused_from_the_header(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    for look in (check_header, load_rgb):
        with pytest.raises(UndecodableError, match="claims"):
            look(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"not an image", "unknown format"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 9, "not an image")],
)
def test_files_that_are_no_images(tmp_path, content, reason):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(UndecodableError, match=reason):
        check_header(path)


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(UndecodableError, match="it is gone"):
        load_rgb(tmp_path / "x.png")


def test_a_truncated_image_passes_its_header_and_fails_when_decoded(tmp_path):
    path = tmp_path / "x.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    assert check_header(path) == (80, 80)
    with pytest.raises(UndecodableError, match="it is damaged"):
        load_rgb(path)


def test_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image.save(tmp_path / "x.png", exif=exif)
    upright = load_rgb(tmp_path / "x.png")
    assert upright.size == (2, 4)
    assert upright.getpixel((1, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("kind", "head"),
    [(b"zTXt", b"note\0\0"), (b"iTXt", b"note\0\1\0\0\0"), (b"iCCP", b"note\0\0")],
    ids=["zTXt", "iTXt", "iCCP"],
)
def test_text_that_unpacks_to_far_more_than_it_is(tmp_path, kind, head):
    path = tmp_path / "x.png"
    path.write_bytes(png_header(10, 10, chunk(kind, head + zlib.compress(b"\0" * 2**26))))
    tracemalloc.start()
    with contextlib.suppress(UndecodableError):
        load_rgb(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def saved(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return np.asarray(load_rgb(tmp_path / name))


def test_wide_grey_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257 * 100, 65_535]], dtype=np.uint16)
    assert saved(tmp_path, Image.fromarray(values))[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_transparent_images_are_laid_over_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert saved(tmp_path, image)[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_transparent_palettes_too(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert saved(tmp_path, image)[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    assert saved(tmp_path, image, transparency=1)[0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize(("mode", "colour"), [("L", 128), ("1", 1), ("LA", (128, 255))])
def test_grey_becomes_rgb(tmp_path, mode, colour):
    pixels = saved(tmp_path, Image.new(mode, (3, 2), colour))
    assert pixels.shape == (2, 3, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_print_colours_are_converted(tmp_path):
    pixels = saved(tmp_path, Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "x.jpg")
    assert pixels[0, 0, 0] > 200
    assert pixels[0, 0, 1] < 60


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.new("RGB", (2, 2), c) for c in ("red", "blue")]
    pixels = saved(tmp_path, frames[0], "x.gif", save_all=True, append_images=frames[1:])
    assert pixels[0, 0].tolist() == [255, 0, 0]


def test_of_several_pages_the_first_counts(tmp_path):
    pages = [Image.new("RGB", size, c) for size, c in (((2, 2), "red"), ((3, 5), "blue"))]
    pixels = saved(tmp_path, pages[0], "x.tiff", save_all=True, append_images=pages[1:])
    assert pixels.shape == (2, 2, 3)
    assert pixels[0, 0].tolist() == [255, 0, 0]


def test_floating_point_images_are_refused(tmp_path):
    with pytest.raises(UndecodableError, match="floating-point values of unknown range"):
        saved(tmp_path, Image.fromarray(np.zeros((2, 2), dtype=np.float32)), "x.tiff")


class TestReading:
    def twelve_bits(self, path):
        values = np.random.default_rng(0).integers(0, 4096, (30, 40)).astype(np.uint16)
        Image.fromarray(values).save(path)
        return values

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_the_white_level_scales_wide_greys(self, tmp_path, suffix):
        values = self.twelve_bits(tmp_path / f"x.{suffix}")
        found = np.asarray(load_rgb(tmp_path / f"x.{suffix}", reading=Reading(white_level=4095)))[..., 0]
        assert np.array_equal(found, (values / 4095 * 255).round().astype(np.uint8))

    def test_values_above_white_are_white(self, tmp_path):
        self.twelve_bits(tmp_path / "x.png")
        assert np.asarray(load_rgb(tmp_path / "x.png", reading=Reading(white_level=1))).min() in (0, 255)

    @pytest.mark.parametrize(
        ("value", "white"), [(1, 255), (255, 255), (256, 511), (4000, 4095), (4096, 8191), (65_535, 65_535)]
    )
    def test_white_is_the_largest_value_of_the_bits_in_use(self, value, white):
        assert white_level_of(value) == white

    def test_colours_of_twelve_bits_in_sixteen_are_refused(self, tmp_path):
        values = np.random.default_rng(0).integers(0, 4096, (9, 8, 3))
        save_wide_colours(tmp_path / "x.png", values)
        with pytest.raises(UndecodableError, match=r"its 16-bit colours reach only 4,095 of 65,535, .*; convert it to 8 bits"):
            load_rgb(tmp_path / "x.png")
        opened = Image.open(tmp_path / "x.png")
        shown = Image.open(tmp_path / "x.png")
        shown.load()
        for image in (opened, opened, shown):  # loading it forgets how many bits there were
            with pytest.raises(UndecodableError, match="its 16-bit colours reach only"):
                to_rgb(image)
        save_wide_colours(tmp_path / "y.png", values * 16)
        assert np.array_equal(np.asarray(load_rgb(tmp_path / "y.png")), values * 16 // 256)
        save_wide_colours(tmp_path / "z.png", values * 0)
        assert not np.asarray(load_rgb(tmp_path / "z.png")).any()

    def test_a_long_image_is_refused_with_the_setting_that_allows_it(self, tmp_path):
        Image.new("RGB", (9000, 80)).save(tmp_path / "x.png")
        with pytest.raises(UndecodableError, match=r"9000 × 80 pixels, one side more than 100 times .* with max_aspect=113"):
            check_header(tmp_path / "x.png")
        assert load_rgb(tmp_path / "x.png", reading=Reading(max_aspect=113)).size == (9000, 80)

    @pytest.mark.parametrize("options", [{"white_level": 0}, {"white_level": 70_000}, {"max_aspect": 0.5}])
    def test_settings_out_of_range(self, options):
        with pytest.raises(TaskError, match=next(iter(options))):
            Reading(**options)


def test_photographs_of_phones(tmp_path):
    import pillow_heif

    found = Image.effect_noise((64, 48), 40).convert("RGB")
    pillow_heif.from_pillow(found).save(tmp_path / "x.heic", quality=100)
    assert load_rgb(tmp_path / "x.heic").size == (64, 48)
    assert np.abs(np.asarray(load_rgb(tmp_path / "x.heic")).astype(int) - np.asarray(found)).mean() < 8

"""Pictures of every kind a visitor may bring are read as they look."""

import numpy as np
import pytest
from PIL import Image

from core.exhibit import Source
from core.io.pictures import inspect, read_picture
from tests.failures.pictures import pdf, picture, saved


def read(data: bytes, name: str = "x", **options):
    return read_picture(Source(name, data), **options)


@pytest.mark.parametrize("form, options, error", [("PNG", {}, 0), ("BMP", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0),
                                                  ("WEBP", {"lossless": True}, 0), ("JPEG", {"quality": 95}, 3), ("WEBP", {"quality": 95}, 3)])
def test_formats_by_content_not_by_name(form, options, error):
    got = read(saved(picture(), form, **options), "table.docx")
    assert got.format == form and (got.width, got.height, got.scale, got.notes) == (40, 30, 1.0, ())
    assert np.abs(got.rgb.astype(int) - np.asarray(picture())).mean() <= error
    assert got.rgb.dtype == np.uint8 and got.rgb.shape == (30, 40, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_undone(orientation, form):
    turned = {1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180], 4: [Image.Transpose.FLIP_TOP_BOTTOM],
              5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90],
              7: [Image.Transpose.TRANSVERSE], 8: [Image.Transpose.ROTATE_270]}[orientation]
    image = picture()
    for step in turned:
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(image, form, exif=exif)
    got = read(data)
    assert got.rgb.shape == (30, 40, 3) and got.rgb[3, 3, 0] > 150 and got.rgb[3, 3, 1] < 100
    info = inspect(Source("x", data))
    assert (info.width, info.height) == (40, 30)


def test_sixteen_bit_grey_is_scaled_not_cut():
    deep = np.array([[0, 257, 32_896, 65_535, 128]], np.uint16)
    for form in ("PNG", "TIFF"):
        assert read(saved(Image.fromarray(deep), form)).rgb[0, :, 0].tolist() == [0, 1, 128, 255, 0]


@pytest.mark.parametrize("values, wanted, stretched", [
    (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255], False),
    (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255], False),
    (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255], True),
    (np.array([[0, 65_535, 32_768]], np.int32), [0, 255, 128], False),
    (np.array([[np.nan, 0.0, 1.0]], np.float32), [0, 0, 255], False),
    (np.array([[7.0, 7.0, 7.0]], np.float32), [7, 7, 7], False)])
def test_floats_and_long_integers(values, wanted, stretched):
    got = read(saved(Image.fromarray(values), "TIFF"))
    assert got.rgb[0, :, 1].tolist() == wanted and bool(got.notes) is stretched


def test_transparency_lies_over_white():
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:, 2:] = (10, 20, 30, 255)
    for data in (saved(Image.fromarray(clear), "PNG"), saved(Image.fromarray(clear), "WEBP", lossless=True), saved(Image.fromarray(clear), "TIFF")):
        rgb = read(data).rgb
        assert rgb[0, 0].tolist() == [255, 255, 255] and rgb[0, 3].tolist() == [10, 20, 30]


def test_palette_with_transparency_and_grey_with_alpha():
    indexed = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    indexed.putpalette([200, 0, 0, 0, 0, 90])
    assert read(saved(indexed, "PNG", transparency=0)).rgb[0].tolist() == [[255, 255, 255], [0, 0, 90]]
    grey = Image.merge("LA", [Image.new("L", (2, 1), 60), Image.fromarray(np.array([[0, 255]], np.uint8))])
    assert read(saved(grey, "PNG")).rgb[0].tolist() == [[255, 255, 255], [60, 60, 60]]


def test_one_bit_grey_and_cmyk():
    assert read(saved(Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"), "PNG")).rgb[0, :, 0].tolist() == [0, 255]
    assert read(saved(picture().convert("L"), "JPEG", quality=95)).rgb.shape == (30, 40, 3)
    red = read(saved(Image.new("RGB", (16, 16), (200, 20, 20)).convert("CMYK"), "JPEG", quality=95)).rgb[8, 8].astype(int)
    assert np.abs(red - [200, 20, 20]).max() < 12


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_several_frames_give_the_first_and_say_so(form):
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "green", "blue")]
    got = read(saved(frames[0], form, save_all=True, append_images=frames[1:]), "moving")
    assert got.pages == 3 and got.rgb[3, 3, 0] > 240 and got.rgb[3, 3, 2] < 20
    assert got.notes == ("moving has 3 frames; the first was read.",)


def test_a_pdf_page_is_drawn_at_200_dpi_within_the_pixel_limit():
    got = read(pdf(2, "Oslo", width=144, height=72), page=2)
    assert (got.format, got.page, got.width, got.height) == ("PDF", 2, 400, 200) and (got.rgb < 100).any() and (got.rgb > 250).any()
    poster = read(pdf(1, "Oslo", width=14_000, height=14_000))
    assert poster.width * poster.height <= 25_000_000 and "dpi" in poster.notes[0]


def test_a_pdf_may_begin_late():
    assert inspect(Source("x", b"junk\n" + pdf(1))).format == "PDF"


def test_halving_keeps_the_orientation_of_a_jpeg():
    import core.io.pictures as pictures

    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(picture(6_000, 4_500).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    got = read(data, shrink=True)
    assert (got.width, got.height) == (6_000, 4_500) and got.rgb.shape == (2_250, 3_000, 3)
    assert got.width * got.height > pictures.MAX_PIXELS

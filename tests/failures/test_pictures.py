"""Bad picture files: the type of the error, and that its sentence names the file, the value, the limit and the way out."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError, LimitError
from core.exhibit import Source
from core.io.pictures import MAX_BYTES, MAX_PIXELS, inspect, read_picture
from tests.failures import pictures as make

CASES = [
    # name, bytes, page, error, words the sentence must hold
    ("empty.png", lambda: b"", 1, InputError, ["empty", "0 bytes", "PNG"]),
    ("half.png", make.truncated_png, 1, InputError, ["cut off", "bytes", "160 x 120", "Save"]),
    ("half.jpg", make.truncated_jpeg, 1, InputError, ["cut off", "bytes", "160 x 120", "Save"]),
    ("head.png", make.broken_png_header, 1, InputError, ["begins like a PNG", "48 bytes", "again"]),
    ("table.png", make.archive, 1, InputError, ["ZIP archive", "PNG, JPEG, WebP, TIFF, BMP and PDF"]),
    ("notes.png", lambda: b"row one, row two\n" * 9, 1, InputError, ["a text file", "PNG, JPEG"]),
    ("moving.png", lambda: make.saved(make.picture(), "GIF"), 1, InputError, ["a GIF picture", "PNG, JPEG"]),
    ("blob.png", lambda: bytes(range(200, 256)) * 4, 1, InputError, ["unknown kind", "c8 c9 ca cb", "PNG, JPEG"]),
    ("vast.png", lambda: make.png_of_size(30_000, 30_000), 1, LimitError, ["900,000,000", f"{MAX_PIXELS:,}", "Scale it down"]),
    ("big.png", lambda: make.png_of_size(6_000, 5_000), 1, LimitError, ["6,000 x 5,000", "30,000,000", f"{MAX_PIXELS:,}", "Halve"]),
    ("heavy.bmp", lambda: b"BM" + b"\0" * MAX_BYTES, 1, LimitError, ["25.0 MB", "25 MB", "JPEG"]),
    ("flat.png", lambda: make.png_of_size(0, 40), 1, InputError, ["0 x 40", "1 x 1", "again"]),
    ("three.pdf", lambda: make.pdf(3), 7, InputError, ["3 pages", "page 7", "1 to 3"]),
    ("three.pdf", lambda: make.pdf(3), 0, InputError, ["3 pages", "page 0", "1 to 3"]),
    ("locked.pdf", make.locked_pdf, 1, InputError, ["password", "Save a copy"]),
    ("half.pdf", lambda: b"%PDF-1.4\n1 0 obj\n<< /Type", 1, InputError, ["cannot be opened", "25 bytes", "again"]),
]


@pytest.mark.parametrize("name, data, page, error, words", CASES, ids=[f"{c[0]}-{c[2]}" for c in CASES])
def test_a_bad_picture_is_explained(name, data, page, error, words):
    source = Source(name, data())
    with pytest.raises(InputError) as caught:
        read_picture(source, page)
    message = str(caught.value)
    assert type(caught.value) is error
    assert message.startswith(("Page", name)) and name in message
    assert [w for w in words if w not in message] == [], message
    assert message.endswith(".") and message.count(". ") <= 2 and "sorry" not in message.lower()


@pytest.mark.parametrize("name, data, page, error, words", [c for c in CASES if c[0] not in ("half.png", "half.jpg", "big.png")],
                         ids=[f"{c[0]}-{c[2]}" for c in CASES if c[0] not in ("half.png", "half.jpg", "big.png")])
def test_the_cheap_check_finds_it_before_decoding(name, data, page, error, words):
    with pytest.raises(error):
        inspect(Source(name, data()), page)


def test_a_bomb_is_refused_without_decoding_it():
    source = Source("vast.png", make.png_of_size(30_000, 30_000))
    assert len(source.data) < 20_000
    tracemalloc.start()
    with pytest.raises(LimitError):
        read_picture(source, shrink=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_500_page_pdf_gives_the_asked_page_and_says_so():
    source = Source("book.pdf", make.pdf(500, "Oslo"))
    assert inspect(source).pages == 500
    picture = read_picture(source)
    assert picture.notes == ("Page 1 of 500 was read.",) and picture.page == 1 and picture.pages == 500
    assert (picture.rgb < 128).any()


def test_a_picture_between_the_limits_can_be_halved():
    source = Source("big.png", make.png_of_size(6_000, 5_000, real=True))
    assert inspect(source).over_limit
    picture = read_picture(source, shrink=True)
    assert picture.rgb.shape == (2_500, 3_000, 3) and picture.scale == 0.5 and (picture.width, picture.height) == (6_000, 5_000)
    assert "halved" in picture.notes[0]


GOOD = {"png": make.saved(make.picture(), "PNG"), "jpeg": make.saved(make.picture(), "JPEG"), "webp": make.saved(make.picture(), "WEBP"),
        "tiff": make.saved(make.picture(), "TIFF", compression="tiff_lzw"), "bmp": make.saved(make.picture(), "BMP"), "pdf": make.pdf(2, "Oslo")}


@pytest.mark.parametrize("kind", GOOD)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_give_a_picture_or_a_sentence(kind, data):
    """Some bytes changed and the end cut off: never another exception than the one that explains."""
    raw = bytearray(GOOD[kind])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=6)):
        raw[place] = value
    source = Source("damaged", bytes(raw[:data.draw(st.integers(0, len(raw)))]))
    try:
        picture = read_picture(source)
    except InputError as error:
        assert "damaged" in str(error)
        return
    assert picture.rgb.dtype.name == "uint8" and picture.rgb.shape[2] == 3 and 0 < picture.rgb.shape[0] * picture.rgb.shape[1] <= MAX_PIXELS

"""Ink files: exact round trips, what other programs write, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError, LimitError, VitrineError
from core.handwriting import formats
from core.handwriting.strokes import Ink, Stroke


@pytest.fixture(scope="module")
def ink() -> Ink:
    random = np.random.default_rng(0)
    made = []
    for n in (1, 2, 40):
        xy = random.normal(size=(n, 2)) * [1e-3, 1e3]
        made.append(Stroke(xy, np.sort(random.random(n)), random.random(n)))
    return Ink(tuple(made))


@pytest.mark.parametrize("name", ["json", "inkml", "svg"])
def test_round_trips_are_exact(ink: Ink, name: str) -> None:
    data = getattr(formats, f"to_{name}")(ink)
    assert getattr(formats, f"from_{name}")(data) == ink
    assert formats.read(data) == ink


def test_a_picture_shows_the_ink_and_is_bounded(ink: Ink) -> None:
    with Image.open(io.BytesIO(formats.to_png(Ink((Stroke.of([[0, 0], [4, 0]]),)), scale=20))) as picture:
        assert picture.size == (100, 20)
        assert np.asarray(picture)[10, 50] < 60 < 250 < np.asarray(picture)[2, 50]
    with Image.open(io.BytesIO(formats.to_png(ink, scale=1000))) as picture:
        assert picture.width * picture.height <= formats.LARGEST_PICTURE_PX


def test_svg_of_a_drawing_program() -> None:
    data = b"""<svg xmlns="http://www.w3.org/2000/svg"><defs><path d="M0 0L9 9"/></defs><g transform="translate(10 20) scale(2)"><path d="M0,0 h5 v5 l-5-5z M1 1 L2 2"/>
    <polyline points="0,0 1,1 2,0"/><line x1="1" y1="1" x2="2" y2="3"/><polygon points="0 0 1 0 1 1"/></g><path d="M0 0 C0 1 1 1 1 0 S2 -1 2 0 Q3 1 4 0 T6 0 A1 1 0 0 1 8 0"/></svg>"""
    strokes = formats.read(data).strokes
    assert len(strokes) == 6
    assert np.allclose(strokes[0].xy, [[10, 20], [20, 20], [20, 30], [10, 20], [10, 20]])
    assert np.allclose(strokes[3].xy, [[12, 22], [14, 26]])
    curve = strokes[5].xy
    assert np.allclose(curve[-1], [8, 0]) and np.allclose(curve[6], [0.5, 0.75]) and np.allclose(curve[-7], [7, -1], atol=1e-9)
    assert len(curve) == 1 + 5 * formats.CHORDS


def test_inkml_of_others() -> None:
    data = b"""<ink xmlns="http://www.w3.org/2003/InkML"><traceFormat><channel name="X"/><channel name="Y"/><channel name="F" max="1024"/></traceFormat>
    <traceGroup><trace>10 20 512, '1'2'0, 1 2 512, "1"0"0</trace><trace type="penUp">1 1 1</trace></traceGroup></ink>"""
    stroke, = formats.read(data).strokes
    assert np.allclose(stroke.xy, [[10, 20], [11, 22], [12, 24], [14, 26]])
    assert stroke.pressure.tolist() == [0.5, 0.5, 1.0, 1.0]
    bare = formats.read(b"<ink><trace>1 2, 3 4</trace></ink>")
    assert bare.strokes[0].xy.tolist() == [[1, 2], [3, 4]]


def test_unipen() -> None:
    data = b".VERSION 1.0\n.COORD X Y T\n.PEN_DOWN\n0 0 0\n5 10 20\n.PEN_UP\n9 9 30\n.PEN_DOWN\n1 1 40\n.PEN_UP\n"
    first, second = formats.read(data).strokes
    assert first.xy.tolist() == [[0, 0], [5, -10]] and first.t_s.tolist() == [0, 0.02] and second.xy.tolist() == [[1, -1]]


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
HOSTILE = {
    "empty": b"", "white": b" \n ", "noise": b"\x89PNG\r\n\x1a\n\0\0", "text": b"hello", "json list": b"[1]", "json of something": b'{"a": 1}', "damaged json": b'{"strokes": [',
    "deep json": b'{"strokes":' + b"[" * 100_000, "empty pad": b'{"strokes": []}', "empty stroke": b'{"strokes": [{"x": [], "y": []}]}', "nan": b'{"strokes": [{"x": [NaN], "y": [1]}]}',
    "unequal": b'{"strokes": [{"x": [1], "y": []}]}', "words": b'{"strokes": [{"x": ["a"], "y": [1]}]}', "nested numbers": b'{"strokes": [{"x": [[1, 2]], "y": [1]}]}',
    "null": b'{"strokes": [{"x": [null], "y": [1]}]}', "huge integer": b'{"strokes": [{"x": [1' + b"0" * 400 + b'], "y": [1]}]}', "times too few": b'{"strokes": [{"x": [1, 2], "y": [1, 2], "t": [0]}]}',
    "many": b'{"strokes": [{"x": [' + b",".join([b"1"] * 50_000) + b'], "y": []}]}',
    "entities": BOMB + b'<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text></svg>', "inkml entities": BOMB + b"<ink><trace>&b;</trace></ink>",
    "external": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ink><trace>&a;</trace></ink>',
    "script": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><path d="M0 0L1 1"/></svg>', "handler": b'<svg onload="x()"><path d="M0 0L1 1"/></svg>',
    "deep": b"<svg>" + b"<g>" * 5000 + b"</g>" * 5000 + b"</svg>", "not closed": b"<svg><g></svg>", "html": b"<html></html>", "no line": b"<svg><text>a</text></svg>",
    "huge number": b'<svg><path d="M0 0L1e308 1e308"/></svg>', "huge scale": b'<svg><g transform="scale(1e200)"><g transform="scale(1e200)"><path d="M1 1L2 2"/></g></g></svg>',
    "huge svg": b'<svg><path d="M0 0' + b"L1 1" * 30_000 + b'"/></svg>', "huge inkml": b"<ink><trace>1e999 0</trace></ink>", "no channels": b'<ink><traceFormat><channel name="Q"/></traceFormat></ink>',
    "inkml words": b"<ink><trace>a b</trace></ink>", "inkml empty": b"<ink/>", "unipen empty": b".VERSION 1.0\n", "unipen no x": b".VERSION 1.0\n.COORD A B\n.PEN_DOWN\n1 2\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_ink_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(VitrineError) as error:
        formats.read(HOSTILE[name])
    assert str(error.value).endswith(".") and len(str(error.value)) < 300 and "Traceback" not in str(error.value)


def test_a_file_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitError):
        formats.read(b"{" + b" " * formats.MOST_BYTES)


def test_a_path_stops_at_what_it_cannot_read() -> None:
    assert [line.tolist() for line in formats.flatten("M0 0 L1 1 L2")] == [[[0, 0], [1, 1]]]
    with pytest.raises(InputError):
        formats.read(b'<svg><path d="L"/></svg>')

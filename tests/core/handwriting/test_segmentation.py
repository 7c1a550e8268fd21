"""The point classifier as it is served: the graph equals the net, sees no size and no place, and gives readings that fit the letter."""

import numpy as np
import pytest

from core.errors import EngineError
from core.handwriting import segmentation
from core.handwriting.labels import BODY, HEAD, ISOLATED, TAIL
from core.handwriting.segmentation import POINTS, WEIGHTS, Parts, classify, parts, parts_of, write_graph


def letter(seed=0):
    """An n in one stroke: up, over, down, and out to the right."""
    rng, s = np.random.default_rng(seed), np.linspace(0, 1, 15)[:, None]
    corners = np.array([[0, 0], [0.35, -1], [0.45, 0], [0.8, -1], [1.0, 0], [1.4, -0.4]])
    points = np.concatenate([a + (b - a) * s for a, b in zip(corners, corners[1:])])
    return points + 0.005 * rng.standard_normal(points.shape)


def test_the_weights_are_small():
    assert WEIGHTS.stat().st_size < 100_000


def test_probabilities_are_those_of_points_and_sum_to_one():
    found = classify([[letter()], [letter(1), np.array([[0.2, -1.5]])]])
    assert found.classes.shape == (2, POINTS) and found.probabilities.shape == (2, POINTS, 4)
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, atol=1e-5)
    assert np.array_equal(found.classes, found.probabilities.argmax(-1))
    assert classify([]).classes.shape == (0, POINTS)


def test_size_and_place_do_not_matter_and_company_neither():
    one = classify([[letter()]]).probabilities[0]
    np.testing.assert_allclose(classify([[37 * letter() + (500, -20)]]).probabilities[0], one, atol=1e-4)
    np.testing.assert_allclose(classify([[letter(3)], [letter()], [letter(4)]]).probabilities[1], one, atol=1e-5)


def test_a_joined_letter_has_head_body_and_tail():
    found = parts([letter()])
    assert found.first == found.last == 0 and found.delayed == ()
    assert 3 <= found.head <= 20 and 3 <= found.tail <= 20 and found.head + found.tail < len(letter())


def test_a_dot_over_it_waits():
    found = parts([letter(), np.array([[0.7, -1.6], [0.72, -1.58]])])
    assert found.delayed == (1,) and found.last == 0


@pytest.mark.parametrize("strokes", [[np.zeros((1, 2))], [np.zeros((5, 2))], [np.array([[0.0, 0], [1, 0]])], [np.zeros((1, 2))] * 12, [letter()] * 8])
def test_whatever_is_drawn_gets_a_reading_that_fits(strokes):
    found = parts(strokes)
    assert 0 <= found.first <= found.last < len(strokes)
    assert 0 <= found.head <= len(strokes[found.first]) and 0 <= found.tail <= len(strokes[found.last])
    if found.first == found.last:
        assert found.head + found.tail <= len(strokes[found.first])
    assert parts_of([strokes, strokes]) == [found, found]


def reading(*classes):
    return np.eye(4)[list(classes)] * 0.96 + 0.01


def test_a_stroke_is_read_as_head_body_tail_or_as_isolated():
    assert segmentation._read(reading(HEAD, HEAD, BODY, BODY, TAIL)) == (2, 1)
    assert segmentation._read(reading(HEAD, BODY, HEAD, BODY, BODY, BODY)) == (1, 0)      # what stands out of order is overruled
    assert segmentation._read(reading(ISOLATED, ISOLATED, BODY)) is None
    assert segmentation._read(reading(HEAD)) == (0, 0)                                   # something has to stay


def test_counts_go_back_to_the_points_as_drawn():
    line = np.column_stack([np.r_[np.linspace(0, 1, 50), np.linspace(1.1, 10, 10)], np.zeros(60)])
    assert segmentation._as_drawn(line, 20, 0) == 0
    assert segmentation._as_drawn(line, 20, 2) == np.sum(line[:, 0] < 10 * 1.5 / 19)


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(segmentation, "WEIGHTS", tmp_path / "none.onnx")
    segmentation.session.cache_clear()
    with pytest.raises(EngineError, match="none.onnx"):
        classify([[letter()]])
    segmentation.session.cache_clear()


def test_the_graph_equals_the_net(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    from core.handwriting.train import PointClassifier
    torch.manual_seed(3)
    net = PointClassifier().eval()
    assert sum(p.numel() for p in net.parameters()) <= 12_000
    write_graph(net.arrays(), tmp_path / "made.onnx")
    monkeypatch.setattr(segmentation, "WEIGHTS", tmp_path / "made.onnx")
    segmentation.session.cache_clear()
    seen = np.random.default_rng(0).standard_normal((5, POINTS, 3)).astype(np.float32)
    with torch.inference_mode():
        wanted = net(torch.from_numpy(seen)).softmax(-1).numpy()
    np.testing.assert_allclose(segmentation._classify(seen).probabilities, wanted, atol=1e-5)
    segmentation.session.cache_clear()


def test_parts_are_plain_values():
    assert Parts(0, 0, 1, 2, ()) == Parts(0, 0, 1, 2, ())

"""The compiler's figures: what they show follows from the run's own numbers."""

import json
import math
from types import SimpleNamespace

import pytest

from app.figures import compiler as figures
from app.figures.compiler_graph import graph_figure, layers, places


def row(key: str, name: str, best: float, median: float | None = None) -> dict:
    """One runtime of a race."""
    median = median or 1.05 * best
    return dict(key=key, name=name, best_us=best, median_us=median, p999_us=4 * best, worst_us=20 * best, error=1e-7,
                histogram=dict(edges_us=[best, 2 * best, 4 * best, 20 * best], counts=[9000, 900, 100]))


RACE = [row("onnxruntime", "ONNX Runtime", 3.0), row("ours", "Generated here", 1.0), row("hand", "Hand-tuned", 1.04)]
CHAIN = dict(nodes=[dict(op="Dense", inputs=[-1], shape=[1, 8], origins=["a"]), dict(op="Map", inputs=[0], shape=[1, 8], origins=["b"]),
                    dict(op="Map", inputs=[0], shape=[1, 8], origins=["c"]), dict(op="Map", inputs=[1, 2], shape=[1, 8], origins=["d"])])
CODE = "one\ntwo\nthree\nfour\n"


def view(**changes) -> SimpleNamespace:
    """A saved run with a small story."""
    trace = dict(model=dict(name="net", benchmark="mlp_la"), stem="net", before=CHAIN, after=CHAIN, candidates=[dict(name="all", rules=["bias"], nodes=4, best_us=1.0, chosen=True)],
                 measured=[], discarded=[], blocks=[dict(node=0, first=2, last=3)], race=RACE, limit=dict(us=0.9, words="memory limit"),
                 verified=dict(words="Agrees."), method="Measured.") | changes
    return SimpleNamespace(trace={"trace.json": json.dumps(trace).encode()}, files={"net.cpp": CODE.encode(), "net.h": b""}, record=dict(metrics={}, seconds={}))


def test_the_finding_names_both_sides_with_the_races_own_ratios():
    said = figures.finding(view())
    assert said == "net answers in 1.00 µs: 3.0 times ahead of ONNX Runtime and 4 % ahead of the hand-tuned code"
    assert "behind" in figures.finding(view(race=[row("ours", "Generated here", 1.0), row("hand", "Hand-tuned", 0.8)]))
    assert "nothing was timed" in figures.finding(view(race=[]))


def test_only_what_is_over_the_budget_turns_red_and_the_axis_is_logarithmic():
    fig, alt = figures.race_figure(RACE, dict(us=0.9, words="limit"), 2.0, "light", 16)
    fault = figures.INK["light"]["fault"]
    assert [bar.y[0] for bar in fig.data if bar.marker.color == fault] == ["ONNX Runtime"]
    assert fig.layout.xaxis.type == "log" and "ONNX Runtime 3.00 µs" in alt
    ends = {bar.y[0]: bar.base[0] + bar.x[0] for bar in fig.data}
    assert ends == pytest.approx({"Generated here": 1.0, "Hand-tuned": 1.04, "ONNX Runtime": 3.0})


def test_late_calls_are_counted_from_the_histogram():
    histogram = RACE[1]["histogram"]
    assert [figures.late_calls(histogram, us) for us in (0.5, 2.0, 4.0, 100)] == [10_000, 1000, 100, 0]
    assert "Generated here 1,000 of 10,000" in figures.late_words(RACE, 2.0)


def test_the_calls_figure_falls_from_all_to_the_rarest_call():
    fig, _ = figures.calls_figure(RACE, "dark", 20)
    for line in fig.data:
        assert line.y[0] == 1 and list(line.y) == sorted(line.y, reverse=True) and all(v > 0 for v in line.y)


@pytest.mark.parametrize("us, words", [(0.1564, "0.156 µs"), (9.876, "9.88 µs"), (33.21, "33.2 µs"), (490.4, "490 µs"), (1500, "1.50 ms"), (25_000, "25 ms")])
def test_times_have_their_unit_and_three_figures(us, words):
    assert figures.time_words(us) == words


def test_a_block_is_the_lines_of_its_node_and_nothing_for_a_node_without_code():
    this = figures.story(view())
    assert figures.block_of(this, 0) == (2, 3, "two\nthree")
    assert figures.block_of(this, 1) == (0, 0, "")


def test_the_weights_of_a_block_are_told_by_their_lines():
    code = "a\nb\nw1\nw2\nc\nd"
    this = figures.Story(dict(blocks=[dict(node=0, first=2, last=5, weights=[3, 4])]), {}, code)
    assert figures.block_of(this, 0) == (2, 5, "b\n// lines 3 to 4: weights, left out here\nc")
    this = figures.Story(dict(blocks=[dict(node=0, first=2, last=5, weights=None)]), {}, code)
    assert figures.block_of(this, 0)[2] == "b\nw1\nw2\nc"


def test_every_node_stands_below_those_it_reads_and_beside_nobody():
    assert layers(CHAIN) == [0, 1, 1, 2]
    assert len(set(places(CHAIN))) == 4
    fig, alt = graph_figure(CHAIN, {1}, "light", 16)
    assert list(fig.data[0].customdata) == [0, 1, 2, 3] and alt == "4 nodes: 1 Dense, 3 Map."


def test_compare_and_report_hold_the_numbers():
    (first, _), _, between = figures.comparison(view(), view(race=[row("ours", "Generated here", 2.0)]), "light", 16)
    assert first.data and ("right ÷ left", "2.00×") in between
    page = figures.report(view(race=[*RACE, row("naive", "<b>", 13.0)]))
    assert "0.900 µs" in page and "&lt;b&gt;" in page and "<b>" not in page
    assert math.isclose(float(page.split("Generated here</td><td>")[1].split("<")[0]), 1.0)

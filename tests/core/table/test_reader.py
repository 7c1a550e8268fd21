"""The model's reading: boxes in the picture, tokens and calls that add up, confidence, abstention in words, and what happens where the model is missing."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EngineError
from core.exhibit import Source
from core.io.pictures import read_picture
from core.table import exhibit, reader
from core.table.config import TableConfig
from core.table.decode import decode
from core.table.export import from_json
from core.table.heads import BIN, HeadsAnswer
from core.table.reader import Likely, Look, confidence_of, likelihood, read_model, story, token_shares, why_not
from core.table.recognise import read_structure, recognise
from core.table.regions import read_regions
from core.table.table import Cell, Table
from core.table.tokens import from_tokens, parse, to_tokens
from tests.core.table.drawn import paper, put
from tests.core.table.test_decode import net_and_picture

SAMPLES = Path(__file__).parents[3] / "assets" / "samples"
MODEL = TableConfig(engine="model", ocr="none")


def sample(name: str) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(SAMPLES / name)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def ruled():
    """A ruled sample, the model's reading of it and the regions'."""
    rgb = sample("superbike-1990.png")
    return rgb, read_model(rgb), read_regions(rgb)


# Where the cells lie

def test_the_model_and_the_regions_place_the_cells_alike(ruled):
    _, model, regions = ruled
    assert model.table.without_text() == regions.table.without_text() and model.reason == ""
    assert max(abs(a - b) for one, other in zip(model.table.cells, regions.table.cells) for a, b in zip(one.box, other.box)) < 10
    assert all(0 <= c.confidence <= 1 for c in model.table.cells) and 0 <= model.confidence <= 1


def test_the_story_adds_up(ruled):
    rgb, model, _ = ruled
    told = json.loads(json.dumps(story(model), default=lambda value: value.tolist()))
    assert set(told) >= {"size", "to_input", "heads", "confidence", "tokens", "calls", "seconds"} and set(told["seconds"]) >= {"encoder", "heads", "decode"}
    assert sum(call["accepted"] + 1 for call in told["calls"]) == len(told["tokens"]) == len(model.decoding.tokens)
    assert "".join(token["text"] for token in told["tokens"]).endswith("</table>") and told["tokens"][0]["text"].startswith("<r")
    calls = [token["call"] for token in told["tokens"]]
    assert calls == sorted(calls) and sum(token["drafted"] for token in told["tokens"]) == sum(call["accepted"] for call in told["calls"])
    height, width = told["size"]
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in (token["box"] for token in told["tokens"]))
    corner = np.float64(told["to_input"]) @ [width, height, 1]
    assert corner == pytest.approx([rgb.shape[1], rgb.shape[0]], abs=1)


def test_greedy_and_speculative_read_the_same(ruled):
    rgb, speculative, _ = ruled
    greedy = read_model(rgb, TableConfig(decode="greedy"))
    assert greedy.decoding.tokens == speculative.decoding.tokens and greedy.table == speculative.table
    assert len(greedy.decoding.calls) == len(greedy.decoding.tokens) > len(speculative.decoding.calls)


def test_a_skewed_table_is_read_straight(ruled):
    rgb, upright, _ = ruled
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -2.5, 1)
    skewed = cv2.warpAffine(rgb, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    model = read_model(skewed)
    assert abs(model.skew_degrees - 2.5) < 0.3 and model.table.cols == upright.table.cols and abs(model.table.rows - upright.table.rows) <= 1
    one, other = model.table.cells[-1], upright.table.cells[-1]
    middle = turn @ [(other.box[0] + other.box[2]) / 2, (other.box[1] + other.box[3]) / 2, 1]
    assert np.abs(np.float64([(one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2]) - middle).max() < 12


# A table without rules, from picture to files

def test_a_table_without_rules_is_read_by_the_model():
    outcome = exhibit.run([Source("a.png", (SAMPLES / "item-format.png").read_bytes())])
    value = json.loads(outcome.files["a.json"])
    assert value["engine"] == "model" and value["choice"]["taken"] == "model" and value["choice"]["why"].startswith("Model: it found ")
    lines = {tuple(c["text"] for c in value["cells"] if c["row"] == r) for r in range(value["rows"])}
    assert {("Multiple choice", "74", "55"), ("Constructed response", "61", "45")} <= lines
    assert value["tokens"][-1] == "</table>" and value["decoder_calls"] < len(value["tokens"]) and value["tokens_per_call"] > 1
    assert outcome.metrics["tokens"] == len(value["tokens"]) and outcome.metrics["by_model"] == 1 and 0 < value["confidence"] <= 1
    assert {"encoder", "heads", "decode"} <= set(outcome.seconds) and outcome.models["table model"].startswith("table-small.npz ")
    told = json.loads(outcome.trace["a/trace.json"])
    assert told["parts"]["regions"] is None and len(told["parts"]["model"]) == len(value["cells"]) and told["model"]["tokens"]
    assert from_json(outcome.files["a.json"].decode()).choice.taken == "model"


def test_a_ruled_table_keeps_the_regions_and_says_that_both_agree(ruled):
    found = read_structure(ruled[0])
    assert found.choice.taken == "regions" and found.choice.agree and found.table == ruled[2].table and found.model is not None


def test_a_race_times_every_draft_on_this_picture(ruled):
    raced = reader.race(ruled[0], ruled[1], repeats=1)
    assert raced["drafts"]["identical"] and raced["drafts"]["greedy"]["calls"] == raced["drafts"]["tokens"] > raced["drafts"]["heads"]["calls"]
    assert all(raced["drafts"][name]["seconds"] > 0 for name in ("greedy", "rules", "heads"))
    if "mobile" in raced:
        assert set(raced["mobile"]) == {"seconds", "full_seconds", "cells", "same_structure"}


def test_the_mobile_model_answers_without_a_decoder():
    config = TableConfig(engine="model", model="mobile", ocr="none")
    try:
        model = read_model(sample("superbike-1990.png"), config)
    except EngineError as error:
        pytest.skip(str(error))
    assert model.decoding is None and model.agree is None and model.table.rows > 4 and model.version.startswith("table-mobile")
    outcome = exhibit.run([Source("a.png", (SAMPLES / "superbike-1990.png").read_bytes())], config)
    value = json.loads(outcome.files["a.json"])
    assert value["tokens"] is None and value["decoder_calls"] is None and value["tokens_per_call"] is None
    assert set(outcome.trace) == {"a/picture.png", "a/trace.json"} and json.loads(outcome.trace["a/trace.json"])["regions"] == []


# What is no table

def words_in_lines() -> np.ndarray:
    page = paper(300, 620)
    for n, words in enumerate(("It is a truth universally acknowledged, that a single man", "in possession of a good fortune, must be in want of a",
                               "wife. However little known the feelings or views of such", "a man may be on his first entering a neighbourhood, this",
                               "truth is so well fixed in the minds of the surrounding")):
        put(page, words, 20, 40 + 30 * n, size=0.6)
    return page


@pytest.mark.parametrize("picture", [np.full((200, 300, 3), 255, np.uint8), np.zeros((200, 300, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8),
                                     np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8), words_in_lines()],
                         ids=["white", "black", "pixel", "noise", "prose"])
def test_what_is_no_table_is_declined_in_words(picture):
    found = read_structure(picture)
    assert found.table is None and found.confidence is None
    assert found.reason.endswith(".") and "model" in found.reason.lower() and found.choice.why == "Neither the model nor the regions found a table."


def look_of(rows: int, cols: int, own: float, heads: float) -> Look:
    table = Table(rows, cols, tuple(Cell(r, k) for r in range(rows) for k in range(cols)))
    tokens = tuple(to_tokens(table, range(rows), range(cols)))
    answer = HeadsAnswer(table, 8 * np.arange(rows + 1.0), 8 * np.arange(cols + 1.0), tokens, 0.9, np.full((rows, cols), 0.9))
    return Look((160, 160), answer, None, Likely(np.full(len(tokens), own), np.full(len(tokens), heads)))


def declined(seen: Look) -> str:
    return why_not(seen.heads.table, seen.heads.ys, seen.heads.xs, seen)


def test_one_line_or_one_column_is_no_table_and_doubt_is_told_with_its_figure():
    assert declined(look_of(4, 3, 0.99, 0.99)) == ""
    assert "1 row and 4 columns" in declined(look_of(1, 4, 0.99, 0.99)) and "5 rows and 1 column," in declined(look_of(5, 1, 0.99, 0.99))
    seen = look_of(4, 2, 0.99, 0.99)
    assert "1 column," in why_not(seen.heads.table, seen.heads.ys, np.array([0.0, 99.0, 100.0]), seen), "a sliver is no column"
    assert "40\u00a0% on average" in declined(look_of(4, 3, 0.3, 0.4))


def test_confidence_grows_with_the_probability_and_with_agreement():
    steps = [confidence_of(look_of(4, 3, share, 0.1), False) for share in (0.5, 0.8, 0.95, 0.999)]
    assert steps == sorted(steps) and 0 < steps[0] < steps[-1] < 1
    assert confidence_of(look_of(4, 3, 0.95, 0.1), True) > confidence_of(look_of(4, 3, 0.95, 0.1), False)


# Probabilities of tokens

@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1000))
def test_the_probabilities_of_a_sequence_are_those_of_its_tokens(seed):
    net, seen = net_and_picture(seed)
    with torch.inference_mode():
        tokens = decode(net, seen, max_cells=30).tokens
        shares = likelihood(net, seen, tokens)
        moved = likelihood(net, seen, [t + 1 if t == tokens[0] else t for t in tokens] if tokens[0] < 5 + seen.row_gaps.shape[1] // BIN - 3 else tokens)
    assert shares.shape == (len(tokens),) and (shares >= 0).all() and (shares <= 1 + 1e-5).all()
    assert moved[0] > 0, "a place next to the best one is as likely within the tolerance"


def test_the_shares_of_rows_columns_and_places():
    tokens = parse("<r004><c002>C<c010>L<r012>UC</table>".replace("UC", "CC"))
    shares = np.arange(len(tokens)) / 10
    rows, cols, places = token_shares(tokens, shares, from_tokens(tokens).table)
    assert rows.tolist() == [0.0, 0.5] and cols.tolist() == [0.1, 0.3] and places.tolist() == [[0.2, 0.4], [0.6, 0.7]]


# Missing

def test_without_the_model_auto_reads_the_rules_and_says_so(monkeypatch):
    def missing(*_):
        raise EngineError("There are no model weights table-small.npz.")

    monkeypatch.setattr(reader, "full_net", missing)
    picture = read_picture(Source("a.png", (SAMPLES / "superbike-1990.png").read_bytes()))
    result = recognise(picture, TableConfig(ocr="none"))
    assert result.engine == "regions" and result.table.rows == 8 and any("no model weights" in note for note in result.notes)
    with pytest.raises(EngineError, match="no model weights"):
        recognise(picture, MODEL)


def test_weights_are_named_with_their_digest(tmp_path):
    path = tmp_path / "w.npz"
    path.write_bytes(b"abc")
    assert reader.version_of(path) == "w.npz ba7816bf8f01"

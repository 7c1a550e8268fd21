"""The table model: shapes, targets that lead back to the structure, learning a few pictures by heart, and a training run that resumes exactly."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError, EngineError, InputError
from core.table import targets, train
from core.table.decode import decode, heads_answer, to_input
from core.table.heads import BIN, bins, fitting, gaps_of, inked, separators
from core.table.metrics import teds
from core.table.model import SMALL, Size, TableNet, load_weights, save_weights
from core.table.synth import Drawing, draw, faces
from core.table.synth_content import load_corpus
from core.table.targets import make_batch, profile, sequence
from core.table.tokens import Grammar, from_tokens

TINY = Size(stem=16, widths=(16, 16, 24), fine=16, axis=24, dim=32, heads=2, encoder_layers=1, decoder_layers=1, inner=48, pointer=16, merge=24)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def drawn() -> list[Drawing]:
    try:
        faces()
    except EngineError as error:
        pytest.skip(str(error))
    made = (draw(load_corpus(None), (5, i)) for i in range(60))
    return [d for d in made if d.table.rows < 12 and d.table.cols < 8][:6]


# Targets

@given(st.lists(st.integers(3, 30), min_size=3, max_size=41).filter(lambda steps: len(steps) % 2 == 1))
def test_a_profile_leads_back_to_its_gaps(steps: list[int]) -> None:
    """Gaps and bands by turns; what the separator head is taught decodes to the same gaps."""
    edges = np.concatenate([[0], np.cumsum(steps)]).astype(float)
    gaps = edges.reshape(-1, 2)
    line = profile(gaps, int(edges[-1]))
    assert np.array_equal(gaps_of(20 * line - 10), gaps)


@given(st.lists(st.floats(0.01, 9), min_size=2, max_size=60))
def test_bins_grow_whatever_the_places(steps: list[float]) -> None:
    places = np.cumsum(steps)
    count = max(int(places[-1] / BIN) + 1, len(places))
    found = bins(places, count)
    assert len(found) == len(places) - 1 and all(b > a for a, b in zip(found, found[1:])) and 0 <= found[0] and found[-1] < count


def test_separators_are_gap_middles_and_hug_the_outer_ink() -> None:
    assert separators(np.array([[0, 20], [30, 40], [50, 90.0]]), 90).tolist() == [17, 35, 53]
    assert separators(np.array([[0, 1], [30, 40], [88, 90.0]]), 90).tolist() == [0, 35, 90]


def test_a_batch_says_the_structure(drawn: list[Drawing]) -> None:
    size = (320, 352)
    batch = make_batch(drawn, size, np.random.default_rng(0))
    assert batch.picture.shape == (len(drawn), 1, *size) and batch.picture.dtype == np.uint8
    for i, drawing in enumerate(drawn):
        tokens, ys, xs = sequence(drawing, size)
        assert from_tokens(tokens).table == drawing.table.without_text()
        assert (batch.wanted[i] >= 0).sum() == len(tokens) and (batch.grid[i] >= 0).sum() == drawing.table.rows * drawing.table.cols
        for line, gaps, side, places in ((batch.profiles[0][i], drawing.row_gaps, size[0], ys),
                                         (batch.profiles[1][i], drawing.col_gaps, size[1], xs)):
            assert len(gaps_of(20 * line - 10)) == len(gaps)
            assert np.abs(separators(gaps_of(20 * line - 10), side) - places).max() <= 1.01
        assert np.isfinite(batch.boxes[i]).all(1).sum() == sum(ink is not None for ink in drawing.inks)


def test_the_open_slots_hold_whatever_the_grammar_allows(drawn: list[Drawing]) -> None:
    size = (256, 288)
    batch = make_batch(drawn[:2], size, np.random.default_rng(0))
    mask = train.slot_mask(torch.from_numpy(batch.known).long(), size[0] // BIN, size[1] // BIN).numpy()
    for i, drawing in enumerate(drawn[:2]):
        state = Grammar(size[0] // BIN, size[1] // BIN)
        for t, token in enumerate(sequence(drawing, size)[0]):
            assert not (state.mask() & ~mask[i, t]).any() and mask[i, t, batch.wanted[i, t]] and state.index_of(token) == batch.wanted[i, t]
            state.push(token)


def test_batches_are_the_same_whenever_asked_for(monkeypatch: pytest.MonkeyPatch, drawn: list[Drawing]) -> None:
    monkeypatch.setattr(targets, "CHUNK", 16)
    run = targets.batches(None, 3, 4)
    steps = [next(run) for _ in range(7)]
    later = targets.batches(None, 3, 4, first=5)
    assert all(np.array_equal(next(later).picture, steps[i].picture) for i in (5, 6))
    other = targets.batches(None, 3, 4, share=(1, 2))
    assert all(np.array_equal(next(other).picture, steps[i].picture) for i in (4, 5, 6))


# The net

@pytest.mark.parametrize("size", [(160, 224), (320, 320)])
def test_shapes_follow_the_picture(size: tuple[int, int]) -> None:
    net = TableNet(TINY).eval()
    with torch.inference_mode():
        seen = net.encoder(torch.rand(2, 1, *size))
        memory = net.decoder.start(seen)
        features = net.decoder(torch.zeros(2, 5, 6, dtype=torch.long), memory)
        scores, boxes = net.decoder.tokens(features, memory), net.decoder.boxes(features)
        grid = net.merge(seen, torch.linspace(0, size[0], 4).repeat(2, 1), torch.linspace(0, size[1], 6).repeat(2, 1), torch.ones(2, 1, 3, 5))
    assert seen.row_gaps.shape == (2, size[0]) and seen.col_gaps.shape == (2, size[1])
    assert scores.shape == (2, 5, 5 + size[0] // BIN + size[1] // BIN) and memory.length == 5
    assert grid.shape == (2, 4, 3, 5) and boxes.shape == (2, 5, 4)


def test_padding_a_grid_changes_nothing_inside_it() -> None:
    net = TableNet(TINY).eval()
    ys, xs = torch.tensor([[0.0, 40, 90, 160]]), torch.tensor([[5.0, 60, 150]])
    with torch.inference_mode():
        seen = net.encoder(torch.rand(1, 1, 160, 160))
        alone = net.merge(seen, ys, xs, torch.ones(1, 1, 3, 2))
        inside = torch.zeros(1, 1, 5, 4)
        inside[:, :, :3, :2] = 1
        padded = net.merge(seen, torch.cat([ys, ys[:, -1:].repeat(1, 2)], 1), torch.cat([xs, xs[:, -1:].repeat(1, 2)], 1), inside)
    assert torch.allclose(alone, padded[:, :, :3, :2], atol=1e-5)


def test_the_decoder_sees_no_later_token() -> None:
    net = TableNet(TINY).eval()
    known = torch.randint(0, 4, (1, 8, 6))
    changed = known.clone()
    changed[:, 5:] = torch.randint(0, 4, (1, 3, 6))
    with torch.inference_mode():
        seen = net.encoder(torch.rand(1, 1, 160, 160))
        one, other = (net.decoder(k, net.decoder.start(seen)) for k in (known, changed))
    assert torch.allclose(one[:, :5], other[:, :5], atol=1e-6) and not torch.allclose(one[:, 5:], other[:, 5:], atol=1e-6)


def test_the_full_net_is_small_enough_to_ship() -> None:
    count = sum(p.numel() for p in TableNet(SMALL).parameters())
    assert 1_500_000 < count < 2_500_000


def test_weights_come_back_in_half_precision(tmp_path: Path) -> None:
    net = TableNet(TINY)
    save_weights(net, tmp_path / "net.npz")
    again = load_weights(tmp_path / "net.npz", TINY)
    assert not again.training
    for (name, one), other in zip(net.state_dict().items(), again.state_dict().values()):
        assert torch.allclose(one.float(), other.float(), rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("content, said", [(None, "There are no model weights"), (b"PK no archive", "do not fit")])
def test_missing_and_foreign_weights_are_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content:
        (tmp_path / "net.npz").write_bytes(content)
    with pytest.raises(EngineError, match=said):
        load_weights(tmp_path / "net.npz")


def test_weights_of_another_size_do_not_fit(tmp_path: Path) -> None:
    save_weights(TableNet(TINY), tmp_path / "net.npz")
    with pytest.raises(EngineError, match="do not fit"):
        load_weights(tmp_path / "net.npz", SMALL)


def test_ink_is_bright_for_either_polarity() -> None:
    page = np.full((100, 100), 250, np.uint8)
    page[40:50] = 0
    assert inked(page, (100, 100))[45, 50] == 255 and np.array_equal(inked(255 - page, (100, 100)) > 128, inked(page, (100, 100)) > 128)


@pytest.mark.parametrize("shape, scale, wanted", [((300, 680), 1.0, (288, 640)), ((59, 238), 1.0, (160, 224)), ((3000, 4000), 1.0, (544, 640)),
                                                  ((20, 2000), 0.6, (160, 640))])
def test_input_sides(shape: tuple[int, int], scale: float, wanted: tuple[int, int]) -> None:
    assert fitting(*shape, scale) == wanted


# Training

def test_a_few_pictures_are_learnt_by_heart(drawn: list[Drawing]) -> None:
    """The recipe end to end: after some dozens of steps on four pictures the heads give their structure back exactly."""
    torch.manual_seed(0)
    size, few = (192, 192), [d for d in drawn if d.table.rows <= 8][:3]
    training = train.Training(TableNet(TINY), train.make_optimiser(TableNet(TINY), 1e-3), span=200)
    training.optimiser = train.make_optimiser(training.net, 3e-3)
    options, rng = train.Options(rate=4e-3), np.random.default_rng(0)
    first = None
    for step in range(200):
        training.elapsed = step
        found = train._step(training, make_batch(few, size, rng), options, torch.device("cpu"))
        first = first or found
    assert found["tokens"] < 0.5 * first["tokens"] and found["gaps"] < 0.3 * first["gaps"] and found["boxes"] < first["boxes"]
    training.net.eval()
    with torch.inference_mode():
        answers = [heads_answer(training.net, training.net.encoder(to_input(d.picture, size))) for d in few]
    assert np.mean([teds(a.table, d.table, structure_only=True) for a, d in zip(answers, few)]) > 0.9


def test_training_goes_on_from_the_shipped_weights_where_there_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SMALL", TINY)
    monkeypatch.setattr(train, "WEIGHTS", tmp_path / "net.npz")
    shipped = TableNet(TINY)
    save_weights(shipped, train.WEIGHTS)
    begun, fresh = (train.Training.begin(train.Options(state=tmp_path), scratch) for scratch in (False, True))
    name = "encoder.stem.0.weight"
    assert torch.allclose(begun.net.state_dict()[name], shipped.state_dict()[name], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(fresh.net.state_dict()[name], shipped.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_the_shipped_weights_load_and_read() -> None:
    """The weight file of this version fits this code and reads a plain drawing of three by two."""
    net = load_weights(train.WEIGHTS)
    page = np.full((150, 300), 255, np.uint8)
    for r in range(3):
        for k in range(2):
            text = ("Name", "Weight", "Apple", "125", "Melon", "2040")[2 * r + k]
            cv2.putText(page, text, (20 + 150 * k, 40 + 45 * r), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1, cv2.LINE_AA)
    with torch.inference_mode():
        seen = net.encoder(to_input(page, fitting(*page.shape, 0.8)))
        heads, decoded = heads_answer(net, seen).table, decode(net, seen).layout().table
    assert (heads.rows, heads.cols) == (decoded.rows, decoded.cols) == (3, 2) and len(heads.cells) == len(decoded.cells) == 6


class Broken(Exception):
    """The run is broken off here."""


def test_a_run_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[Drawing]) -> None:
    monkeypatch.setattr(targets, "CHUNK", 16)
    monkeypatch.setattr(train, "SMALL", TINY)
    straight, parted = (train.Options(steps=5, drawers=0, state=tmp_path / name, save_every=1e9) for name in ("one", "other"))
    whole = train.Training.begin(straight, scratch=True)
    train.train(straight, whole, lambda record: None)
    half = train.Training.begin(parted, scratch=True)
    with monkeypatch.context() as patch:
        patch.setattr(train, "_step", _breaking_after(3, train._step))
        with pytest.raises(Broken):
            train.train(parted, half, lambda record: None)
    half.save(parted.state / "table.pt")
    resumed = train.Training.begin(parted)
    assert resumed.step == 3 and resumed.elapsed == 3
    train.train(parted, resumed, lambda record: None)
    assert resumed.step == whole.step == 5 and resumed.images == 40
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[name]), name


def _breaking_after(count: int, step):
    def broken(training: train.Training, *rest) -> dict[str, float]:
        if training.step == count:
            raise Broken
        return step(training, *rest)
    return broken


def test_a_finished_run_begins_a_new_cosine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[Drawing]) -> None:
    monkeypatch.setattr(targets, "CHUNK", 16)
    monkeypatch.setattr(train, "SMALL", TINY)
    monkeypatch.setattr(train, "WEIGHTS", tmp_path / "none.npz")
    options = train.Options(steps=2, drawers=0, state=tmp_path)
    for _ in range(2):
        training = train.Training.begin(options)
        train.train(options, training, lambda record: None)
    assert training.step == 4 and training.elapsed == 2


def test_the_rate_rises_then_falls() -> None:
    rates = [train.rate_at(share, 1.0) for share in np.linspace(0, 1, 200)]
    assert rates[0] < 0.05 and max(rates) > 0.95 and rates[-1] == pytest.approx(0.01) and np.argmax(rates) < 10


@pytest.mark.parametrize("argv", [["--minutes", "0"], ["--batch", "7"], ["--drawers", "-1"], ["--minutes", "many"], ["--evaluate", "imagenet"],
                                  ["--evaluate", "--every", "0"]])
def test_options_out_of_range_are_refused(argv: list[str]) -> None:
    with pytest.raises(ConfigError):
        train.main(argv)


def test_a_data_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wikitables"):
        train.table_folder(tmp_path)


def test_the_command_line_trains_and_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: list[Drawing]) -> None:
    monkeypatch.setattr(targets, "CHUNK", 16)
    monkeypatch.setattr(train, "SMALL", TINY)
    monkeypatch.setattr(train, "STATE", tmp_path)
    monkeypatch.setattr(train, "Options", lambda *a, **k: _options(tmp_path, **k))
    monkeypatch.setattr(train.os, "nice", lambda by: by)
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    train.main(["--minutes", "1", "--drawers", "0", "--scratch"])
    events = [json.loads(line)["event"] for line in (tmp_path / "table.jsonl").read_text("utf8").splitlines()]
    assert events[0] == "begin" and events[-1] == "end"
    assert load_weights(tmp_path / train.WEIGHTS.name, TINY)


_OPTIONS = train.Options


def _options(state: Path, **given) -> train.Options:
    return _OPTIONS(steps=1, state=state, **given)

"""Training: scores told by hand, folds without a shared writer, augmentation that keeps letters letters, and a net that learns; one fold on the real words."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from core.errors import ConfigError, InputError  # noqa: E402
from core.handwriting import train as training  # noqa: E402
from core.handwriting.labels import BODY, HEAD, TAIL  # noqa: E402
from core.handwriting.segmentation import WEIGHTS  # noqa: E402
from core.handwriting.train import Letters, Options, augmented, cross_validate, f1_scores, fit, fold_of, predict, reordered  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of torch that wait for a core cost minutes on nets as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn_letters(count=96, seed=0):
    """Zigzags: up is head, across is body, down is tail; eight writers."""
    rng, s = np.random.default_rng(seed), np.linspace(0, 1, 20)
    features = []
    for _ in range(count):
        a, b = rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.8)
        y = np.interp(s, [0, a, b, 1], [1, -1, -0.8, 1])
        features.append(np.column_stack([2 * s - 1, y + 0.01 * rng.standard_normal(20), np.r_[np.ones(19), 0]]))
    features = np.array(features, np.float32)
    slope = np.diff(features[..., 1], axis=1, append=features[:, -1:, 1] + 0.1)
    labels = np.where(slope < -0.06, HEAD, np.where(slope > 0.06, TAIL, BODY))
    return Letters(features, labels, np.ones((count, 20), bool), np.full((count, 20), BODY), np.array([f"w{k % 8}" for k in range(count)]))


def test_f1_is_told_from_what_is_known():
    wanted = np.array([[0, 0, 1, 1, 1, 2]])
    found = np.array([[0, 1, 1, 1, 2, 2]])
    known = np.ones((1, 6), bool)
    exact = f1_scores(wanted, found, known)
    np.testing.assert_allclose(exact[:3], [2 / 3, 2 / 3, 2 / 3])
    assert np.isnan(exact[3])
    np.testing.assert_allclose(f1_scores(wanted, found, known, 1)[:3], 1)
    known[0, [1, 4]] = False
    np.testing.assert_allclose(f1_scores(wanted, found, known)[:3], 1)


def test_one_point_of_grace_is_one_point():
    wanted, found = np.array([[0, 0, 0, 1, 1, 1, 1]]), np.array([[0, 0, 0, 0, 0, 1, 1]])
    scores = f1_scores(wanted, found, np.ones((1, 7), bool), 1)
    assert scores[0] < 1 and scores[0] == pytest.approx(2 * 0.8 / 1.8)


def test_no_writer_is_in_two_folds():
    writers = np.array(["a"] * 50 + ["b"] * 30 + ["c"] * 20 + ["d"] * 5)
    fold = fold_of(writers, 3)
    assert all(len(set(fold[writers == w])) == 1 for w in "abcd") and sorted(np.bincount(fold)) == [25, 30, 50]


def test_augmentation_keeps_pen_states_and_the_frame():
    letters = torch.from_numpy(drawn_letters(16).features)
    changed = augmented(letters, torch.Generator().manual_seed(0))
    assert torch.equal(changed[..., 2], letters[..., 2]) and not torch.allclose(changed[..., :2], letters[..., :2], atol=0.05)
    size = (changed[..., :2].amax(1) - changed[..., :2].amin(1)).amax(1)
    torch.testing.assert_close(size, torch.full_like(size, 2.0))


def test_strokes_change_places_and_take_their_labels_along():
    letters = drawn_letters(6)
    letters.features[:4, 14, 2] = 0                                                     # four letters of two strokes: 15 points, then 5
    copies = reordered(letters, 0)
    assert len(copies) == 4 and copies.writer.tolist() == letters.writer[:4].tolist()
    order = np.r_[15:20, 0:15]
    for name in ("features", "labels", "known", "rule"):
        np.testing.assert_array_equal(getattr(copies, name), getattr(letters, name)[:4][:, order])


def test_a_net_learns_and_a_seed_repeats():
    letters = drawn_letters()
    one, other = (fit(letters[:32], Options(epochs=1, batch=16)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values()))
    one = fit(letters, Options(epochs=10, batch=16, rate=1e-2))
    fresh = drawn_letters(40, seed=9)
    assert np.nanmean(f1_scores(fresh.labels, predict(one, fresh.features), fresh.known)) > 0.9


def test_cross_validation_never_trains_on_the_writer_it_answers(monkeypatch):
    letters, seen = drawn_letters(64), []

    def watched(supply, options):
        seen.append(set(supply.writer.tolist()))
        return None
    monkeypatch.setattr(training, "fit", watched)
    monkeypatch.setattr(training, "predict", lambda net, features: np.full(features.shape[:2], len(seen)))
    more = Letters(*(values[:8] for values in vars(drawn_letters(8)).values()))
    found = cross_validate(letters, more, 4, Options())
    for number in range(4):
        assert not seen[number] & set(letters.writer[(found == number + 1).all(1)].tolist())


def test_scores_carry_the_rule_beside_the_net():
    letters = drawn_letters(8)
    record = training.scores("U pooled", letters, letters.labels)
    assert record["macro"] == 1 and record["head"] == 1 and record["isolated"] is None and record["rule_macro"] < 0.5 and record["letters"] == 8
    json.dumps(record)


def test_the_shipped_log_keeps_what_was_promised():
    """Figures of the run that made the weights: kept with them, so that neither changes alone."""
    records = [json.loads(line) for line in WEIGHTS.with_suffix(".jsonl").read_text("utf8").splitlines()]
    pooled = {record["name"]: record for record in records if record["event"] == "score"}
    assert records[0]["parameters"] <= 12_000 and records[-1]["bytes"] == WEIGHTS.stat().st_size
    assert pooled["U pooled"]["macro"] >= 0.86 and pooled["U pooled"]["macro_within_one"] >= 0.90
    assert sum(name.startswith("U ") for name in pooled) == 19                             # pooled, and every writer
    if "K pooled" in pooled:
        assert min(pooled["K pooled"][side] for side in ("head", "tail")) >= 0.82


def test_options_out_of_range_are_refused(tmp_path):
    for wrong in (["--epochs", "0"], ["--folds", "1"], ["--folds", "12"]):
        with pytest.raises(ConfigError):
            training.parse(wrong)
    with pytest.raises(InputError, match="unipen"):
        training.ink_folder(tmp_path)


def test_real_words_give_joined_letters_of_eighteen_writers(shared_data):
    from core.handwriting.train import load_alone, load_letters
    folder = training.ink_folder(shared_data)
    letters = load_letters(folder, "K")
    assert len(letters) > 1200 and len(set(letters.writer.tolist())) >= 8 and letters.known.mean() > 0.7
    share = np.bincount(letters.labels[letters.known], minlength=4) / letters.known.sum()
    np.testing.assert_allclose(share, [0.109, 0.734, 0.110, 0.047], atol=0.02)        # the study's count of the same words
    assert len(load_alone(folder)) > 300

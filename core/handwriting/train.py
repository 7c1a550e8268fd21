"""`launch.py train handwriting`: the point classifier of section 2.1, trained on words whose characters are delimited, scored on writers it never saw."""

import argparse
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ConfigError, InputError
from core.handwriting.labels import BODY, CLASSES, DOT_SHARE, HEAD, TAIL, Letter, Word, letter_height, letters_of, sampled, turn, turning_rule
from core.handwriting.segmentation import POINTS, WEIGHTS, write_graph

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = 21
ALONE = ("mot", "sie")
"""Donors whose letters, written alone, have real entry and exit strokes."""
SLANT, HEIGHT, TURN, JITTER = 0.5, (0.75, 1.33), np.deg2rad(10), 0.01
"""How far augmentation goes."""


# Data

@dataclass(frozen=True)
class Letters:
    """What a net is trained on or scored on: features float32[n, 20, 3], labels int64[n, 20], known bool[n, 20], rule int64[n, 20] (the turning-point rule
    on the same 20 points), writer str[n]."""

    features: np.ndarray
    labels: np.ndarray
    known: np.ndarray
    rule: np.ndarray
    writer: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: np.ndarray) -> "Letters":
        return Letters(*(values[chosen] for values in vars(self).values()))

    @classmethod
    def of(cls, letters: Sequence[Letter]) -> "Letters":
        found = [sampled(letter.points, letter.labels, letter.known, POINTS) for letter in letters]
        features = np.array([one.features for one in found], np.float32).reshape(-1, POINTS, 3)
        return cls(features, np.array([one.labels for one in found]).reshape(-1, POINTS), np.array([one.known for one in found]).reshape(-1, POINTS),
                   rule_at_points(features), np.array([letter.writer for letter in letters]))


def rule_at_points(features: np.ndarray, dot_share: float = DOT_SHARE) -> np.ndarray:
    """The turning-point rule on what the net sees: int64[n, 20] from features [n, 20, 3]."""
    strokes = (np.split(letter[:, :2].astype(float), np.flatnonzero(letter[:-1, 2] == 0) + 1) for letter in features)
    return np.array([np.concatenate(turning_rule(letter, dot_share)) for letter in strokes]).reshape(-1, POINTS)


def load_letters(folder: Path, kind: str = "U") -> Letters:
    """The joined letters of unipen_words_segmented with labels U or K (K: the donor who annotated ligatures). Raises InputError without the data."""
    rows = load_table(folder, "unipen_words_segmented")
    words = (Word(strokes_of(row), np.split(np.asarray(row.char_idx), np.cumsum(row.stroke_len)[:-1]), list(row.chars), row.writer, row.contributor)
             for row in rows.itertuples() if kind == "U" or row.contributor == "kai")
    return Letters.of([letter for word in words for letter in letters_of(word, kind)])


def load_alone(folder: Path) -> Letters:
    """Lower-case letters of the donors mot and sie, one stroke each, head and tail by the turning point: more writers, for training only."""
    rows = load_table(folder, "unipen_chars")
    chosen = rows[rows.contributor.isin(ALONE) & rows.label.str.fullmatch("[a-z]") & (rows.stroke_len.map(len) == 1)]
    letters = []
    for row in chosen.itertuples():
        points = strokes_of(row)[0]
        labels, height = np.full(len(points), BODY), letter_height([points])
        labels[:turn(points, height)] = HEAD
        labels[len(points) - turn(points[::-1], height):] = TAIL
        letters.append(Letter(row.label, row.writer, row.contributor, [points], [labels], [np.ones(len(points), bool)]))
    return Letters.of(letters)


def load_table(folder: Path, name: str):
    """One Parquet file of the ink data as a pandas frame. Raises InputError without it."""
    import pandas as pd
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise InputError(f"There is no {path.name} in {folder}. Name the folder of the shared data with --data.")
    return pd.read_parquet(path)


def strokes_of(row) -> list[np.ndarray]:
    """Strokes float64[n, 2] of one row."""
    return np.split(np.column_stack([row.x, row.y]).astype(float), np.cumsum(row.stroke_len)[:-1])


def joined(*parts: Letters) -> Letters:
    """One after the other."""
    return Letters(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


# Net

class PointClassifier(nn.Module):
    """Two stacked bidirectional GRU layers and one linear layer: [batch, 20, 3] -> logits [batch, 20, 4]; 11,638 parameters."""

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.gru = nn.GRU(3, hidden, 2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, len(CLASSES))

    def forward(self, points: Tensor) -> Tensor:
        return self.out(self.gru(points)[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """Its weights by name."""
        return {name: value.detach().numpy() for name, value in self.state_dict().items()}


def augmented(points: Tensor, generator: torch.Generator) -> Tensor:
    """Another slant, height and rotation for each letter, a little noise on each point; centred and scaled anew. [batch, 20, 3]"""
    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(points), 1, generator=generator)
    low, high = np.log(HEIGHT)
    y = points[..., 1] * drawn(low, high).exp()
    x, angle = points[..., 0] + drawn(-SLANT, SLANT) * y, drawn(-TURN, TURN)
    xy = torch.stack([angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y], -1)
    xy = xy + JITTER * torch.randn(xy.shape, generator=generator)
    least, most = xy.amin(1, keepdim=True), xy.amax(1, keepdim=True)
    half = ((most - least).amax(2, keepdim=True) / 2).clamp(min=1e-6)
    return torch.cat([(xy - (least + most) / 2) / half, points[..., 2:]], -1)


def reordered(letters: Letters, seed: int) -> Letters:
    """A copy of every letter of several strokes with its strokes in another order: a dot is a dot whenever it is written."""
    rng, many = np.random.default_rng(seed), np.flatnonzero((letters.features[:, :-1, 2] == 0).any(1))
    order = np.tile(np.arange(POINTS), (len(many), 1))
    for row, letter in enumerate(letters.features[many]):
        strokes = np.split(order[row], np.flatnonzero(letter[:-1, 2] == 0) + 1)
        turn = rng.permutation(len(strokes))
        while (turn == np.arange(len(strokes))).all():
            turn = rng.permutation(len(strokes))
        order[row] = np.concatenate([strokes[k] for k in turn])
    points = np.take_along_axis(letters.features[many], order[..., None], axis=1)
    return Letters(points, *(np.take_along_axis(values[many], order, axis=1) for values in (letters.labels, letters.known, letters.rule)), letters.writer[many])


@dataclass(frozen=True)
class Options:
    """One training: epochs over the letters, batches of 128, AdamW with one cycle of the rate."""

    epochs: int = 60
    batch: int = 128
    rate: float = 4e-3
    seed: int = 0


def fit(letters: Letters, options: Options, say: Callable[[dict], None] = lambda record: None) -> PointClassifier:
    """Train one net on the letters and on copies with their strokes in another order; classes weigh by the inverse root of how often they come."""
    letters = joined(letters, reordered(letters, options.seed))
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    points, wanted = torch.from_numpy(letters.features), torch.from_numpy(np.where(letters.known, letters.labels, -1))
    often = torch.from_numpy(np.bincount(letters.labels[letters.known], minlength=len(CLASSES))).float().clamp(min=1)
    weight = often.rsqrt() / often.rsqrt().mean()
    net, batches = PointClassifier(), max(len(points) // options.batch, 1)
    optimiser = torch.optim.AdamW(net.parameters(), options.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=options.epochs * batches)
    for epoch in range(options.epochs):
        total = 0.0
        for chosen in torch.randperm(len(points), generator=generator).chunk(batches):
            found = net(augmented(points[chosen], generator))
            loss = F.cross_entropy(found.flatten(0, 1), wanted[chosen].flatten(), weight=weight, ignore_index=-1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        say(dict(event="epoch", epoch=epoch + 1, loss=round(total / batches, 4)))
    return net.eval()


@torch.inference_mode()
def predict(net: PointClassifier, features: np.ndarray) -> np.ndarray:
    """Classes int64[n, 20]."""
    return net(torch.from_numpy(features)).argmax(-1).numpy()


# Scores

def f1_scores(wanted: np.ndarray, found: np.ndarray, known: np.ndarray, within: int = 0) -> np.ndarray:
    """F1 of each class over the known points of letters [n, 20], float64[4]; NaN where nobody wants or finds the class.

    within = 1: a point is right when the class it is given stands at it or at a neighbour among the labels, and is found when it is among the answers there.
    """
    scores = np.full(len(CLASSES), np.nan)
    for label in range(len(CLASSES)):
        there, said = wanted == label, found == label
        right, met = (said & known & _near(there, within)).sum(), (there & known & _near(said, within)).sum()
        precision, recall = right / max((said & known).sum(), 1), met / max((there & known).sum(), 1)
        if ((there | said) & known).any():
            scores[label] = 2 * precision * recall / max(precision + recall, 1e-12)
    return scores


def _near(there: np.ndarray, within: int) -> np.ndarray:
    if not within:
        return there
    wide = np.pad(there, ((0, 0), (1, 1)))
    return wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]


def fold_of(writers: np.ndarray, folds: int) -> np.ndarray:
    """Fold of each letter: whole writers, the most prolific first to where least is."""
    load, home = np.zeros(folds, int), {}
    for writer, count in sorted(Counter(writers.tolist()).items(), key=lambda item: (-item[1], item[0])):
        home[writer] = int(load.argmin())
        load[home[writer]] += count
    return np.array([home[writer] for writer in writers.tolist()])


def cross_validate(letters: Letters, more: Letters | None, folds: int, options: Options) -> np.ndarray:
    """Classes int64[n, 20] of every letter, each by a net that saw nothing of its writer. `more` is trained on in every fold, but for those writers."""
    fold, found = fold_of(letters.writer, folds), np.zeros_like(letters.labels)
    for number in range(folds):
        held = fold == number
        supply = letters[~held] if more is None else joined(letters[~held], more[~np.isin(more.writer, letters.writer[held])])
        found[held] = predict(fit(supply, options), letters.features[held])
    return found


def scores(name: str, letters: Letters, found: np.ndarray) -> dict:
    """One record: F1 of each class and their mean, exact and within one point, and the mean of the rule on the same points."""
    exact, near = (f1_scores(letters.labels, found, letters.known, within) for within in (0, 1))
    rule = f1_scores(letters.labels, letters.rule, letters.known)
    record = dict(event="score", name=name, letters=len(letters), macro=np.nanmean(exact), macro_within_one=np.nanmean(near), rule_macro=np.nanmean(rule))
    for label, word in enumerate(CLASSES):
        record |= {word: exact[label], f"{word}_within_one": near[label], f"rule_{word}": rule[label]}
    return {key: (None if value != value else round(float(value), 4)) if isinstance(value, float) else value for key, value in record.items()}


def all_scores(kind: str, letters: Letters, found: np.ndarray) -> list[dict]:
    """Pooled over all writers first, then writer by writer."""
    writers = sorted(set(letters.writer.tolist()))
    return [scores(f"{kind} pooled", letters, found)] + [scores(f"{kind} {w}", letters[letters.writer == w], found[letters.writer == w]) for w in writers]


# Command line

def ink_folder(given: Path | None) -> Path:
    """The folder of the ink data: as given, or the shared one. Raises InputError where it holds none."""
    base = given or Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data")
    for folder in (base, base / "ink"):
        if (folder / "unipen_words_segmented.parquet").is_file():
            return folder
    raise InputError("There is no unipen_words_segmented.parquet to train on. Name the folder of the shared data with --data.")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of `launch.py train handwriting`. Raises ConfigError where they do not fit."""
    parser = argparse.ArgumentParser(prog="launch.py train handwriting", description=__doc__, exit_on_error=False)
    parser.add_argument("--data", type=Path, help="the folder of the shared data or of its ink (default: VITRINE_DATA, or ../shared/data)")
    parser.add_argument("--epochs", type=int, default=Options.epochs)
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--folds", type=int, default=6, help="cross-validation over writers; 0: none")
    parser.add_argument("--labels", choices=("U", "K", "both"), default="both", help="which labels the cross-validation takes")
    parser.add_argument("--style", action="store_true", help="fit the layer of the style distances instead")
    parser.add_argument("--publish", action="store_true", help="train on all writers with labels U, and put graph and log into assets/weights")
    given = parser.parse_args(argv)
    if not 1 <= given.epochs <= 10_000 or not 0 <= given.folds <= 9 or given.folds == 1:
        raise ConfigError("Training takes --epochs 1 to 10,000 and --folds 0 or 2 to 9 (the writers with ligature labels are nine).")
    return given


def main(argv: list[str] | None = None) -> None:
    """Cross-validate, train on all, write the graph; one JSON line per event."""
    try:
        given = parse(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}. `launch.py train handwriting --help` lists the options.") from None
    folder, options, lines = ink_folder(given.data), Options(given.epochs, seed=given.seed), []
    torch.set_num_threads(1)
    with contextlib.suppress(AttributeError):
        os.nice(10)
    begun = time.monotonic()

    def say(record: dict) -> None:
        lines.append(json.dumps(record | dict(seconds=round(time.monotonic() - begun, 1))))
        print(lines[-1], flush=True)

    say(dict(event="begin", epochs=options.epochs, seed=options.seed, folds=given.folds, torch=torch.__version__,
             parameters=sum(p.numel() for p in PointClassifier().parameters())))
    if given.style:
        train_style(folder, given.publish, say)
        return
    alone = load_alone(folder)
    for kind in ("U", "K") if given.labels == "both" else given.labels:
        if given.folds:
            letters = load_letters(folder, kind)
            for record in all_scores(kind, letters, cross_validate(letters, alone if kind == "U" else None, given.folds, options)):
                say(record)
    if given.publish:
        net = fit(joined(load_letters(folder), alone), options, say)
        write_graph(net.arrays(), WEIGHTS)
        say(dict(event="end", bytes=WEIGHTS.stat().st_size))
        WEIGHTS.with_suffix(".jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")


def train_style(folder: Path, publish: bool, say: Callable[[dict], None]) -> None:
    """Fit the layer of the style distances; it goes into assets/weights when published."""
    from core.handwriting.metrics import STYLE_WEIGHTS
    from core.handwriting.train_style import fit_style, load_words, named_percent
    features, writers = load_words(folder)
    named, chance = named_percent(features, writers)
    say(dict(event="style", words=len(features), writers=int(writers.max()) + 1, named_percent=round(named, 1), chance_percent=round(chance, 1)))
    if publish:
        np.savez_compressed(STYLE_WEIGHTS, **fit_style(features, writers))
        say(dict(event="style end", bytes=STYLE_WEIGHTS.stat().st_size))


if __name__ == "__main__":
    main()

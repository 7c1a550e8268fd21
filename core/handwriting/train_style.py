"""`launch.py train handwriting --style`: one linear layer on ink features that tells writers apart (Fisher 1936), for style distances."""

from pathlib import Path

import numpy as np
from scipy.linalg import eigh

from core.handwriting.metrics import ink_features
from core.handwriting.train import load_table, strokes_of

FEATURES, FEWEST, MOST = 32, 12, 24
"""Dimensions that are kept; words a writer has to have, and how many are taken."""
RIDGE = 0.05
"""Share of the mean variance that is added to the covariance within writers."""


def load_words(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ink features float64[n, d] and writers int64[n] of unipen_words, without the writers of the delimited words: on those the distances are measured."""
    rows, kept_out = load_table(folder, "unipen_words"), set(load_table(folder, "unipen_words_segmented").writer)
    rows = rows[~rows.writer.isin(kept_out) & (rows.label.str.len() >= 3)]
    rows = rows[rows.groupby("writer").writer.transform("size") >= FEWEST]
    rows = rows[rows.groupby("writer").cumcount() < MOST]
    return np.array([ink_features(strokes_of(row)) for row in rows.itertuples()]), rows.writer.astype("category").cat.codes.to_numpy().astype(np.int64)


def fit_style(features: np.ndarray, writers: np.ndarray) -> dict[str, np.ndarray]:
    """mean float32[d] and map float32[d, 32]: the directions that spread writers most, relative to how words of one writer spread."""
    mean, count = features.mean(0), np.bincount(writers)
    centres = np.stack([np.bincount(writers, column, len(count)) for column in features.T], 1) / count[:, None]
    apart = features - centres[writers]
    within = apart.T @ apart / (len(features) - len(count))
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    spread = (centres - mean) * np.sqrt(count / len(features))[:, None]
    _, vectors = eigh(spread.T @ spread, within, subset_by_index=[len(mean) - FEATURES, len(mean) - 1])
    return dict(mean=mean.astype(np.float32), map=np.ascontiguousarray(vectors[:, ::-1]).astype(np.float32))


def named_percent(features: np.ndarray, writers: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Per cent of words whose writer the nearest mean names, and per cent by chance: half of the words of each writer told by the other half, on writers that
    the layer was not trained on (every other one)."""
    known = writers % 2 == 0
    found = fit_style(features[known], np.unique(writers[known], return_inverse=True)[1])
    seen, who = (features[~known] - found["mean"]) @ found["map"], np.unique(writers[~known], return_inverse=True)[1]
    first = np.random.default_rng(seed).random(len(who)) < 0.5
    centres = np.array([seen[first & (who == w)].mean(0) for w in range(who.max() + 1)])
    said = np.linalg.norm(seen[~first][:, None] - centres[None], axis=2).argmin(1)
    return 100 * float((said == who[~first]).mean()), 100 / (who.max() + 1)

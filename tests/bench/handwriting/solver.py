"""Tridiagonal systems: ours beside LAPACK's dgtsv called raw, SciPy's solve_banded and NumPy over the whole batch; two right-hand sides (x and y)."""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.linalg import solve_banded, solveh_banded
from scipy.linalg.lapack import dgtsv

import cython_ext
from core.handwriting import kernels
from core.handwriting.deformation import join_batch
from tests.bench.harness import Section, ratio

SINGLE, BATCHED = (20, 50, 100, 500, 2000), (8, 20, 50)
BATCH, JOINS = 10_000, 1_000
BLOCK = 5
"""Measurements of which the fastest counts in a round: other work on the machine empties the caches between two."""


def sections(options: Namespace, versions: dict) -> Iterator[tuple[Section, dict | None]]:
    """One system, many systems, the joins of a page; the headline has what was promised for 20 points."""
    rounds = 3 if options.quick else 15
    one, many, page = single_section(rounds), batch_section(2 if options.quick else 9), page_section(rounds)
    by_size = {row["points"]: row for row in many.rows}
    yield one, dict(solver_us=one.rows[0]["ours_us"], solver_over_dgtsv=one.rows[0]["ours / dgtsv"])
    yield many, dict(batch_gain_banded=by_size[20]["solve_banded / ours"], batch_gain_numpy=by_size[20]["NumPy / ours"])
    yield page, dict(page_solve_ms=page.rows[0]["solve_ms"])


def times_of(calls: Mapping[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, np.ndarray]:
    """CPU seconds of one call: the best of a block of BLOCK times `repeats` calls, `rounds` times, in turns whose order is turned round."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-1, rounds):                                           # the first turn warms up
        for name in list(calls)[::-1 if turn % 2 else 1]:
            best = min(_seconds(calls[name], repeats) for _ in range(BLOCK))
            found[name] += [best] if turn >= 0 else []
    return {name: np.array(values) for name, values in found.items()}


def _seconds(call: Callable[[], object], repeats: int) -> float:
    begun = time.thread_time()
    for _ in range(repeats):
        call()
    return (time.thread_time() - begun) / repeats


def systems(batch: int, n: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """What a join makes: symmetric, diagonally dominant; beside, diagonal, right-hand sides [batch, n, 2]."""
    rng = np.random.default_rng(seed)
    stiff = rng.uniform(0.5, 5, (batch, n + 1))
    return -stiff[:, 1:n].copy(), 0.05 + stiff[:, :-1] + stiff[:, 1:], rng.standard_normal((batch, n, 2))


def banded(beside: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """The same matrix as solve_banded takes it, [3, n]."""
    return np.stack([np.r_[0, beside], diagonal, np.r_[beside, 0]])


def single_section(rounds: int) -> Section:
    """One system at a time, as NumPy arrays that are there already."""
    section = Section("solver", "One tridiagonal system, two right-hand sides",
                      "CPU microseconds, best of a block, median over rounds; dgtsv: scipy.linalg.lapack.dgtsv called raw; checked: with the wrapper that raises sentences")
    for n in SINGLE:
        beside, diagonal, rhs = (values[0] for values in systems(1, n))
        ab, upper = banded(beside, diagonal), np.stack([np.r_[0, beside], diagonal])
        found = times_of({
            "ours": lambda: cython_ext.solve_tridiagonal(beside, diagonal, beside, rhs),
            "checked": lambda: kernels.solve_tridiagonal(beside, diagonal, beside, rhs),
            "dgtsv": lambda: dgtsv(beside, diagonal, beside, rhs),
            "solve_banded": lambda: solve_banded((1, 1), ab, rhs, check_finite=False),
            "solveh_banded": lambda: solveh_banded(upper, rhs, check_finite=False)}, rounds, 200)
        dense = np.linalg.solve(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1), rhs)
        error = float(np.abs(cython_ext.solve_tridiagonal(beside, diagonal, beside, rhs) - dense).max())
        section.rows.append({"points": n, **{f"{name}_us": 1e6 * float(np.median(values)) for name, values in found.items()},
                             "ours / dgtsv": ratio(found["ours"], found["dgtsv"]), "checked / dgtsv": ratio(found["checked"], found["dgtsv"]),
                             "solve_banded / ours": ratio(found["solve_banded"], found["ours"]), "off the dense solve": f"{error:.0e}"})
    return section


def numpy_thomas(beside: np.ndarray, diagonal: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Thomas over the whole batch, row by row, in NumPy's own best layout: [n - 1, batch], [n, batch], [n, 2, batch]."""
    n, ratio_, left = len(diagonal), np.empty_like(beside), np.empty_like(rhs)
    inverse = 1 / diagonal[0]
    left[0] = rhs[0]
    for i in range(n - 1):
        np.multiply(beside[i], inverse, out=ratio_[i])
        np.subtract(rhs[i + 1], ratio_[i] * left[i], out=left[i + 1])
        left[i] *= inverse
        inverse = 1 / (diagonal[i + 1] - ratio_[i] * beside[i])
    left[-1] *= inverse
    for i in range(n - 2, -1, -1):
        left[i] -= ratio_[i] * left[i + 1]
    return left


def batch_section(rounds: int) -> Section:
    """Many systems at once; each rival in its own layout, prepared before the clock runs."""
    section = Section("batch", f"{BATCH:,} systems at once, two right-hand sides each", "CPU milliseconds, best of a block of five, median over rounds; NumPy: Thomas row by row over the whole batch, in its own layout")
    for n in BATCHED:
        beside, diagonal, rhs = systems(BATCH, n)
        out, bands = np.empty_like(rhs), [banded(b, d) for b, d in zip(beside, diagonal)]
        turned = [np.ascontiguousarray(np.moveaxis(values, 0, -1)) for values in (beside, diagonal, rhs)]
        found = times_of({"ours": lambda: cython_ext.solve_tridiagonal(beside, diagonal, beside, rhs, out),
                          "solve_banded": lambda: [solve_banded((1, 1), ab, b, check_finite=False) for ab, b in zip(bands, rhs)],
                          "NumPy": lambda: numpy_thomas(*turned)}, rounds, 1)
        error = float(np.abs(np.moveaxis(numpy_thomas(*turned), -1, 0) - out).max())
        section.rows.append({"points": n, **{f"{name}_ms": 1e3 * float(np.median(values)) for name, values in found.items()},
                             "solve_banded / ours": ratio(found["solve_banded"], found["ours"]), "NumPy / ours": ratio(found["NumPy"], found["ours"]),
                             "NumPy and ours differ by": f"{error:.0e}"})
    return section


def page_section(rounds: int) -> Section:
    """A page of joins: the solves alone, and with everything that a join is besides."""
    rng = np.random.default_rng(1)
    line = np.linspace(0, 1, 11)[:, None]
    pairs = [(np.hstack([line, -0.3 * line ** 2, line]) + 0.02 * rng.standard_normal((11, 3)), np.hstack([1.3 + line, -line, line])) for _ in range(JOINS)]
    beside, diagonal, _ = systems(JOINS, 19)
    rhs = rng.standard_normal((JOINS, 19, 3))
    found = times_of({"solve": lambda: kernels.solve_tridiagonal(beside, diagonal, beside, rhs), "join": lambda: join_batch(pairs)}, rounds, 1)
    section = Section("page", f"A page of {JOINS:,} joins", "CPU milliseconds, medians; solve: x, y and pressure of all joins in one call; join: targets, systems, solve, displacements, energies")
    section.rows.append(dict(joins=JOINS, **{f"{name}_ms": 1e3 * float(np.median(values)) for name, values in found.items()}))
    return section

"""Centralised scheduling of a TRP group (the post's sec. 4.1): which TRPs take part for which user, and which users share a subband.

Dynamic user-centric clusters with hysteresis; two stages (select TRPs, then pair and allocate) against joint selection; multi-user pairing with proportional
fairness; and what each of them costs in evaluated SINRs and in operations. Reception is joint MMSE over the antennas of a user's TRPs:

    A = I + sum_{m in C_k} H_m^H R_m^-1 H_m  over the users S that share the subband,   SINR_k = 1 / [A^-1]_kk - 1

A TRP takes part for at most `streams_per_trp` users of a subband: its share of the fronthaul. Every user sends one layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from core.dmimo.scenario import Scenario
from core.dmimo.walk import Walk, walk
from core.errors import ConfigError, LimitError
from core.exhibit import Progress, silent
from core.ran.mutual_information import CODE_RATES

CLUSTER_SIZE = 2
WINDOW_DB = 10.0
HYSTERESIS_DB = 3.0
FAIRNESS_STEPS = 25
"""Steps over which proportional fairness remembers what a user got."""
LEAST_RATE = 1e-3
NEAREST = 6
"""Joint selection looks at so many TRPs of a user, the ones that hear it best."""
MOST_USERS, MOST_TRPS = 16, 12
"""A larger group is not scheduled: a walk of it would take minutes."""
MOST_CORRELATION = 0.5
"""Pairing by orthogonality leaves out users whose channels share more than this part of their power."""


# ---------------------------------------------------------------- which TRPs, slowly

def select_trps(gain_db: np.ndarray, size: int = CLUSTER_SIZE, window_db: float = WINDOW_DB, hysteresis_db: float = HYSTERESIS_DB) -> np.ndarray:
    """The cluster of every user over time: up to `size` TRPs within window_db of the best, each kept until another is hysteresis_db better.

    gain_db  [T, M, K], without fast fading;  returns bool [T, M, K], at least one TRP per user
    """
    found, now = np.zeros(gain_db.shape, bool), np.zeros(gain_db.shape[1:], bool)
    for t, gain in enumerate(gain_db):
        favoured = gain + np.where(now, hysteresis_db, 0.0)
        rank = (-favoured).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        now = (rank == 0) | (rank < size) & (favoured >= gain.max(axis=0) - window_db)
        found[t] = now
    return found


def trp_changes(walk: Walk, clusters: np.ndarray) -> list[dict]:
    """One row per change of a user's TRPs: step, time_s, ue, before and after (lists of TRP indices), x_m, y_m."""
    rows = []
    for t, k in np.argwhere((clusters[1:] != clusters[:-1]).any(axis=1)) + (1, 0):
        before, after = (np.flatnonzero(c).tolist() for c in (clusters[t - 1, :, k], clusters[t, :, k]))
        rows.append(dict(step=int(t), time_s=float(walk.times_s[t]), ue=int(k), before=before, after=after,
                         x_m=float(walk.places_m[t, k, 0]), y_m=float(walk.places_m[t, k, 1])))
    return rows


# ---------------------------------------------------------------- what a choice is worth

@dataclass
class Tally:
    """What a scheduler has spent: SINRs evaluated, and real operations for them."""

    evaluations: int = 0
    flops: float = 0.0

    def add(self, evaluations: int, users: int) -> None:
        """So many SINRs in groups of this size: the Cholesky factor of A, (4/3) s^3."""
        self.evaluations += evaluations
        self.flops += evaluations * 4 / 3 * users**3


@dataclass(frozen=True)
class Subband:
    """What is known of one subband at one step.

    gram    complex [M, K, K];  error [M, K]: as in `Walk`
    weights [K]: proportional fairness;  room: users a TRP takes part for;  most: the largest rate, bit/s/Hz
    allowed bool [M, K]: the users' clusters;  turn: whose turn it is first
    """

    gram: np.ndarray
    error: np.ndarray
    weights: np.ndarray
    room: int
    most: float
    allowed: np.ndarray
    cluster_size: int = CLUSTER_SIZE
    turn: int = 0
    tally: Tally = field(default_factory=Tally)

    def rates(self, groups: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Rates of the last user of each of many groups, bit/s/Hz [B]. With A = L L^H and this user last, 1 + SINR is the square of the last element of L.

        groups  int [B, s]: users that share the subband;  masks  bool [B, M]: TRPs that receive the last of them
        """
        noise = 1.0 + self.error[:, groups].sum(axis=-1)                                     # [M, B]
        share = np.where(masks.T, 1.0 / noise, 0.0)[..., None, None]
        gram = (share * self.gram[:, groups[:, :, None], groups[:, None, :]]).sum(axis=0)     # [B, s, s]
        factor = np.linalg.cholesky(gram + np.eye(groups.shape[1]))
        self.tally.add(*groups.shape)
        return np.minimum(2.0 * np.log2(factor[:, -1, -1].real), self.most)

    def of(self, taking: np.ndarray) -> np.ndarray:
        """Rates [K] of a whole allocation, bool [M, K]; 0 for those that do not send."""
        found, group = np.zeros(taking.shape[1]), np.flatnonzero(taking.any(axis=0))
        if len(group):
            found[group] = self.rates(_each_last(group), taking.T[group])
        return found


def _each_last(group: np.ndarray) -> np.ndarray:
    """The group [s] s times, with each of its users in the last place once, [s, s]."""
    return np.stack([np.roll(group, -1 - n) for n in range(len(group))])


# ---------------------------------------------------------------- who shares a subband

def two_stage(subband: Subband) -> np.ndarray:
    """The clusters stand; users are added greedily while the weighted sum of rates grows. bool [M, K]: which TRP takes part for whom.

    Done with each user's strongest TRP, its two strongest ... of its cluster; the best of those.
    """
    power = np.where(subband.allowed, np.einsum("mkk->mk", subband.gram).real, -1.0)
    rank = (-power).argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    most = int(subband.allowed.sum(axis=0).max())
    return _best(subband, [_extended(subband, _greedy(subband, (subband.allowed & (rank < size)).T[:, None]), subband.allowed) for size in range(1, most + 1)])


def joint(subband: Subband) -> np.ndarray:
    """Users and their TRPs are chosen together: every user with every set (of the TRPs that hear it best) that has room, for each largest size of a set;
    the best of those."""
    sets = _sets(np.einsum("mkk->mk", subband.gram).real, subband.cluster_size)
    everything = np.ones(subband.allowed.shape, bool)
    return _best(subband, [_extended(subband, _greedy(subband, sets[:, sets[0].sum(axis=1) <= size], whole=True), everything)
                           for size in range(1, min(subband.cluster_size, len(everything)) + 1)])


def _sets(power: np.ndarray, size: int) -> np.ndarray:
    """Every set of at most `size` of the TRPs that hear a user best, bool [K, sets, M]; power [M, K]."""
    strongest = (-power).argsort(axis=0, kind="stable")[:NEAREST]                        # [n, K]
    chosen = [c for many in range(1, size + 1) for c in combinations(range(len(strongest)), many)]
    found = np.zeros((power.shape[1], len(chosen), len(power)), bool)
    for n, places in enumerate(chosen):
        found[np.arange(power.shape[1])[:, None], n, strongest[list(places)].T] = True
    return found


def _best(subband: Subband, found: list[np.ndarray]) -> np.ndarray:
    """The allocation with the largest weighted sum of rates."""
    return found[0] if len(found) == 1 else max(found, key=lambda taking: float(subband.weights @ subband.of(taking)))


def _extended(subband: Subband, taking: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Give what room is left to users that are there: one more TRP at a time, where it raises the weighted sum of rates most. It takes from nobody."""
    taking, group = taking.copy(), np.flatnonzero(taking.any(axis=0))
    last = {k: n for n, k in enumerate(group)}
    order = _each_last(group)
    while True:
        room = taking.sum(axis=1) < subband.room
        trps, users = np.nonzero(allowed & ~taking & room[:, None] & taking.any(axis=0) & (taking.sum(axis=0) < subband.cluster_size))
        if not len(users):
            return taking
        masks = taking.T[users]
        masks[np.arange(len(users)), trps] = True
        groups = order[[last[k] for k in users]]
        gain = subband.weights[users] * (subband.rates(groups, masks) - subband.of(taking)[users])
        best = int(np.argmax(gain))
        if gain[best] <= 1e-9:
            return taking
        taking[trps[best], users[best]] = True


def _greedy(subband: Subband, sets: np.ndarray, whole: bool = False) -> np.ndarray:
    """Add the user and TRP set that raise the weighted sum of rates most, until nothing does.

    sets   bool [K, sets, M]: the TRP sets each user may have;  whole: a set counts only if all its TRPs have room, else what has room of it
    """
    taking, total = np.zeros(subband.allowed.shape, bool), 0.0
    while True:
        free = taking.sum(axis=1) < subband.room
        usable = sets & free
        open_to = usable.any(axis=2) & ~taking.any(axis=0)[:, None]
        if whole:
            open_to &= ~(sets & ~free).any(axis=2)
        users, which = np.nonzero(open_to)
        if not len(users):
            return taking
        totals = _totals(subband, taking, users, usable[users, which])
        best = int(np.argmax(totals))
        if totals[best] <= total + 1e-9:
            return taking
        total = totals[best]
        taking[:, users[best]] = usable[users[best], which[best]]


def _totals(subband: Subband, taking: np.ndarray, users: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The weighted sum of rates after each choice (a user, sorted, and its TRPs). What a newcomer does to those already there does not hang on its TRPs:
    evaluated once per user."""
    there = np.flatnonzero(taking.any(axis=0))
    newcomers, of_choice = np.unique(users, return_inverse=True)
    size, count = len(there), len(newcomers)
    with_newcomer = np.concatenate([np.repeat(newcomers, size)[:, None], np.tile(_each_last(there), (count, 1))], axis=1) if size else np.empty((0, 1), int)
    groups = np.concatenate([with_newcomer, np.concatenate([np.tile(there, (len(users), 1)), users[:, None]], axis=1)])
    rates = subband.rates(groups, np.concatenate([np.tile(taking.T[there], (count, 1)), masks]))
    others = rates[:count * size].reshape(count, size) @ subband.weights[there]
    return others[of_choice] + rates[count * size:] * subband.weights[users]


def orthogonal(subband: Subband) -> np.ndarray:
    """Two stages with a cheap second one: users are added by weight x log2(1 + own power that is orthogonal to those already there), no SINR is evaluated.

    The semi-orthogonal user selection of Yoo and Goldsmith (IEEE JSAC 24(3), 2006), on the Gram matrices of the clusters.
    """
    trps, users = subband.allowed.shape
    own = np.einsum("mkk,mk->k", subband.gram.real, subband.allowed)
    taking, left = np.zeros((trps, users), bool), np.ones(users)
    while True:
        usable = subband.allowed & (taking.sum(axis=1) < subband.room)[:, None] & ~taking.any(axis=0)
        open_to = usable.any(axis=0) & (left > 1 - MOST_CORRELATION)
        if not open_to.any():
            return taking
        best = int(np.argmax(np.where(open_to, subband.weights * np.log2(1 + own * np.maximum(left, 0.0)), -1.0)))
        taking[:, best] = usable[:, best]
        cross = np.einsum("mk,mk->k", subband.gram[:, :, best], subband.allowed)
        theirs = np.einsum("m,mk->k", subband.gram[:, best, best].real, subband.allowed)
        left = left - np.abs(cross) ** 2 / np.maximum(own * theirs, 1e-12)
        subband.tally.flops += 12.0 * users


def one_at_a_time(subband: Subband) -> np.ndarray:
    """No pairing: the user whose weighted rate alone is largest."""
    users = np.arange(subband.allowed.shape[1])
    rates = subband.rates(users[:, None], subband.allowed.T)
    best = int(np.argmax(subband.weights * rates))
    return subband.allowed & (users == best)


def round_robin(subband: Subband) -> np.ndarray:
    """In turn, as many as the TRPs of their clusters have room for; no channel is looked at."""
    trps, users = subband.allowed.shape
    taking = np.zeros((trps, users), bool)
    for k in (subband.turn + np.arange(users)) % users:
        taking[:, k] = subband.allowed[:, k] & (taking.sum(axis=1) < subband.room)
    return taking


def single_cell(subband: Subband) -> np.ndarray:
    """No group: every TRP pairs the users that hear it best by itself, and does not know whom its neighbours let send."""
    taking = np.zeros(subband.allowed.shape, bool)
    for m in range(len(taking)):
        own = np.flatnonzero(subband.allowed[m])
        if len(own):
            alone = Subband(subband.gram[m:m + 1, own][:, :, own], subband.error[m:m + 1, own], subband.weights[own], subband.room, subband.most,
                            np.ones((1, len(own)), bool), 1, 0, subband.tally)
            taking[m, own] = two_stage(alone)[0]
    return taking


SCHEDULERS: dict[str, Callable[[Subband], np.ndarray]] = dict(
    joint=joint, two_stage=two_stage, orthogonal=orthogonal, one_at_a_time=one_at_a_time, round_robin=round_robin, single_cell=single_cell)


def exhaustive_evaluations(trps: int, users: int) -> int:
    """Allocations that a search through all of them would have to try: every user silent or with any set of TRPs, (2^M)^K."""
    return 2 ** (trps * users)


# ---------------------------------------------------------------- over a walk

@dataclass(frozen=True)
class Schedule:
    """What a scheduler did on a walk.

    rates    [T, K] bit/s/Hz, mean over the subbands;  taking  bool [T, F, M, K]
    evaluations, flops  spent on choosing, all steps together
    """

    scheduler: str
    rates: np.ndarray
    taking: np.ndarray
    evaluations: int
    flops: float


def schedule(walk: Walk, scheduler: str, clusters: np.ndarray, cluster_size: int = CLUSTER_SIZE, progress: Progress = silent) -> Schedule:
    """Schedule every step of a walk. Chosen on what the sounding signal tells, served with what the DMRS tell.

    clusters  bool [T, M, K] of `select_trps`; single_cell takes its own from the gains
    """
    steps, subbands, trps, users, _ = walk.gram.shape
    if scheduler not in SCHEDULERS:
        raise ConfigError(f"There is no scheduler {scheduler!r}. There are: {', '.join(SCHEDULERS)}.")
    if users > MOST_USERS or trps > MOST_TRPS:
        raise LimitError(f"A group of {trps} TRPs and {users} users is more than the {MOST_TRPS} and {MOST_USERS} that are scheduled here. Take some out.")
    if scheduler == "single_cell":
        clusters = select_trps(walk.gain_db, 1)
    most, tally = walk.qam_bits * max(CODE_RATES), Tally()
    rates, taking = np.zeros((steps, users)), np.zeros((steps, subbands, trps, users), bool)
    served, turn = np.full(users, 0.1), 0
    for t in range(steps):
        for f in range(subbands):
            known = Subband(walk.sounded[t, f], walk.sounded_error[t], 1.0 / np.maximum(served, LEAST_RATE), walk.streams, most, clusters[t], cluster_size, turn, tally)
            taking[t, f] = SCHEDULERS[scheduler](known)
            turn = (turn + int(taking[t, f].any(axis=0).sum())) % users
            rates[t] += Subband(walk.gram[t, f], walk.error[t], served, walk.streams, most, clusters[t]).of(taking[t, f]) / subbands
        served += (rates[t] - served) / FAIRNESS_STEPS
        progress((t + 1) / steps, f"Step {t + 1} of {steps}")
    return Schedule(scheduler, rates, taking, tally.evaluations, tally.flops)


def summary(walk: Walk, found: Schedule) -> dict:
    """One row: scheduler, throughput_bps (all users), worst_user_bps, p5_user_bps (5 % of users and seconds get less), fairness (Jain, 0 to 1),
    users_per_subband, trps_per_user, evaluations_per_step, flops_per_step."""
    steps = len(walk.times_s)
    per_user = found.rates.mean(axis=0) * walk.bandwidth_hz * walk.data_share
    group = max(1, round(1.0 / max(float(np.diff(walk.times_s[:2]).sum()), 1e-9)))
    seconds = np.stack([found.rates[t:t + group].mean(axis=0) for t in range(0, steps, group)]) * walk.bandwidth_hz * walk.data_share
    sending = found.taking.any(axis=2)
    return dict(scheduler=found.scheduler, throughput_bps=float(per_user.sum()), worst_user_bps=float(per_user.min()), p5_user_bps=float(np.percentile(seconds, 5)),
                fairness=float(per_user.sum() ** 2 / max(len(per_user) * (per_user**2).sum(), 1e-12)), users_per_subband=float(sending.sum(axis=2).mean()),
                trps_per_user=float(found.taking.sum() / max(sending.sum(), 1)), evaluations_per_step=found.evaluations / steps, flops_per_step=found.flops / steps)


def compare(scenario: Scenario, schedulers: Sequence[str] = tuple(SCHEDULERS), steps: int = 200, step_s: float = 0.25, speed_m_s: float = 1.2, subbands: int = 2,
            cluster_size: int = CLUSTER_SIZE, window_db: float = WINDOW_DB, hysteresis_db: float = HYSTERESIS_DB, seed: int = 0) -> list[dict]:
    """One walk through every scheduler: a `summary` row each, with changes_per_minute of the users' clusters. A work for `core.ran.sweep`."""
    way = walk(scenario, steps, step_s, speed_m_s, subbands, seed)
    clusters = select_trps(way.gain_db, cluster_size, window_db, hysteresis_db)
    minutes = steps * step_s / 60 * len(scenario.ues)
    return [summary(way, schedule(way, name, clusters, cluster_size)) | {"changes_per_minute": len(trp_changes(way, clusters)) / minutes, "seed": seed}
            for name in schedulers]

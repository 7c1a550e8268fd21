"""Link adaptation when the receiving TRPs change (the post's sec. 4.2): the combined SINR of the chosen TRPs is predicted, an MCS chosen, an outer loop corrects.

Four adapters over the same walk, blocks and luck:
    genie      knows the SINR that the block will meet
    predicted  the post's: from the sounding of every TRP, combines those that will receive this block
    blind      from the same sounding, but combines the TRPs that received the user's last block
    measured   takes the SINR that the user's last block met; knows neither TRPs nor who shares the band
All but the genie aim at the same block error rate and correct themselves by ACK and NACK (OLLA). A block passes as `mutual_information.pass_probability` says.

To know the TRPs pays where a scheduler chooses them anew from block to block. It gains nothing where clusters are slow (they change once in hundreds of
blocks, and the outer loop forgets each change), nor where users are so well separated that every SINR carries the largest MCS.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from core.dmimo.scenario import Scenario
from core.dmimo.scheduling import CLUSTER_SIZE, HYSTERESIS_DB, WINDOW_DB, schedule, select_trps
from core.dmimo.walk import Walk, walk
from core.errors import ConfigError
from core.ran.mutual_information import awgn_gmi, pass_probability
from core.ran.units import linear_to_db

ADAPTERS = ("genie", "predicted", "blind", "measured")
SETS = ("scheduled", "cluster")
MCS = tuple((bits, rate / 1024) for bits, rates in (
    (2, (120, 193, 308, 449, 602)), (4, (378, 434, 490, 553, 616, 658)), (6, (466, 517, 567, 616, 666, 719, 772, 822, 873)),
    (8, (682.5, 711, 754, 797, 841, 885, 916.5, 948))) for rate in rates)
"""(bits per symbol, code rate) of TS 38.214 Table 5.1.3.1-2."""
TARGET_BLER = 0.1
DOWN_DB = 0.5
"""By how much a NACK lowers the offset; an ACK raises it by DOWN_DB x BLER / (1 - BLER), so that the target holds it still."""
MOST_OFFSET_DB = 20.0
LOWEST_DB, HIGHEST_DB, GRID_DB = -20.0, 40.0, 0.5


@dataclass(frozen=True)
class Blocks:
    """What awaits the blocks of a walk: T steps, K users, F subbands.

    sending  bool [T, F, K];  changed  bool [T, K]: other TRPs than for the user's last block
    sinr_db  adapter -> [T, F, K]: what it believes the block will meet; under "genie": what it meets
    """

    sending: np.ndarray
    changed: np.ndarray
    sinr_db: dict[str, np.ndarray]


@dataclass(frozen=True)
class Adaptation:
    """What an adapter did.

    mcs         int [T, K], index into MCS, -1 where the user did not send;  acked bool [T, K]
    efficiency  [T, K]: bits per symbol that arrived, over the share of the band the user had;  offset_db [T, K]: of the outer loop
    """

    adapter: str
    mcs: np.ndarray
    acked: np.ndarray
    efficiency: np.ndarray
    offset_db: np.ndarray


def group_sinr_db(gram: np.ndarray, error: np.ndarray, taking: np.ndarray, sending: np.ndarray) -> np.ndarray:
    """Post-combining SINR of every user, joint MMSE over its TRPs, dB [T, F, K]; for users that do not send, what they would add to nobody (ignore it).

    gram complex [T, F, M, K, K], error [T, M, K] as in `Walk`;  taking bool [T, F, M, K];  sending bool [T, F, K]
    """
    users = gram.shape[-1]
    noise = 1.0 + np.einsum("tmk,tfk->tfm", error, sending)
    active = gram * (sending[:, :, None, :, None] & sending[:, :, None, None, :])
    joined = np.einsum("tfmk,tfmij->tfkij", taking / noise[..., None], active, optimize=True)
    left = np.einsum("tfkkk->tfk", np.linalg.inv(joined + np.eye(users))).real
    left = np.clip(left, 1e-9, 1.0 - 1e-9)
    return np.clip(linear_to_db((1.0 - left) / left), LOWEST_DB, HIGHEST_DB)


def last_sets(taking: np.ndarray, sending: np.ndarray, delay: int) -> tuple[np.ndarray, np.ndarray]:
    """For every block the TRPs of the user's last block on the subband that is at least `delay` steps old, and its step (-1: none yet, the TRPs are its own)."""
    steps = np.where(sending, np.arange(len(sending))[:, None, None], -1)
    last = np.full(sending.shape, -1)
    last[delay:] = np.maximum.accumulate(steps, axis=0)[:len(steps) - delay]
    found = np.take_along_axis(taking, np.maximum(last, 0)[:, :, None], axis=0)
    return np.where((last >= 0)[:, :, None], found, taking), last


def blocks(walk: Walk, taking: np.ndarray, delay: int = 1) -> Blocks:
    """What each adapter believes and what is true.

    taking  bool [T, F, M, K]: the TRPs that receive each user;  delay  steps, at least 1, between sounding (or the last block) and use
    """
    sending = taking.any(axis=2)
    known = _delayed(walk, delay)
    before, step = last_sets(taking, sending, delay)
    true = group_sinr_db(walk.gram, walk.error, taking, sending)
    measured = np.take_along_axis(true, np.maximum(step, 0), axis=0)
    changed = sending & (before != taking).any(axis=2)
    return Blocks(sending, changed.any(axis=1), dict(
        genie=true, predicted=group_sinr_db(known.sounded, known.sounded_error, taking, sending),
        blind=group_sinr_db(known.sounded, known.sounded_error, before, sending), measured=np.where(step >= 0, measured, LOWEST_DB)))


def _delayed(walk: Walk, delay: int) -> Walk:
    """The walk with the sounding of `delay` steps ago."""
    then = np.maximum(np.arange(len(walk.times_s)) - delay, 0)
    return replace(walk, sounded=walk.sounded[then], sounded_error=walk.sounded_error[then])


@lru_cache
def _gmi_table(qam_bits: int) -> tuple[np.ndarray, np.ndarray]:
    grid = np.arange(LOWEST_DB, HIGHEST_DB + GRID_DB, GRID_DB)
    return grid, np.array([awgn_gmi(float(snr), qam_bits) for snr in grid])


def mcs_information(sinr_db: np.ndarray, sending: np.ndarray, qam_bits: int) -> np.ndarray:
    """GMI per bit, mean over a block's subbands, for every MCS of at most qam_bits: [..., K, MCS] from sinr_db [..., F, K], sending bool [F, K]."""
    share = sending / np.maximum(sending.sum(axis=-2, keepdims=True), 1)
    of = {bits: (np.interp(sinr_db, *_gmi_table(bits)) * share).sum(axis=-2) for bits in {b for b, _ in MCS if b <= qam_bits}}
    return np.stack([of[bits] for bits, _ in MCS if bits <= qam_bits], axis=-1)


def adapt(walk: Walk, found: Blocks, adapters: Sequence[str] = ADAPTERS, seed: int = 0, outer_loop: bool = True) -> list[Adaptation]:
    """Send every block of the walk with each adapter. The luck of a block (one uniform number) is the same for all of them.

    outer_loop  False: no adapter corrects itself
    """
    if unknown := [name for name in adapters if name not in ADAPTERS]:
        raise ConfigError(f"There is no adapter {unknown[0]!r}. There are: {', '.join(ADAPTERS)}.")
    steps, _, users = found.sending.shape
    table = np.array([(bits, rate) for bits, rate in MCS if bits <= walk.qam_bits])
    luck = np.random.default_rng(np.random.SeedSequence(seed)).random((steps, users))
    believed = np.stack([found.sinr_db[name] for name in adapters], axis=1)                 # [T, A, F, K]
    knows, loops = np.array([name == "genie" for name in adapters])[:, None], np.array([name != "genie" and outer_loop for name in adapters])[:, None]
    mcs, acked, offsets = np.full((steps, len(adapters), users), -1), np.zeros((steps, len(adapters), users), bool), np.zeros((steps, len(adapters), users))
    offset = np.zeros((len(adapters), users))
    for t in range(steps):
        sends = found.sending[t].any(axis=0)
        choice, passing = _choose(believed[t] + offset[:, None], found.sinr_db["genie"][t], found.sending[t], knows, table, walk.qam_bits)
        ack = sends & (luck[t] < passing)
        mcs[t], acked[t], offsets[t] = np.where(sends, choice, -1), ack, offset
        step = np.where(ack, DOWN_DB * TARGET_BLER / (1 - TARGET_BLER), -DOWN_DB)
        offset = np.clip(offset + np.where(sends & loops, step, 0.0), -MOST_OFFSET_DB, MOST_OFFSET_DB)
    share = found.sending.mean(axis=1)[:, None]
    efficiency = np.where(acked, table.prod(axis=1)[np.maximum(mcs, 0)], 0.0) * share
    return [Adaptation(name, mcs[:, a], acked[:, a], efficiency[:, a], offsets[:, a]) for a, name in enumerate(adapters)]


def _choose(believed_db: np.ndarray, true_db: np.ndarray, sending: np.ndarray, knows: np.ndarray, table: np.ndarray, qam_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The MCS of every adapter and user [A, K] and the probability that it passes: the genie takes what carries most, the others what they believe meets the target."""
    rates, efficiency = table[:, 1], table.prod(axis=1)
    truth = pass_probability(mcs_information(true_db, sending, qam_bits), rates)               # [K, MCS]
    belief = pass_probability(mcs_information(believed_db, sending, qam_bits), rates)          # [A, K, MCS]
    safe = np.where(belief >= 1 - TARGET_BLER, efficiency, 0.0).argmax(axis=-1)                # none is safe: the lowest
    choice = np.where(knows, (truth * efficiency).argmax(axis=-1), safe)
    return choice, np.take_along_axis(np.broadcast_to(truth, belief.shape), choice[..., None], axis=-1)[..., 0]


def summary(walk: Walk, found: Blocks, results: Sequence[Adaptation]) -> list[dict]:
    """One row per adapter: adapter, throughput_bps (all users), throughput_ratio (to the genie, where it is among them), bler, error_db (rms of what it believed,
    outer loop left out), changed_share (blocks whose TRPs were others than the block before), ratio_after_change (throughput of those blocks alone)."""
    blocks_sent = found.sending.any(axis=1)
    genie = next((r.efficiency for r in results if r.adapter == "genie"), None)
    rows = []
    for r in results:
        error = (found.sinr_db[r.adapter] - found.sinr_db["genie"])[found.sending]
        rows.append(dict(
            adapter=r.adapter, throughput_bps=float(r.efficiency.mean(axis=0).sum() * walk.bandwidth_hz * walk.data_share),
            throughput_ratio=_share(r.efficiency, genie, blocks_sent), bler=float(1.0 - r.acked[blocks_sent].mean()),
            error_db=float(np.sqrt((error**2).mean())), changed_share=float(found.changed[blocks_sent].mean()),
            ratio_after_change=_share(r.efficiency, genie, found.changed & blocks_sent)))
    return rows


def _share(efficiency: np.ndarray, genie: np.ndarray | None, where: np.ndarray) -> float:
    if genie is None or not genie[where].sum():
        return float("nan")
    return float(efficiency[where].sum() / genie[where].sum())


def compare(scenario: Scenario, sets: str = "scheduled", steps: int = 1000, step_s: float = 0.01, speed_m_s: float = 1.2, delay: int = 1, subbands: int = 1,
            cluster_size: int = CLUSTER_SIZE, hysteresis_db: float = HYSTERESIS_DB, scheduler: str = "two_stage", outer_loop: bool = True, seed: int = 0) -> list[dict]:
    """One walk with every adapter: the rows of `summary`. A work for `core.ran.sweep`.

    sets   "scheduled": a scheduler chooses users and TRPs anew at every step, within the TRPs' room; "cluster": all users send, received by their slow clusters
    delay  steps between sounding and use
    """
    way = walk(scenario, steps, step_s, speed_m_s, subbands, seed)
    taking = choose_sets(way, sets, delay, cluster_size, hysteresis_db, scheduler)
    found = blocks(way, taking, delay)
    return [row | {"sets": sets, "seed": seed} for row in summary(way, found, adapt(way, found, seed=seed, outer_loop=outer_loop))]


def choose_sets(walk: Walk, sets: str, delay: int = 1, cluster_size: int = CLUSTER_SIZE, hysteresis_db: float = HYSTERESIS_DB,
                scheduler: str = "two_stage") -> np.ndarray:
    """The TRPs that receive each user at every step, bool [T, F, M, K]; `sets` as in `compare`. Raises ConfigError for other sets or a delay below 1."""
    if sets not in SETS:
        raise ConfigError(f"The TRP sets {sets!r} are not known; they can be {' or '.join(SETS)}.")
    if not 1 <= delay < len(walk.times_s):
        raise ConfigError(f"delay is {delay}; it has to lie between 1 and the {len(walk.times_s) - 1} steps before the last.")
    clusters = select_trps(walk.gain_db, cluster_size, WINDOW_DB, hysteresis_db)
    if sets == "cluster":
        return np.repeat(clusters[:, None], walk.gram.shape[1], axis=1)
    return schedule(_delayed(walk, delay), scheduler, clusters, cluster_size).taking

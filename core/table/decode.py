"""Reading a table picture with the table model: the heads' answer in one pass, greedy decoding, and speculative decoding that equals it exactly."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.table.heads import BIN, GAP, HeadsAnswer, answer_of, inked
from core.table.model import Encoded, TableNet, context_row
from core.table.tokens import (CELL, DONE, END, FIRST_ROW, MAX_CELLS, NEXT_COL, START, C, Grammar, Layout, cell_choices, col_token, from_tokens, row_token)

DRAFT = 16
"""Tokens proposed per decoder call, at most."""

Rule = Callable[[Grammar], int | None]
"""A draft: the token it expects next in a state, None where it has no opinion."""


def to_input(grey: np.ndarray, size: tuple[int, int]) -> Tensor:
    """uint8 [height, width], grey -> float [1, 1, *size], ink 0 to 1."""
    return torch.from_numpy(inked(grey, size)).float()[None, None] / 255


def heads_answer(net: TableNet, seen: Encoded, threshold: float = GAP) -> HeadsAnswer:
    """The heads' answer in one pass; seen holds one picture."""
    def merge(ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
        edges = [torch.tensor(places, dtype=torch.float32, device=seen.rows.device)[None] for places in (ys, xs)]
        return net.merge(seen, *edges, torch.ones(1, 1, len(ys) - 1, len(xs) - 1, device=seen.rows.device))[0].cpu().numpy()
    return answer_of(seen.row_gaps[0].cpu().numpy(), seen.col_gaps[0].cpu().numpy(), merge, threshold)


# Decoding

@dataclass(frozen=True)
class Call:
    """One call of the decoder: what was proposed, how many of these it confirmed, and the token it added itself."""

    proposed: tuple[int, ...]
    accepted: int
    token: int


@dataclass(frozen=True)
class Decoding:
    """A finished token sequence and the calls that made it; there are as many tokens as confirmed and added ones."""

    tokens: tuple[int, ...]
    calls: tuple[Call, ...]

    @property
    def tokens_per_call(self) -> float:
        return len(self.tokens) / len(self.calls)

    def layout(self) -> Layout:
        """The table it says."""
        return from_tokens(self.tokens)


def no_draft(state: Grammar) -> int | None:
    """Greedy decoding: nothing is proposed."""
    return None


def by_rules(state: Grammar) -> int | None:
    """The post's analytic draft: C after each column place, the structure of the row above, rows at the last pitch."""
    if state.slot == CELL:
        k = len(state.rows[-1])
        above = state.rows[-2][k] if len(state.rows) > 1 else C
        choices = cell_choices(state.rows[-1][-1] if k else None, above if len(state.rows) > 1 else None)
        return above if above in choices else choices[0]
    if state.slot == NEXT_COL:
        return col_token(2 * state.xs[-1] - state.xs[-2]) if len(state.xs) > 1 else None
    if state.slot in (FIRST_ROW, DONE) or not state.xs:
        return None
    y = 2 * state.ys[-1] - state.ys[-2] if len(state.ys) > 1 else state.height
    return row_token(y) if y < state.height else END if len(state.ys) > 1 else None


def by_heads(tokens: tuple[int, ...]) -> Rule:
    """Ours: the grid of the separator and merge heads as the draft, from its PAPP tokens; where the decoder has left that grid, the rules go on."""
    layout = from_tokens(tokens)
    state = Grammar(layout.ys[-1] + 1, layout.xs[-1] + 1)
    for token in tokens:
        state.push(token)
    grid = state.rows

    def rule(at: Grammar) -> int | None:
        rows, cols = len(at.rows), len(at.xs)
        if at.slot == CELL:
            r, k = rows - 1, len(at.rows[-1])
            fits = r < len(grid) and k < len(grid[r]) and (r == 0 or cols == len(layout.xs))
            return grid[r][k] if fits and at.allows(grid[r][k]) else by_rules(at)
        if at.slot in (FIRST_ROW, DONE):
            return row_token(layout.ys[0]) if at.slot == FIRST_ROW else None
        if rows <= 1 and cols < len(layout.xs):
            return col_token(layout.xs[cols])
        return row_token(layout.ys[rows]) if rows < len(layout.ys) else END
    return rule


def propose(state: Grammar, rule: Rule, most: int) -> list[int]:
    """Up to `most` tokens that a rule expects to follow; it ends at the first one that the grammar forbids."""
    twin, drafted = state.copy(), []
    while len(drafted) < most:
        token = rule(twin)
        if token is None or not twin.allows(token):
            break
        drafted.append(token)
        twin.push(token)
    return drafted


@torch.inference_mode()
def decode(net: TableNet, seen: Encoded, rule: Rule = no_draft, most: int = DRAFT, max_cells: int = MAX_CELLS,
           told: Callable[[Call], None] | None = None) -> Decoding:
    """Greedy decoding under the grammar; a draft only saves calls, the tokens are the same with any rule (Leviathan et al. 2023, for the argmax).

    One call reads the contexts of all proposed tokens at once; the longest prefix that the decoder would have written itself is kept,
    with its own next token.
    told  hears of each call as it ends
    """
    memory = net.decoder.start(seen)
    state = Grammar(seen.row_gaps.shape[1] // BIN, seen.col_gaps.shape[1] // BIN, max_cells)
    tokens: list[int] = []
    calls: list[Call] = []
    while state.slot != DONE:
        drafted = propose(state, rule, most)
        chosen = _verified(net, memory, state, tokens[-1] if tokens else START, drafted)
        tokens += chosen
        calls.append(Call(tuple(drafted), len(chosen) - 1, chosen[-1]))
        if told:
            told(calls[-1])
    return Decoding(tuple(tokens), tuple(calls))


def _verified(net: TableNet, memory, state: Grammar, last: int, drafted: list[int]) -> list[int]:
    """The decoder's own tokens as far as they confirm the draft, and one more; `state` and `memory` go along."""
    twin, rows = state.copy(), []
    for before, token in zip([last, *drafted], [*drafted, None]):
        if twin.slot == DONE:
            break
        rows.append(context_row(before, twin.context()))
        if token is not None:
            twin.push(token)
    kept = memory.length
    known = torch.tensor([rows], device=memory.row_keys.device)
    scores = net.decoder.tokens(net.decoder(known, memory), memory)[0].cpu().numpy()
    chosen: list[int] = []
    for i in range(len(rows)):
        own = state.token_at(int(np.where(state.mask(), scores[i], -np.inf).argmax()))
        state.push(own)
        chosen.append(own)
        if i >= len(drafted) or own != drafted[i]:
            break
    memory.forget(kept + len(chosen))
    return chosen

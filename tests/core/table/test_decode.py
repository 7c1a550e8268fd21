"""Decoding: every draft gives greedy's tokens, the cache changes nothing, outputs are legal whatever the weights."""

import json
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.table import evaluation
from core.table.decode import Decoding, Rule, by_heads, by_rules, decode, heads_answer, no_draft, propose
from core.table.heads import BIN, gaps_of, legal_grid
from core.table.model import Encoded, TableNet, context_row
from core.table.otsl import from_otsl, to_otsl
from core.table.tokens import END, START, Grammar, contexts, from_tokens, parse, spell, table_of
from tests.core.table.test_model import TINY


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def net_and_picture(seed: int, sharp: float = 12.0) -> tuple[TableNet, Encoded]:
    """Random weights whose answers differ from place to place (outputs sharpened), and a random picture."""
    torch.manual_seed(seed)
    net = TableNet(TINY).eval()
    with torch.no_grad():
        for layer in (net.decoder.classes, *net.decoder.queries):
            layer.weight *= sharp
        net.decoder.classes.bias[END] += 2
    with torch.inference_mode():
        return net, net.encoder((torch.rand(1, 1, 160, 192) > 0.8).float())


def wild(seed: int) -> Rule:
    """A draft that proposes any legal token: mostly wrong."""
    rng = random.Random(seed)

    def rule(state: Grammar) -> int | None:
        allowed = state.mask().nonzero()[0].tolist()
        return state.token_at(rng.choice(allowed)) if allowed else None
    return rule


def prophet(tokens: tuple[int, ...], share: float, seed: int) -> Rule:
    """A draft that is right with a given probability."""
    rng = random.Random(seed)

    def rule(state: Grammar) -> int | None:
        at = len(state.ys) + len(state.xs) + sum(map(len, state.rows))
        if at < len(tokens) and rng.random() < share:
            return tokens[at]
        return wild(rng.randrange(10**6))(state)
    return rule


@pytest.mark.parametrize("seed", range(6))
def test_every_draft_writes_greedys_tokens(seed: int) -> None:
    net, seen = net_and_picture(seed)
    greedy = decode(net, seen, max_cells=40)
    with torch.inference_mode():
        heads = by_heads(heads_answer(net, seen).tokens)
    for rule in (by_rules, heads, wild(seed), prophet(greedy.tokens, 0.9, seed), prophet(greedy.tokens, 1.0, seed)):
        for most in (1, 5, 16):
            assert decode(net, seen, rule, most, max_cells=40).tokens == greedy.tokens


def test_a_right_draft_saves_calls_and_greedy_makes_one_per_token() -> None:
    net, seen = net_and_picture(1)
    greedy = decode(net, seen, max_cells=40)
    assert len(greedy.calls) == len(greedy.tokens) and greedy.tokens_per_call == 1
    known = decode(net, seen, prophet(greedy.tokens, 1.0, 0), 16, max_cells=40)
    assert len(known.calls) <= -(-len(greedy.tokens) // 16) and all(call.accepted >= len(call.proposed) - 1 for call in known.calls)


def test_calls_add_up_to_the_tokens_and_are_told() -> None:
    net, seen = net_and_picture(2)
    told = []
    made = decode(net, seen, by_rules, max_cells=40, told=told.append)
    assert tuple(told) == made.calls and sum(call.accepted + 1 for call in made.calls) == len(made.tokens)
    written = [token for call in made.calls for token in (*call.proposed[:call.accepted], call.token)]
    assert tuple(written) == made.tokens


@pytest.mark.parametrize("seed", range(4))
def test_the_cache_gives_what_one_pass_gives(seed: int) -> None:
    net, seen = net_and_picture(seed)
    tokens = list(decode(net, seen, max_cells=40).tokens)
    shape = seen.row_gaps.shape[1] // BIN, seen.col_gaps.shape[1] // BIN
    known = torch.tensor([[context_row(last, context) for last, context in zip([START, *tokens], contexts(tokens, *shape))]])
    with torch.inference_mode():
        memory = net.decoder.start(seen)
        whole = net.decoder.tokens(net.decoder(known, memory), memory)
        memory = net.decoder.start(seen)
        parts = []
        for begin in range(0, len(tokens), 3):
            parts.append(net.decoder.tokens(net.decoder(known[:, begin:begin + 3], memory), memory))
            net.decoder(torch.zeros(1, 2, 6, dtype=torch.long), memory)
            memory.forget(min(begin + 3, len(tokens)))
    assert torch.allclose(whole, torch.cat(parts, 1), atol=1e-4)
    best = [int(np.where(mask, row, -np.inf).argmax()) for mask, row in zip(_masks(tokens, shape), whole[0].numpy())]
    state = Grammar(*shape)
    assert best == [state.index_of(token) for token in tokens], "greedy is the argmax of the one-pass scores"


def _masks(tokens: list[int], shape: tuple[int, int]) -> list[np.ndarray]:
    state, masks = Grammar(*shape, 40), []
    for token in tokens:
        masks.append(state.mask())
        state.push(token)
    return masks


@pytest.mark.parametrize("seed", range(6))
def test_random_weights_still_say_legal_tables(seed: int) -> None:
    net, seen = net_and_picture(seed, 30.0)
    made = decode(net, seen, max_cells=60)
    assert isinstance(made, Decoding) and from_otsl(to_otsl(made.layout().table)) == made.layout().table
    with torch.inference_mode():
        answer = heads_answer(net, seen)
    assert from_tokens(answer.tokens).table == answer.table and 0 <= answer.confidence <= 1


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8))
def test_any_scores_give_a_legal_grid(seed: int, rows: int, cols: int) -> None:
    table = table_of(legal_grid(np.random.default_rng(seed).normal(size=(4, rows, cols))))
    assert from_otsl(to_otsl(table)) == table and (table.rows, table.cols) == (rows, cols)


def test_clear_scores_are_kept() -> None:
    wanted = [[0, 1, 0], [2, 3, 0]]
    scores = np.eye(4)[np.array(wanted)].transpose(2, 0, 1)
    assert legal_grid(scores) == wanted


@pytest.mark.parametrize("line, wanted", [("--##--##--", [[0, 2], [4, 6], [8, 10]]), ("##--##", [[0, 0], [2, 4], [6, 6]]),
                                          ("------", [[0, 0], [6, 6]]), ("######", [[0, 0], [6, 6]])])
def test_gaps_of_a_profile(line: str, wanted: list) -> None:
    assert gaps_of(np.array([9.0 if c == "-" else -9.0 for c in line])).tolist() == wanted


def test_the_posts_rules() -> None:
    """C after each column place; the row above and its pitch, again and again, up to the edge and the end."""
    state = Grammar(30, 50)
    for token in parse("<r004><c002>"):
        state.push(token)
    assert spell(propose(state, by_rules, 9)) == "C"
    for token in parse("C<c010>L<c020>C<r012>"):
        state.push(token)
    assert spell(propose(state, by_rules, 10)) == "CLC<r020>CLC<r028>CL"
    assert spell(propose(state, by_rules, 99)) == "CLC<r020>CLC<r028>CLC</table>"


def test_the_heads_grid_as_a_draft() -> None:
    tokens = tuple(parse("<r004><c002>C<c010>L<r012>CC</table>"))
    assert propose(Grammar(30, 50), by_heads(tokens), 99) == list(tokens)
    state = Grammar(30, 50)
    for token in parse("<r004><c002>C<c010>C<c030>C"):
        state.push(token)
    assert spell(propose(state, by_heads(tokens), 99)) == "<r012>CCC</table>", "another grid: its rows stay, the rules fill them"


def test_no_draft_is_no_draft() -> None:
    assert propose(Grammar(30, 50), no_draft, 9) == []


# Evaluation

def _write_set(folder: Path, count: int) -> None:
    (folder / "icdar2013").mkdir()
    cells = [dict(row=0, col=0, rs=1, cs=2), dict(row=1, col=0, rs=1, cs=1)]
    with (folder / "icdar2013" / "cells.jsonl").open("w", encoding="utf8") as out:
        for i in range(count):
            cv2.imwrite(str(folder / "icdar2013" / f"{i}.png"), np.full((60, 90), 255, np.uint8))
            out.write(json.dumps(dict(image=f"{i}.png", n_rows=2, n_cols=2, cells=cells, style="plain" if i else "grid")) + "\n")


def test_places_without_a_cell_are_empty_cells(tmp_path: Path) -> None:
    _write_set(tmp_path, 1)
    (_, grey, true), = evaluation.pictures(tmp_path, "icdar2013")
    assert grey.shape == (60, 90) and to_otsl(true) == "C L NL\nC C NL\n"


def test_scores_are_counted_by_style_and_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_set(tmp_path, 4)
    net = net_and_picture(0)[0]
    monkeypatch.setattr(evaluation, "heads_answer", lambda net, seen: _Right(seen))
    found = evaluation.evaluate(net, tmp_path, "icdar2013", every=2)
    assert (found["n"], found["teds_struct"], found["struct100"]) == (2, 100.0, 100.0)
    assert {style: part["n"] for style, part in found["styles"].items()} == {"grid": 1, "plain": 1}
    decoded = evaluation.evaluate_decoder(net, tmp_path, "icdar2013", every=4)
    assert decoded["identical"] is True and decoded["n"] == 1 and decoded["drafts"]["greedy"]["tokens_per_call"] == 1.0


class _Right:
    """The heads' answer as it should be."""

    def __init__(self, seen: Encoded) -> None:
        self.tokens = tuple(parse("<r004><c002>C<c010>L<r012>CC</table>"))
        self.table = from_tokens(self.tokens).table


def test_no_scores_are_no_number() -> None:
    assert evaluation.summary([]) == dict(n=0, teds_struct=None, struct100=None)
    assert evaluation.summary([1.0, 0.5]) == dict(n=2, teds_struct=75.0, struct100=50.0)


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pubtabnet"):
        next(evaluation.pictures(tmp_path, "pubtabnet"))

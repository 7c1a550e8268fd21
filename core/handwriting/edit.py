"""Change one letter of a written line: only its two joins are solved again; every other point stays as it is (what follows on the line moves by one number)."""

from dataclasses import dataclass, replace as changed
from itertools import groupby

import numpy as np

from core.errors import InputError
from core.handwriting.anatomy import anatomies
from core.handwriting.compose import DRAWS, Change, Chooser, Join, Written, assemble, distance, edges, on_grid, place, plain, solve
from core.handwriting.layout import LIFT, Placed, decide


def replace(written: Written, position: int, char: str) -> Written:
    """letters[position] becomes `char`; the new text's `change` says what moved and which joins were solved again.

    Raises InputError for a position that is not there or a character nobody here can write.
    """
    old = _letter(written, position)
    new, notes = _new(written, position, old.index, char)
    text = written.text[:old.index] + new.char + written.text[old.index + 1:]
    return _spliced(written, position, 1, [new], old.word, text, notes)


def insert(written: Written, position: int, char: str, after: bool = False) -> Written:
    """`char` before letters[position]; after: behind letters[position - 1] instead, at the end of its word. position == len(letters): at the end."""
    if position == len(written.letters):
        after = True
    beside = _letter(written, position - 1 if after else position)
    index = beside.index + after
    new, notes = _new(written, position, index, char)
    text = written.text[:index] + new.char + written.text[index:]
    return _spliced(written, position, 0, [new], beside.word, text, notes)


def delete(written: Written, position: int) -> Written:
    """letters[position] goes. Raises InputError where it is the only one."""
    old = _letter(written, position)
    if len(written.letters) == 1:
        raise InputError("This is the only letter; write a new text instead.")
    return _spliced(written, position, 1, [], old.word, written.text[:old.index] + written.text[old.index + 1:], ())


@dataclass(frozen=True)
class _At:
    index: int
    word: int


def _letter(written: Written, position: int) -> _At:
    if not 0 <= position < len(written.letters):
        raise InputError(f"There is no letter {position} in this line; its letters are 0 to {len(written.letters) - 1}.")
    return _At(written.letters[position].index, written.words[position])


def _new(written: Written, position: int, index: int, char: str) -> tuple[Placed, tuple[str, ...]]:
    """The new letter, not yet placed, and what to say about it."""
    char = plain(char)
    if len(char) != 1 or char.isspace():
        raise InputError(f"{char!r:.20} is not one character; change one letter at a time, or write the text anew.")
    chooser = Chooser(written.hand, written.config)
    chooser.count[char] = sum(letter.char == char for letter in written.letters[:position]) - 1
    choice = chooser.choice(char, index)
    if choice is None:
        raise InputError(f"No hand here has a letter for {char!r}. Draw it on the pad to have it written.")
    anatomies(choice.hand, [choice.letter])
    chance = np.random.default_rng((written.config.seed, index, ord(char), len(written.text))).standard_normal(DRAWS)
    return place(choice, chance, written.config), tuple(chooser.notes())


def _spliced(written: Written, position: int, gone: int, new: list[Placed], word: int, text: str, notes: tuple[str, ...]) -> Written:
    """Letters position ... position + gone - 1 give way to `new`; joins beside them are solved again, the others are moved."""
    placed = [letter.placed for letter in written.letters]
    numbers = list(written.words)
    inside = [k for k, n in enumerate(numbers) if n == word]
    left = placed[position - 1] if position - 1 in inside else None
    right = placed[position + gone] if position + gone in inside else None
    first, line = placed[inside[0]], placed[inside[0]].line
    was = edges([placed[k] for k in inside])[1]
    meetings, advance = _set(written, left, new, right, first)
    if right is None:  # the word ends with the change: what follows keeps its distance to it
        rest = [placed[k] for k in inside if k < position] + new
        advance = on_grid((edges(rest)[1] if rest else edges([first])[0]) - was)
    more = len(new) - gone
    tail = [changed(letter, index=letter.index + more, x=letter.x + (advance if letter.line == line else 0.0)) for letter in placed[position + gone:]]
    letters = placed[:position] + new + tail
    numbers = numbers[:position] + [word] * len(new) + numbers[position + gone:]
    words = [[letter for letter, _ in group] for _, group in groupby(zip(letters, numbers, strict=True), key=lambda pair: pair[1])]
    kept = {join.left: join for join in written.joins}
    fresh = _solved(written, letters, numbers, position, len(new), meetings)
    joins = [fresh[k] if k in fresh else _kept(kept, k, position, more, letters[k].line == line, advance)
             for k in range(len(letters) - 1) if numbers[k] == numbers[k + 1]]
    said = (*written.notes, *(note for note in notes if note not in written.notes))
    made = assemble(text, words, joins, written.hand, written.config, list(said))
    return changed(made, change=Change(position + len(new), line, advance, tuple(fresh)))


def _set(written: Written, left: Placed | None, new: list[Placed], right: Placed | None, first: Placed) -> tuple[list, float]:
    """Place the new letters after `left` (or where the word begins); the meetings of all changed pairs, and how far `right` moves."""
    meetings, before = [], left
    for letter in [*new, *([right] if right else [])]:
        if before is None:
            x = edges([first])[0] - edges([letter])[0] + letter.x
        else:
            meetings.append(decide(before, letter, written.config.join))
            x = before.x + distance(before, letter, meetings[-1], written.hand, written.config)
        if letter is right:
            return meetings, on_grid(on_grid(x) - letter.x)
        letter.x, letter.line = on_grid(x), first.line
        letter.y = on_grid(letter.y + first.line * written.config.line / written.config.size)
        before = letter
    return meetings, 0.0


def _solved(written: Written, letters: list[Placed], numbers: list[int], position: int, count: int, meetings: list) -> dict[int, Join]:
    """The joins beside the change, by the position of their left letter."""
    pairs = [k for k in range(position - 1, position + count) if 0 <= k < len(letters) - 1 and numbers[k] == numbers[k + 1]]
    joins = solve([(letters[k], letters[k + 1], meeting) for k, meeting in zip(pairs, meetings, strict=True)], written.config)
    return dict(zip(pairs, joins, strict=True))


def _kept(kept: dict[int, Join], k: int, position: int, more: int, on_line: bool, advance: float) -> Join:
    """The join that letter k had before, moved along where it follows the change on its line."""
    join = kept[k if k < position else k - more]
    if k < position or not on_line or join.kind == LIFT:
        return join
    return changed(join, **{name: getattr(join, name) + (advance, 0.0, 0.0) for name in ("tail", "head", "tail_was", "head_was")})

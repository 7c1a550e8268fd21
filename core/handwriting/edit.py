"""Change one letter of a written line: only its two joins are solved again; every other point stays (letters after it move by the difference in advance)."""

from core.handwriting.compose import Written


def replace(written: Written, position: int, char: str) -> Written:
    """letters[position] becomes `char`. Raises InputError for a position that is not there or a character the hand cannot write."""
    raise NotImplementedError


def insert(written: Written, position: int, char: str) -> Written:
    """`char` before letters[position] (position == len(letters): at the end)."""
    raise NotImplementedError


def delete(written: Written, position: int) -> Written:
    raise NotImplementedError

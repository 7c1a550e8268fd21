"""What a visitor writes with on the handwriting page: the line of text, letters changed in the ink, letters of one's own; each change is a run, made at once."""

import dataclasses
import json

import streamlit as st

from app import desk
from app.execute import execute
from app.figures import handwriting as figures
from app.pieces import act, mode, plain, small
from app.registry import Exhibit
from app.widgets.downloads import download
from app.widgets.ink_pad import ink_pad
from app.widgets.ink_player import ink_player
from core.errors import InputError, LimitError, VitrineError
from core.exhibit import Source
from core.handwriting import hand as hands
from core.handwriting.strokes import Ink, Stroke

LONGEST_AT_ONCE = 160
"""Characters that are written while the visitor waits; a longer text goes through the job line."""
OWN = "my-letters.json"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
UNSAVED = "Your letters are in this tab only, and so is what they wrote. Tick “Keep my letters with what they write” to have it saved as a run with a link."
KINDS = {"auto": "As they look", "cursive": "Joined", "print": "Not joined"}


def state_of(row: Exhibit) -> dict:
    """What this session remembers of the page: refused (a sentence under the line of text), own letters, whether they may be saved."""
    return st.session_state.setdefault(f"writing:{row.slug}", {"refused": "", "letters": [], "turn": 0, "consent": False, "kind": "auto", "whole": False, "shown": None, "rail": None})


def write(row: Exhibit, **changes: object) -> None:
    """Write with these settings changed: at once where the text is short, else as a job. What cannot be written is refused and the last result stays."""
    place, state = desk.desk(row), state_of(row)
    wanted = {"edits": "[]", **place.settings, **changes}
    _guard(row)
    state["refused"] = ""
    if len(str(wanted.get("text", ""))) > LONGEST_AT_ONCE:
        place.settings = wanted
        desk.start(row, **row.on_page)
        return
    try:
        run = execute(row.slug, place.sources, {**wanted, **row.on_page})
    except VitrineError as error:
        state["refused"] = str(error)
        return
    place.settings = wanted
    desk.put_on_show(row, run)


def _guard(row: Exhibit) -> None:
    """Nothing made of letters from the pad goes to disk without the visitor's consent, by whichever button it is made."""
    place = desk.desk(row)
    place.private = UNSAVED if place.origin == "pad" and not state_of(row)["consent"] else ""


def settled_on(row: Exhibit, view: desk.View) -> None:
    """Take the settings of the result on show where it is another than last time (a sample, a link, a job): the next change starts from there."""
    place, state, name = desk.desk(row), state_of(row), figures.identity(view)
    if state["shown"] == name:
        return
    state["shown"] = name
    config = view.record["config"]
    place.settings.update({key: value for key, value in config.items() if key not in row.on_page})
    state["rail"] = _rail(row)
    st.session_state[_text_key(row)] = config["text"] if config["edits"] == "[]" else figures.story(view)["text"]


def _rail(row: Exhibit) -> dict:
    """The settings the rail shows, as they are set."""
    fields = dataclasses.fields(row.module().Config)
    return {field.name: desk.desk(row).settings.get(field.name, field.default) for field in fields if field.metadata.get("shown")}


def follow(row: Exhibit, view: desk.View) -> None:
    """Write again where a control of the rail was moved: it is seen at once."""
    settled_on(row, view)
    state, rail = state_of(row), _rail(row)
    moved, state["rail"] = rail != state["rail"], rail
    if moved and any(view.record["config"][name] != value for name, value in rail.items()):
        write(row)
        st.rerun()


def _text_key(row: Exhibit) -> str:
    return f"text:{row.slug}"


def text_line(row: Exhibit, view: desk.View) -> None:
    """The line of text; Enter writes it."""
    key, state = _text_key(row), state_of(row)
    if key not in st.session_state:
        st.session_state[key] = figures.story(view)["text"]
    left, right = st.columns([2.2, 1], gap="small", vertical_alignment="bottom")
    with left:
        st.text_input("Type a text and press Enter", key=key, max_chars=400, on_change=lambda: write(row, text=st.session_state[key], edits="[]"))
    with right:
        st.button("Write with your own letters", icon=":material/stylus:", width="stretch", on_click=look_at, args=(row, "Your letters"), key="own-letters")
    if state["refused"]:
        st.error(plain(state["refused"]), icon=":material/error:")


def look_at(row: Exhibit, view: str) -> None:
    """Choose a view of the result (from a callback)."""
    desk.desk(row).looking = st.session_state[f"view:{row.slug}"] = view


def change_letter(row: Exhibit, view: desk.View, found: dict) -> None:
    """A letter changed in the ink: the change is added to those the result was made with."""
    step = [found.get("what"), found.get("at"), found.get("char")]
    earlier = json.loads(view.record["config"]["edits"])
    write(row, edits=json.dumps([*earlier, step[:2] if step[0] == "delete" else step], ensure_ascii=False))


def take_seed(row: Exhibit, seed: int) -> None:
    """Write the same text with another seed and look at it."""
    write(row, seed=seed, edits="[]", text=st.session_state.get(_text_key(row)) or desk.desk(row).settings["text"])
    look_at(row, "Result")


def written(row: Exhibit, view: desk.View) -> None:
    """The ink: played, coloured, its letters changed."""
    this = figures.story(view)
    again = figures.edit_words(this)
    ink_player(figures.player_data(view, mode(), autoplay=not again), f"player:{row.slug}", lambda found: change_letter(row, view, found))
    if again:
        small(again)


def weights_for_all(row: Exhibit, found: dict) -> None:
    """The weights of the lens for the whole text."""
    write(row, exact=bool(found.get("exact")), **{f"w_{name}": float(found[name]) for name in ("connection", "smoothness", "displacement")})


# ---- letters of one's own

@st.fragment
def own_letters(row: Exhibit, view: desk.View) -> None:
    """The pad, the text in the letters so far, and what becomes of them."""
    state, text = state_of(row), figures.story(view)["text"]
    chars = list(dict.fromkeys([*figures.needed(text), *(ALPHABET if state["whole"] else "")]))
    data = {"chars": chars, "letters": state["letters"], "turn": state["turn"], "done_word": "Write my text"}
    ink_pad(data, f"pad:{row.slug}", lambda found: _take(row, found))
    if state["refused"]:
        st.error(plain(state["refused"]), icon=":material/error:")
    if state["letters"]:
        _so_far(row, text)
    else:
        small("One letter is enough to begin: missing ones are borrowed from the nearest hand and shown in grey. Write on the lines; they tell the size of your hand.")
    whole = st.toggle("The whole alphabet, not only the letters of your text", value=state["whole"], key=f"pad-whole:{row.slug}")
    if whole != state["whole"]:
        state["whole"] = whole
        st.rerun(scope="fragment")
    if state.pop("leave", False):
        st.rerun()                                        # from the fragment to the whole page: there is a new result


def _so_far(row: Exhibit, text: str) -> None:
    """The text in the letters so far, made here and saved nowhere, then what to do with them."""
    state = state_of(row)
    try:
        story = preview(own_hand(state), text)
        ink_player(figures.ink_data(story, f"own:{len(state['letters'])}:{state['turn']}:{state['kind']}:{text}", mode()) | {"editable": False, "both": False, "bare": True, "autoplay": False},
                   f"own-player:{row.slug}")
    except VitrineError as error:
        st.error(plain(str(error)), icon=":material/error:")
    state["kind"] = st.segmented_control("How you write", tuple(KINDS), default=state["kind"], required=True, format_func=KINDS.get, key=f"pad-kind:{row.slug}")
    state["consent"] = st.checkbox("Keep my letters with what they write", value=state["consent"], key=f"pad-consent:{row.slug}",
                                   help="Off: your letters live in this tab and are gone with it. On: they are saved with the run, like any input, until you delete it or leave.")
    _guard(row)
    with st.container(horizontal=True, gap="small"):
        act("Use these letters", icon=":material/edit:", on_click=use, args=(row,), key="use-own")
        download("Take my letters home", OWN, hands.to_json(own_hand(state)), f"own:{row.slug}", ":material/download:")
        st.button("Forget my letters", icon=":material/delete:", on_click=forget, args=(row,), key="forget-own")


def preview(hand: hands.Hand, text: str) -> dict:
    """A text in a hand as the player takes it."""
    from core.handwriting.compose import ComposeConfig, compose
    from core.handwriting.story import story

    return story(compose(text[:LONGEST_AT_ONCE], hand, ComposeConfig(width=30.0)))


def _take(row: Exhibit, found: dict) -> None:
    """Letters from the pad; what is no ink is refused and the earlier letters stay."""
    state = state_of(row)
    try:
        letters = list(found.get("letters") or [])
        if letters:
            own_hand({**state, "letters": letters})
        state.update(letters=letters, refused="")
        if found.get("finished"):
            use(row)
    except VitrineError as error:
        state.update(refused=str(error), turn=state["turn"] + 1)


def own_hand(state: dict) -> hands.Hand:
    """The visitor's hand from what the pad sent. Raises InputError, LimitError."""
    drawn: dict[str, list[Ink]] = {}
    if len(state["letters"]) > hands.MOST_LETTERS:
        raise LimitError(f"{len(state['letters'])} letters came from the pad, and {hands.MOST_LETTERS} is the limit. Forget some first.")
    for letter in state["letters"]:
        drawn.setdefault(str(letter.get("char", ""))[:1], []).append(_ink(letter))
    kind = None if state["kind"] == "auto" else state["kind"]
    return hands.hand_from_letters(drawn, "mine", kind=kind, baseline=0.0, x_height=1.0)


def _ink(letter: dict) -> Ink:
    try:
        return Ink(tuple(Stroke(list(zip(stroke["x"], stroke["y"], strict=True)), stroke["t"], stroke["p"]) for stroke in letter["strokes"]))
    except (KeyError, TypeError, ValueError):
        raise InputError("The pad sent something that is no ink; clear it and write the letter again.") from None


def use(row: Exhibit) -> None:
    """Put the visitor's letters on the desk and write the text with them."""
    place, state = desk.desk(row), state_of(row)
    place.sources = (Source(OWN, hands.to_json(own_hand(state))),)
    place.origin, place.picked, place.refused = "pad", None, []
    write(row, edits="[]", text=st.session_state.get(_text_key(row)) or place.settings.get("text", "hello"))
    if not state["refused"]:
        place.looking, state["leave"] = "Result", True
        st.session_state.pop(f"view:{row.slug}", None)


def forget(row: Exhibit) -> None:
    """Drop the visitor's letters: from the pad and, where they lie there, from the desk."""
    place, state = desk.desk(row), state_of(row)
    state.update(letters=[], turn=state["turn"] + 1, refused="", consent=False)
    if place.origin == "pad":
        desk.take_sample(row, row.samples[0])
        write(row)

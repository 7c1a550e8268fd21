"""The page frame: navigation, header strip, states, numbers footer. Every page is drawn inside it."""

from collections.abc import Callable

import streamlit as st

from app import recorded, visitors
from app.pieces import act, base_px, nb, pair, plain, ruler, small
from app.registry import EXHIBITS, ROOT, Exhibit
from app.widgets.idle import idle_guard

STAGE_HEIGHT = 24
"""Height of the stage's states in rem: each stands where the result will stand, so nothing jumps."""


def pages() -> dict[str, st.Page]:
    """Name -> page: the gallery, one per exhibit, compare and history. Derived from the registry."""
    house = {"gallery": st.Page(ROOT / "pages" / "gallery.py", title="Gallery", url_path="gallery", default=True)}
    house |= {e.slug: st.Page(ROOT / e.page, title=e.nav, url_path=e.slug) for e in EXHIBITS}
    house["compare"] = st.Page(ROOT / "pages" / "compare.py", title="Compare", url_path="compare")
    house["history"] = st.Page(ROOT / "pages" / "history.py", title="History", url_path="history")
    return house


def open_house() -> None:
    """Draw the frame and run the chosen page. A link to a run that arrives at the gallery goes on to its exhibit."""
    visitors.touch()
    st.set_page_config(page_title="Vitrine", page_icon=str(ROOT / "app" / "static" / "icon.png"), layout="wide")
    st.logo(str(ROOT / "app" / "static" / "logo.svg"), size="large")
    house = pages()
    st.session_state["house"] = house
    chosen = st.navigation(list(house.values()), position="top")
    idle_guard()
    if st.session_state.pop("start-over", False):
        st.switch_page(house["gallery"])
    slug = st.query_params.get("run", "").rpartition("-")[0]
    if chosen is house["gallery"] and slug in house:
        st.switch_page(house[slug], query_params={"run": st.query_params["run"]})
    chosen.run()


def goto(name: str, **query: str) -> None:
    """Switch to a page by name."""
    st.switch_page(st.session_state["house"][name], query_params=query or None)


def header(row: Exhibit) -> None:
    """Header strip: section, claim and why on the left; the paper's figure, ours and the ruler on the right."""
    left, right = st.columns([1.7, 1], gap="medium")
    with left:
        with st.container(gap="xxsmall"):
            small(f"{row.section} · {row.name}")
            st.title(row.title, anchor=False)
            st.markdown(row.sentence)
    with right, st.container(border=True, gap="xsmall"):
        measure(row)
        small(row.headline.differs)


def measure(row: Exhibit) -> None:
    """Paper and here as metrics, and the ruler under them."""
    line = row.headline
    words, here = recorded.headline(row.slug, line)
    pair(line.paper_text, words)
    said = f"Paper {line.paper_text}, here {words}" if line.paper_text else f"Here {words}"
    ruler(None if line.paper is None else line.paper / line.scale, None if here is None else here / line.scale, alt=f"{said}: {line.unit}.")


def plain_header(section: str, title: str, sentence: str) -> None:
    """Header of a page that is no exhibit."""
    with st.container(gap="xxsmall"):
        small(section)
        st.title(title, anchor=False)
        st.markdown(sentence)


def state_box(key: str, rem: float = STAGE_HEIGHT):
    """The frame all states share: bordered, at the height of the result (shorter where a growing figure stands under it)."""
    return st.container(border=True, height=int(rem * base_px()), vertical_alignment="center", gap="small", key=key)


def empty(words: str, limits: str, samples: list[tuple[str, Callable[[], None]]]) -> None:
    """Nothing yet: what is missing, samples as buttons, the limits of uploads."""
    with state_box("state-empty"):
        st.markdown(words, text_alignment="center")
        with st.container(horizontal=True, horizontal_alignment="center"):
            for label, start in samples:
                st.button(label, on_click=start, key=f"empty-{label}")
        st.markdown(f":small[:gray[{nb(limits)}]]", text_alignment="center")


def could_not(error: Exception, ways_out: list[tuple[str, Callable[[], None]]]) -> None:
    """What was wrong with its value, the limit, what to do, and buttons that do it."""
    with state_box("state-could-not"):
        st.error(plain(str(error)), icon=":material/error:")
        with st.container(horizontal=True):
            for number, (label, start) in enumerate(ways_out):
                (act if number == 0 else st.button)(label, on_click=start, key=f"way-out-{number}")


def fallback_notice() -> None:
    """Say so when the NumPy twins run instead of the compiled kernels."""
    from cython_ext import BACKEND

    if BACKEND != "compiled":
        st.warning("**Running without the compiled kernels.** The NumPy twins stand in: the same results, more slowly, and large pictures are read at half their size. "
                   "Install a C compiler and start launch.py again to have them back.", icon=":material/build:")

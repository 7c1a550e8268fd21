"""The input rail of an exhibit: samples, upload, the exhibit's own widget, its settings, and the one button to press."""

import time
import uuid

import streamlit as st

from app import desk
from app.pieces import act, mode, plain, small
from app.registry import Exhibit
from app.visitors import visitor
from app.widgets.config_form import config_form
from core.errors import VitrineError
from core.exhibit import Source

EDITOR_HEIGHT = 640


def input_rail(row: Exhibit) -> None:
    """Draw the rail; whatever the visitor picks lands on the desk, samples run at once."""
    place = desk.desk(row)
    with st.container(border=True, key="rail"):
        st.markdown(f"**{row.input_word.capitalize()}**")
        _samples(row, place)
        _upload(row, place)
        if row.records:
            _recorder(row, place)
        if row.widget:
            st.button(row.widget[0], icon=row.widget[1], type="tertiary", on_click=_open_editor, args=(row,), key="open-editor")
        _page_choice(row, place)
        config_form(row.module().Config, f"{row.slug}:{place.form}" if place.form else row.slug, place.settings)
        act(row.main_button, icon=":material/play_arrow:", width="stretch", disabled=not (place.sources or row.optional_input), on_click=desk.start, args=(row,),
            kwargs=dict(row.on_page), key="main-button")
        small(_expectation(row, place))
    if st.session_state.pop(f"editor-open:{row.slug}", False):
        _editor(row)


def run_sample(row: Exhibit, label: str) -> None:
    """Put a sample on the desk and run it: one click."""
    sample = next(s for s in row.samples if s.label == label)
    desk.take_sample(row, sample)
    st.session_state[_sample_key(row)] = label
    desk.start(row, **row.on_page)


def _sample_key(row: Exhibit) -> str:
    return f"sample:{row.slug}"


def _samples(row: Exhibit, place: desk.Desk) -> None:
    labels = [s.label for s in row.samples]
    key = _sample_key(row)
    st.session_state[key] = place.picked
    st.segmented_control("Sample", labels, key=key, on_change=lambda: run_sample(row, st.session_state[key] or place.picked or labels[0]))
    about = next((s.about for s in row.samples if s.label == place.picked), None)
    if about:
        small(about)


def _upload(row: Exhibit, place: desk.Desk) -> None:
    key = f"upload:{row.slug}:{place.uploader}"

    def take() -> None:
        brought = st.session_state[key] or []
        files = brought if isinstance(brought, list) else [brought]
        if desk.take_uploads(row, [Source(f.name, f.getvalue()) for f in files]):
            desk.start(row, **row.on_page)

    st.file_uploader("Or your own", row.accepts, accept_multiple_files=row.max_files > 1, key=key, on_change=take,
                     max_upload_size=row.max_bytes // 1_000_000)
    for name, reason in place.refused:
        named = reason if reason.startswith(name) else f"{name}: {reason}"
        st.error(plain(named), icon=":material/error:")
    if place.origin in ("upload", "editor", "link"):
        names = ", ".join(plain(s.name) for s in place.sources[:3])
        small(f"On the desk: {names}" + (f" and {len(place.sources) - 3} more" if len(place.sources) > 3 else ""))


def _recorder(row: Exhibit, place: desk.Desk) -> None:
    """What the microphone hears, at 48 kHz."""
    key = f"record:{row.slug}:{place.uploader}"

    def take() -> None:
        heard = st.session_state[key]
        if heard is not None and desk.take_uploads(row, [Source(time.strftime("recording-%H%M%S.wav"), heard.getvalue())]):
            desk.start(row, **row.on_page)

    st.audio_input("Or record", sample_rate=48_000, key=key, on_change=take)


def _page_choice(row: Exhibit, place: desk.Desk) -> None:
    """A page number where the one document on the desk has several pages."""
    try:
        info = row.module().inspect(place.sources[0]) if len(place.sources) == 1 else None
    except VitrineError:
        info = None
    if getattr(info, "pages", 1) > 1:
        place.settings["page"] = st.number_input(f"Page, 1 to {info.pages}", 1, info.pages, min(int(place.settings.get("page", 1)), info.pages),
                                                 key=f"page:{row.slug}:{place.sources[0].sha256[:8]}")
    else:
        place.settings.pop("page", None)


def _expectation(row: Exhibit, place: desk.Desk) -> str:
    seconds = place.view.record["seconds"].get("total") if place.view else None
    many = f"{len(place.sources)} {row.input_word}s, " if len(place.sources) > 1 else ""
    return f"{many}nothing leaves this machine" + (f" · the last one took {seconds:.1f} s" if seconds else "")


def _open_editor(row: Exhibit) -> None:
    st.session_state[f"editor-open:{row.slug}"] = True
    st.session_state[f"editor-sid:{row.slug}"] = uuid.uuid4().hex


def _editor(row: Exhibit) -> None:
    """The Gradio widget in a dialog; what it sends lands on the desk."""
    from app.gradio_blocks import handover

    sid = st.session_state[f"editor-sid:{row.slug}"]
    place = desk.desk(row)
    if place.sources:
        handover.offer(sid, place.sources[0].data, visitor())

    @st.dialog(f"Crop or rotate the {row.input_word}", width="large")
    def dialog() -> None:
        st.markdown("Cut out the table, turn it upright, then press **Use this picture**.")
        st.iframe(f"/widgets/{row.slug}-editor/?sid={sid}&__theme={mode()}", height=EDITOR_HEIGHT, alt="Picture editor")
        _wait_for_picture(row, sid)

    dialog()


@st.fragment(run_every=1.0)
def _wait_for_picture(row: Exhibit, sid: str) -> None:
    from app.gradio_blocks import handover

    data = handover.take(sid)
    if data is None:
        small("Waiting for your picture.")
        return
    place = desk.desk(row)
    name = f"edited-{time.strftime('%H%M%S')}.png"
    place.sources, place.origin, place.picked, place.refused = (Source(name, data),), "editor", None, []
    desk.start(row, **row.on_page)
    st.rerun()

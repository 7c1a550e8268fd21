"""Who is asking: an unguessable token per browser, which visitors are here now, and what goes when they leave."""

import threading
import time

import streamlit as st

from app.guard import COOKIE, TOKEN, new_token
from app.jobs import jobs
from app.runs import store

SECONDS_IDLE = 900
_STATE = "_visitor"

_lock = threading.Lock()
_sessions: dict[str, int] = {}
_left: dict[str, float] = {}
_successors: dict[str, str] = {}


def visitor() -> str:
    """The token of the visitor whose script runs: from the cookie, else (no cookie yet, tests) from the session."""
    cookie = st.context.cookies.get(COOKIE)
    token = cookie if isinstance(cookie, str) and TOKEN.fullmatch(cookie) else st.session_state.setdefault(_STATE, new_token())
    return _successors.get(token, token)


def touch() -> str:
    """Note that this session's visitor is here until the session ends; returns the token. For the top of every script run."""
    token = visitor()
    _presence(token)
    return token


class _Presence:
    """One session of one visitor."""

    def __init__(self, token: str) -> None:
        self.token = token
        with _lock:
            _sessions[token] = _sessions.get(token, 0) + 1
            _left.pop(token, None)

    def end(self) -> None:
        with _lock:
            _sessions[self.token] -= 1
            if not _sessions[self.token]:
                del _sessions[self.token]
                _left[self.token] = time.monotonic()


@st.cache_resource(scope="session", show_spinner=False, on_release=_Presence.end)
def _presence(token: str) -> _Presence:
    return _Presence(token)


def here() -> set[str]:
    """The visitors with at least one live session."""
    with _lock:
        return set(_sessions)


def forget(token: str) -> None:
    """Drop a visitor's unkept runs, jobs and editor pictures now; whoever uses this browser next is somebody new (booth reset)."""
    from app.gradio_blocks import handover

    jobs().forget(token)
    handover.forget(token)
    store().forget(token)
    with _lock:
        _succeed(token)
    st.session_state.pop(_STATE, None)


def _succeed(token: str) -> None:
    # The cookie itself cannot be changed from a script, so every token that led here leads to the next one.
    fresh = new_token()
    for earlier, now in list(_successors.items()):
        if now == token:
            _successors[earlier] = fresh
    _successors[token] = fresh


def sweep(idle_seconds: float = SECONDS_IDLE) -> int:
    """Drop what visitors who left more than `idle_seconds` ago did not keep; returns the number of runs. For the janitor, once a minute."""
    from app.gradio_blocks import handover

    horizon = time.monotonic() - idle_seconds
    with _lock:
        gone = [token for token, when in _left.items() if when < horizon]
        for token in gone:
            del _left[token]
    for token in gone:
        jobs().forget(token)
        handover.forget(token)
    return store().sweep(here(), idle_seconds)

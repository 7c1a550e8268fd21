"""Who is asking: the cookie's token, sessions that come and go, and what goes with a visitor."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from app import jobs as line
from app import visitors
from app.execute import Run
from app.gradio_blocks import handover
from app.guard import COOKIE, TOKEN, new_token
from app.runs import store


def page():
    import streamlit as st

    from app.visitors import touch, visitor

    st.session_state["token"] = touch()
    st.session_state["again"] = visitor()


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path))
    for name in ("_sessions", "_left", "_successors"):
        monkeypatch.setattr(visitors, name, {})
    line.configure(workers=1)
    yield
    line.close()


def test_a_session_without_a_cookie_has_a_token_of_its_own():
    one, two = AppTest.from_function(page).run(), AppTest.from_function(page).run()
    assert not one.exception and TOKEN.fullmatch(one.session_state["token"])
    assert one.session_state["token"] == one.session_state["again"] == one.run().session_state["token"]
    assert one.session_state["token"] != two.session_state["token"]
    assert {one.session_state["token"], two.session_state["token"]} <= visitors.here()


def with_cookie(monkeypatch, value):
    class Context:
        cookies = {COOKIE: value}

    monkeypatch.setattr(visitors.st, "context", Context)


def test_the_cookie_says_who_it_is(monkeypatch):
    token = new_token()
    with_cookie(monkeypatch, token)
    assert visitors.visitor() == token
    with_cookie(monkeypatch, "../../etc/passwd")
    monkeypatch.setattr(visitors.st, "session_state", {})
    assert TOKEN.fullmatch(visitors.visitor()) and visitors.visitor() == visitors.visitor()


def test_a_visitor_is_here_until_the_last_session_ends():
    first, second = visitors._Presence("ann"), visitors._Presence("ann")
    first.end()
    assert visitors.here() == {"ann"}
    second.end()
    assert visitors.here() == set() and "ann" in visitors._left
    visitors._Presence("ann")
    assert visitors.here() == {"ann"} and visitors._left == {}


def belongings(owner):
    run_id = store().save(Run({"exhibit": "table"}, {"a": b"1"}), (), owner)
    kept = store().save(Run({"exhibit": "table"}, {"a": b"1"}), (), owner, kept=True)
    handover.put("sid-" + owner, b"picture", owner)
    handover.offer("sid-" + owner, b"picture", owner)
    return run_id, kept


def test_forget_drops_everything_and_the_next_one_is_somebody_new(monkeypatch):
    token = new_token()
    with_cookie(monkeypatch, token)
    monkeypatch.setattr(visitors.st, "session_state", {})
    gone, kept = belongings(token)
    other, _ = belongings("bob")
    visitors.forget(token)
    assert [s.id for s in store().list(token)] == [kept] and other in [s.id for s in store().list("bob")]
    assert handover.take("sid-" + token) is None and handover.offered("sid-" + token) is None and handover.take("sid-bob") == b"picture"
    second = visitors.visitor()
    assert second != token and TOKEN.fullmatch(second) and store().list(second) == []
    visitors.forget(second)
    assert visitors.visitor() not in (token, second)


def test_the_janitor_takes_what_those_who_left_did_not_keep():
    presence = visitors._Presence("ann")
    _, kept = belongings("ann")
    assert visitors.sweep(0.05) == 0
    presence.end()
    time.sleep(0.1)
    assert visitors.sweep(0.05) == 1
    assert [s.id for s in store().list("ann")] == [kept] and handover.take("sid-ann") is None
    assert visitors._left == {}

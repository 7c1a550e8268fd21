"""Every page through AppTest: it draws, a sample runs to a saved run, a stale link and a refused input are sentences."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app import jobs as job_line
from app.registry import EXHIBITS, ROOT
from app.runs import store

SECONDS = 120


@pytest.fixture
def studio():
    """A session on the gallery."""
    return AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=SECONDS).run()


@pytest.fixture(scope="module", autouse=True)
def _close_jobs():
    yield
    job_line.close()


def words(app: AppTest) -> str:
    """Everything a visitor can read in the main elements."""
    return "\n".join(str(e.value) for kind in ("title", "header", "subheader", "markdown", "error", "warning") for e in app.get(kind))


def settle(app: AppTest, slug: str) -> AppTest:
    """Wait for the job on the desk, then let the page collect it; one that was ready at once has been collected already."""
    desk = app.session_state[f"desk:{slug}"]
    if desk.job is None:
        return app
    job = job_line.jobs().get(desk.job, owner_of(app))
    assert job is not None and job.wait(SECONDS)
    return app.run()


def owner_of(app: AppTest) -> str:
    return app.session_state["_visitor"]


def test_gallery_shows_a_card_and_the_first_samples_of_every_exhibit(studio):
    assert not studio.exception
    shown = words(studio)
    for row in EXHIBITS:
        assert row.name in shown
        assert all(any(b.label == s.label for b in studio.button) for s in row.samples[:3])


@pytest.mark.parametrize("page", ["pages/compare.py", "pages/history.py", *(row.page for row in EXHIBITS)])
def test_every_page_draws(studio, page):
    studio.switch_page(str(ROOT / page)).run()
    assert not studio.exception
    assert studio.title


@pytest.mark.parametrize("row", EXHIBITS, ids=lambda row: row.slug)
def test_a_sample_becomes_a_saved_run_that_its_link_reopens(studio, row):
    next(b for b in studio.button if b.label == row.samples[0].label).click().run()
    studio.switch_page(str(ROOT / row.page)).run()
    settle(studio, row.slug)
    assert not studio.exception
    view = studio.session_state[f"desk:{row.slug}"].view
    assert view.id and view.own and studio.query_params["run"] in (view.id, [view.id])
    saved = store().load(view.id)
    assert saved.record["exhibit"] == row.slug and saved.record["metrics"]
    again = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=SECONDS)
    again.query_params["run"] = view.id
    again.run()
    assert not again.exception
    assert again.session_state[f"desk:{row.slug}"].view.id == view.id
    assert not again.session_state[f"desk:{row.slug}"].view.own


def test_a_stale_link_is_a_sentence_with_ways_out(studio):
    studio.switch_page(str(ROOT / "pages" / "table.py"))
    studio.query_params["run"] = "table-aaaaaaaaaaaaaaaa"
    studio.run()
    assert not studio.exception
    assert "table" in studio.error[0].value and "aaaaaaaaaaaaaaaa" in studio.error[0].value
    assert any(b.label == "Use a sample instead" for b in studio.button)


def test_what_cannot_be_read_is_refused_at_once_and_the_rest_stays(studio):
    studio.switch_page(str(ROOT / "pages" / "table.py")).run()
    good = EXHIBITS[0].samples[0].path.read_bytes()
    studio.file_uploader[0].set_value([("good.png", good, "image/png"), ("broken.png", b"not a picture at all", "image/png")]).run()
    assert not studio.exception
    assert any("broken" in e.value for e in studio.error)
    assert [s.name for s in studio.session_state["desk:table"].sources] == ["good.png"]


def test_an_edit_goes_into_the_saved_run_and_a_stale_one_is_a_conflict(studio):
    from app import desk
    from core.errors import ConflictError

    next(b for b in studio.button if b.label == EXHIBITS[0].samples[0].label).click().run()
    studio.switch_page(str(ROOT / "pages" / "table.py")).run()
    settle(studio, "table")
    view = studio.session_state["desk:table"].view
    stem = "superbike-1990"
    files = EXHIBITS[0].module().amend(view.files, stem, {(0, 0): "Corrected"})
    store().amend(view.id, view.version, files, owner=owner_of(studio))
    assert json.loads(store().load(view.id).files[f"{stem}.json"])["cells"][0]["text"] == "Corrected"
    with pytest.raises(ConflictError):
        store().amend(view.id, view.version, files, owner=owner_of(studio))
    assert desk.View.__dataclass_fields__["version"].default == 0


def test_history_lists_own_runs_only(studio):
    next(b for b in studio.button if b.label == EXHIBITS[0].samples[0].label).click().run()
    studio.switch_page(str(ROOT / "pages" / "table.py")).run()
    settle(studio, "table")
    run_id = studio.session_state["desk:table"].view.id
    studio.switch_page(str(ROOT / "pages" / "history.py")).run()
    assert run_id in words(studio)
    stranger = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=SECONDS).run()
    stranger.switch_page(str(ROOT / "pages" / "history.py")).run()
    assert run_id not in words(stranger)

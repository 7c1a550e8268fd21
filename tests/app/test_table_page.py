"""The table page's further views through AppTest: tokens, engines and score, with and without the model."""

import pytest
from streamlit.testing.v1 import AppTest

from app import jobs as job_line
from app.desk import Desk, View
from app.execute import Run, execute
from app.figures.scores import finding, percent
from app.registry import ROOT, exhibit
from core.exhibit import Source

SECONDS = 120
ROW = exhibit("table")
SAMPLE = next(s for s in ROW.samples if s.label == "Three lines")


@pytest.fixture(scope="module")
def read():
    """read(engine) -> the sample's run without text, each engine once."""
    made: dict[str, Run] = {}

    def of(engine: str) -> Run:
        if engine not in made:
            made[engine] = execute("table", [Source(SAMPLE.file, SAMPLE.path.read_bytes())], {"ocr": "none", "race": True, "engine": engine})
        return made[engine]

    yield of
    job_line.close()


def page(run: Run, view: str) -> AppTest:
    """The table page with this run on the desk and one of its views open."""
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=SECONDS)
    sources = (Source(SAMPLE.file, SAMPLE.path.read_bytes()),)
    app.session_state["desk:table"] = Desk(sources, view=View("table", run.record, run.files, run.trace, sources))
    app.session_state["view:table"] = view
    app.run()
    app.switch_page(str(ROOT / "pages" / "table.py")).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """Everything a visitor can read in the main elements."""
    return "\n".join(str(e.value) for kind in ("header", "subheader", "markdown", "error") for e in app.get(kind))


def test_the_result_says_which_engine_was_taken_and_leads_to_the_tokens(read):
    app = page(read("auto"), "Result")
    assert "Model" in words(app) and "Confidence that the whole structure is right" in words(app)
    next(b for b in app.button if b.label == "Watch it being written").click().run()
    assert not app.exception and "fewer calls" in words(app)


def test_without_the_model_the_tokens_view_offers_to_read_again(read):
    app = page(read("regions"), "Tokens")
    again = next(b for b in app.button if b.label == "Read it with the full model")
    assert "they write no tokens" in words(app) and not again.disabled
    assert "No closed cells here" in words(app)


@pytest.mark.parametrize("engine, said", [("auto", "no table found here"), ("regions", "not asked")])
def test_both_readings_stand_side_by_side(read, engine, said):
    assert said in words(page(read(engine), "Engines"))


def test_the_samples_own_truth_is_scored(read):
    app = page(read("auto"), "Score")
    score = ROW.module().score(read("auto").files, SAMPLE.path.stem, SAMPLE.truth_path.read_bytes())
    assert [m.value for m in app.metric if "TEDS" in m.label] == [percent(s).replace(" ", "\u00a0") for s in (score.teds, score.teds_struct)]
    assert "text" in finding(score) and finding(score) in words(app)  # it was read without its text
    next(t for t in app.toggle if "ground truth" in t.label).set_value(False).run()
    assert not app.exception and not [m for m in app.metric if "TEDS" in m.label]


def test_a_truth_that_is_no_table_is_one_sentence(read):
    app = page(read("auto"), "Score")
    app.file_uploader[-1].set_value(("truth.html", b"<p>nothing</p>", "text/html")).run()
    assert not app.exception
    assert len(app.error) == 1 and "no table" in app.error[0].value


def test_what_happened_names_the_models_stages_and_layers(read):
    app = page(read("auto"), "Result")
    assert any("Separators" in c.options for c in app.segmented_control if c.label == "What the engines saw")
    app = page(read("regions"), "Result")
    assert not any("Separators" in c.options for c in app.segmented_control if c.label == "What the engines saw")

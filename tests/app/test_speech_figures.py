"""The speech exhibit's figures: what they show follows from the run's own takes and measures."""

import base64
import io
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.figures import speech as figures
from core.io.sounds import to_wav
from core.speech.pictures import as_png, spectrogram

WAVE = (0.1 * np.sin(np.arange(24_000) * 0.05)).astype(np.float32)


def take(key: str, name: str, rtf: float | None = None, **measures) -> dict:
    return dict(key=key, name=name, rtf=rtf, measures=measures, sound=f"memo/{key}.flac", picture=f"memo/{key}.png")


def lesson(known: bool) -> dict:
    """What a run says of two widths in two designs."""
    rows = [dict(latent=latent, start=start, hidden=True, numbers_per_second=6_000 * latent, si_sdr=si_sdr, lsd_high=0.5, sound="memo/ours.flac", picture="memo/ours.png")
            for latent, start, si_sdr in ((16, "klt", 30.0), (8, "klt", 21.0), (8, "random", -0.5), (16, "random", 1.0))]
    came = {name: dict(sound=f"memo/{name}.flac", picture=f"memo/{name}.png") for name in ("noisy", "clean")[:1 + known]}
    return dict(start_s=1.5, seconds=0.5, samples_per_second=48_000, came=came, rows=rows)


def view(takes: list[dict] | None = None) -> SimpleNamespace:
    """A saved run over one recording."""
    takes = takes or [take("noisy", "As it was", si_sdr=2.0, ovrl=1.9, lsd_high=14.0), take("ours", "Restored", 0.05, si_sdr=11.5, ovrl=2.7, lsd_high=6.0),
                      take("rnnoise", "RNNoise", 0.06, si_sdr=9.0, ovrl=2.9, lsd_high=9.0), take("clean", "Clean", ovrl=3.2)]
    told = dict(name="memo.wav", takes=takes, excerpt_s=[0.0, 0.5], words="0.5 s.", steps=[], steps_words="", method="")
    trace = {"trace.json": json.dumps({"clips": {"memo": told}}).encode()}
    for t in takes:
        trace |= {t["sound"]: to_wav(WAVE[None], 48_000, "PCM_16", "FLAC"), t["picture"]: as_png(spectrogram(WAVE, 48_000, 60))}
    return SimpleNamespace(id="a", trace=trace, files={}, record={"created": "now", "seconds": {"restore": 1.0}})


def test_the_finding_is_the_change_with_its_cost():
    assert figures.finding(view()) == "+9.5 dB SI-SDR, in 50 ms a second of sound"
    guessed = view([take("noisy", "As it was", ovrl=1.9), take("ours", "Restored", 0.2, ovrl=2.7)])
    assert figures.finding(guessed) == "DNSMOS 1.90 became 2.70, in 0.20 s a second of sound"


def test_the_player_gets_every_take_as_sound_and_coloured_picture():
    story = figures.player_story(view(), "memo")
    assert [t["key"] for t in story["tracks"]] == ["noisy", "ours", "rnnoise", "clean"] and story["seconds"] == 0.5
    assert story["tracks"][1]["words"] == "11.5 dB" and "SI-SDR 2.0 to 11.5 dB" in story["alt"]
    for track in story["tracks"]:
        assert base64.b64decode(track["sound"].split(",")[1])[:4] == b"fLaC"
        image = Image.open(io.BytesIO(base64.b64decode(track["picture"].split(",")[1]))).convert("RGB")
        assert np.ptp(np.asarray(image).reshape(-1, 3), axis=0).min() > 20


def test_each_line_runs_from_the_worst_to_the_best_take():
    this = figures.clip(view(), "memo")
    fig, alt = figures.measures_figure(this, "light", 16)
    ours = [t for t in fig.data if "Restored" in t.hovertemplate]
    assert [t.x[0] for t in ours] == pytest.approx([1.0, (2.7 - 1.9) / (3.2 - 1.9), 1.0])
    headings = [note.text for note in fig.layout.annotations if note.xref == "paper"]
    assert [("6.0 dB" in text, "lower is better" in text) for text in headings] == [(False, False), (False, False), (True, True)] and "DNSMOS overall 1.90 to 2.70" in alt
    assert figures.measures_table(this)[2]["SI-SDR"] == 9.0


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(("before", "RNNoise", "noisereduce", "Wiener", "WPE", "clean"))), min_size=1, max_size=6), st.floats(20, 90))
@settings(max_examples=60, deadline=None)
def test_names_of_takes_never_meet(names, width_rem):
    tags = figures.lanes(names)
    assert sorted(word for tag in tags for word in tag.text.split(", ")) == sorted(name for _, name in names)
    for one, other in itertools.combinations(tags, 2):
        apart = max(one.span(width_rem)[0], other.span(width_rem)[0]) >= min(one.span(width_rem)[1], other.span(width_rem)[1])
        assert one.lane != other.lane or apart, (one, other)


def test_takes_of_one_value_share_a_name():
    tied = view([take("noisy", "As it was", si_sdr=2.0), take("ours", "Restored", 0.05, si_sdr=9.0), take("wiener", "Wiener", si_sdr=5.0), take("rnnoise", "RNNoise", si_sdr=5.0),
                 take("noisereduce", "noisereduce", si_sdr=5.2)])
    fig, _ = figures.measures_figure(figures.clip(tied, "memo"), "dark", 20)
    names = {note.text: note.y for note in fig.layout.annotations if note.xref != "paper"}
    assert set(names) == {"before", "RNNoise, Wiener", "noisereduce"} and names["noisereduce"] > names["RNNoise, Wiener"]
    assert fig.layout.height == pytest.approx(20 * fig.layout.yaxis.range[0], abs=1)


def test_cost_is_drawn_for_what_was_recorded():
    rows = [dict(name="m, 1 step", family="ours m", rtf=0.05, ovrl=2.7), dict(name="m, 4 steps", family="ours m", rtf=0.12, ovrl=2.72), dict(name="RNNoise", family="RNNoise", rtf=0.06, ovrl=2.9),
            dict(name="noisy", family="noisy", rtf=1e-6, ovrl=1.9), dict(name="unmeasured", family="unmeasured", rtf=None, ovrl=1.9)]
    fig, alt = figures.cost_figure(rows, "ovrl", "dark", 20)
    assert {tuple(t.x) for t in fig.data} == {(0.05, 0.12), (0.06,)} and fig.layout.xaxis.type == "log" and "RNNoise 2.90 at 0.060 s" in alt
    assert "noisy 1.90." in alt and min(fig.layout.xaxis.range) > np.log10(0.01)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_names_beside_values_keep_their_distance_and_their_order(values):
    places = figures._apart(values, 0.5)
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(places)[order]) >= 0.5 - 1e-9).all()
    if (np.diff(np.array(values)[order]) >= 0.5).all():
        assert np.allclose(places, values)


def test_compare_and_report_hold_the_numbers():
    other = view([take("noisy", "As it was", si_sdr=2.0), take("ours", "Restored", 0.1, si_sdr=10.0)])
    _, _, between = figures.comparison(view(), other, "light", 16)
    assert between == [("SI-SDR, right \u2212 left", "\u22121.5 dB"), ("cost, right ÷ left", "2.00×")]
    assert "11.5" in figures.report(view()) and figures.report(view()).count("<img") == 2


@pytest.mark.parametrize("known", [True, False])
def test_the_latent_of_a_width_is_said_heard_and_set_beside_the_others(known):
    run = view()
    this = figures.clip(run, "memo")
    this.told["latents"] = lesson(known)
    rows = figures.latent_rows(this, "KLT start")
    assert list(rows) == [8, 16] and not figures.latent_rows(this, "No hidden connections")
    assert figures.latent_words(this, rows[8]) == "48,000 numbers a second, as many as samples: 21.0 dB SI-SDR"
    assert "twice the samples" in figures.latent_words(this, rows[16])
    story = figures.latent_story(run, this, rows[8])
    assert [t["key"] for t in story["tracks"]] == ["before", "after", "noisy"][:2 + known] and story["tracks"][1]["words"] == "21.0 dB"
    assert ("The clean recording is known" in figures.latent_source_words(this)) == known
    table = figures.latent_table(this, "KLT start", 8)
    assert table.count("**") == 2 and "**21.0 (0.50)**" in table and "\u22120.5 (0.50) | 1.0" in table


def test_a_run_without_other_latents_has_none():
    assert figures.latent_rows(figures.clip(view(), "memo"), "KLT start") == {}

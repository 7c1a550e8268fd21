"""The preset part of the D-MIMO benchmark: that its sections say what they claim, on few drops."""

from argparse import Namespace

import pytest

from core.dmimo.link import SCHEMES
from core.dmimo.presets import PRESETS
from tests.bench.dmimo import preset


@pytest.fixture(scope="module")
def made() -> dict:
    found = list(preset.sections(Namespace(quick=True), {}))
    return {section.key: (section, headline) for section, headline in found}


def test_the_posts_figures_stand_beside_ours(made) -> None:
    section, headline = made["post"]
    rows = {row["scheme"]: row for row in section.rows}
    assert list(rows) == list(SCHEMES) and rows["iqc"]["throughput %"] == pytest.approx(100)
    assert rows["deqc"]["post: throughput"] == 72.0 and rows["llrc"]["FLOPS"] == 64.0
    assert headline["deqc_throughput_percent"] == pytest.approx(rows["deqc"]["throughput %"], abs=0.05)
    assert headline["llrc_fronthaul_percent"] == pytest.approx(10.3) and headline["deqc_flops_percent"] == pytest.approx(65.2)
    assert "found and not printed" in section.title and not set(preset.SEEDS) & {1, 2, 3, 4}


def test_what_the_post_does_not_tell_is_there(made) -> None:
    rows = {row["changed"]: row for row in made["post_untold"][0].rows}
    assert rows["MMSE in layer form"]["FLOPS %"] > 85 > rows["none"]["FLOPS %"]
    assert rows["a stream per layer (8)"]["throughput %"] == pytest.approx(100, abs=1)
    assert rows["the same, added by SINR"]["throughput %"] < rows["best layers by local MMSE"]["throughput %"] < rows["none"]["throughput %"]


def test_every_preset_and_the_time_of_a_drop_are_reported(made) -> None:
    assert [row["preset"] for row in made["regimes"][0].rows] == list(PRESETS)
    assert [row["SNR dB"] for row in made["post_trend"][0].rows] == [10, 15, 20, 26, 30]
    assert all(row["ms per drop"] > 0 for row in made["link_speed"][0].rows)

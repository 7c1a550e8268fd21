"""The compiler benchmark's own arithmetic: what is said of a race, what the headline takes, and what a missing rival leaves."""

from argparse import Namespace
from pathlib import Path

import pytest

from core.compiler.hand.weights import MODELS
from core.compiler.race import OURS, Race, Row
from core.compiler.roofline import Limit
from tests.bench import compiler
from tests.bench.compiler import models, peers
from tests.bench.harness import RivalMissing


def found(name: str, **times: float) -> models.Found:
    """A race with these best times."""
    made = models.Found(name)
    made.race = Race((Row(OURS, "", 1.0), *(Row(other.replace("_", " "), "", us) for other, us in times.items())), Limit(0.5, "multiply-adds"), 0, None)
    return made


def test_headline_takes_the_fastest_peer_and_the_better_hand_written_code() -> None:
    one = found("mlp_beam", OpenVINO=20.0, onnxruntime_C=10.0, hand=1.5, plain_hand=0.9)
    one.apart["ncnn"] = peers.Answer(30.0, 31.0, None)
    assert models.headline([one]) == {"mlp_beam_over_fastest_peer": 10.0, "mlp_beam_over_openvino": 20.0, "mlp_beam_over_onnxruntime": 10.0, "mlp_beam_over_ncnn": 30.0,
                                      "mlp_beam_over_hand": 0.9}


def test_means_are_given_over_all_six_only() -> None:
    whole = models.headline([found(name, OpenVINO=4.0) for name in MODELS])
    assert whole["mean_over_openvino"] == 4.0 and "mean_over_hand" not in whole
    assert "mean_over_openvino" not in models.headline([found(name, OpenVINO=4.0) for name in list(MODELS)[:5]])


def test_a_model_nobody_else_ran_has_no_ratio() -> None:
    assert models.headline([found("mlp_beam")]) == {} and found("mlp_beam").over("OpenVINO") is None


def test_missing_rivals_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(case):
        raise RivalMissing("not here")
    monkeypatch.setattr(peers, "CALLED", {"OpenVINO": missing})
    said: dict[str, str] = {}
    assert models.called(None, said) == {} and said == {"OpenVINO": "not here"}


def test_without_the_data_a_section_says_so(tmp_path: Path) -> None:
    section, headline = next(models.sections(Namespace(data=tmp_path, quick=True), {}, tmp_path))
    assert section.rows[0]["name"] == "skipped" and headline is None


def test_every_part_is_there() -> None:
    for part in compiler.PARTS:
        assert (Path(compiler.__file__).parent / f"{part}.py").is_file()

"""Bad scenarios and impossible sweeps: one sentence each, exit 2 on the command line, nothing written."""

import json

import pytest

from app import command
from core.dmimo.config import Config
from core.dmimo.exhibit import inspect, run
from core.dmimo.presets import PRESETS
from core.dmimo.scenario import MOST_BYTES, to_json
from core.errors import InputError, LimitError
from core.exhibit import Source


def broken(**change) -> bytes:
    """The post's scenario with something replaced, as a file that was edited by hand."""
    return json.dumps({**json.loads(to_json(PRESETS["post"])), **change}).encode()


RADIO = json.loads(to_json(PRESETS["post"]))["radio"]
TRPS, UES = json.loads(to_json(PRESETS["post"]))["trps"], json.loads(to_json(PRESETS["post"]))["ues"]
CASES = [
    ("empty", b"", InputError, ["JSON"]),
    ("picture", b"\x89PNG\r\n\x1a\n" + bytes(40), InputError, ["JSON"]),
    ("list", b"[1, 2]", InputError, ["object"]),
    ("deep", b"[" * 100_000, InputError, ["JSON"]),
    ("heavy", b" " * (MOST_BYTES + 1), LimitError, ["1.0 MB"]),
    ("another", b'{"format": "sheet", "version": 1}', InputError, ["not a D-MIMO scenario"]),
    ("newer", broken(version=9), InputError, ["version 9", "version 1"]),
    ("key", broken(roof=1), InputError, ["'roof'", "width_m"]),
    ("no-trps", broken(trps=[]), InputError, ["no TRP", "at least one radio"]),
    ("no-ues", broken(ues=[]), InputError, ["no UE", "at least one user"]),
    ("on-top", broken(trps=[{**TRPS[0], "x_m": UES[0]["x_m"], "y_m": UES[0]["y_m"]}, *TRPS[1:]]), InputError, ["TRP 1", "on top of UE 1", "0.5 m", "Move"]),
    ("layers", broken(ues=[{**UES[0], "layers": 8}] * 1 + [{**u, "layers": 8} for u in UES[1:]], trps=[{**t, "antennas": 8} for t in TRPS]), InputError,
     ["64 layers", "32 antennas"]),
    ("nan", broken(width_m=float("nan")), InputError, ["width_m is nan", "finite"]),
    ("infinite", broken(radio={**RADIO, "snr_db": float("inf")}), InputError, ["snr_db is inf"]),
    ("words", broken(width_m="wide"), InputError, ["width_m is 'wide'", "number"]),
    ("outside", broken(trps=[{**TRPS[0], "x_m": 99.0}, *TRPS[1:]]), InputError, ["99", "outside the plan of 40 x 40 m"]),
    ("many", broken(ues=UES * 9), LimitError, ["ues", "64"]),
]


@pytest.mark.parametrize("name, data, error, words", CASES, ids=[c[0] for c in CASES])
def test_a_bad_scenario_is_explained_before_anything_runs(name, data, error, words):
    with pytest.raises(InputError) as caught:
        inspect(Source(f"{name}.json", data))
    message = str(caught.value)
    assert type(caught.value) is error and [w for w in words if w not in message] == [], message
    assert message.endswith(".") and "\n" not in message and message.count(". ") <= 2


def test_a_sweep_of_a_million_points_says_how_long_and_asks():
    with pytest.raises(LimitError) as caught:
        run([], Config(snr_points=1_000_000, drops=2))
    message = str(caught.value)
    assert "1,000,00" in message and "500" in message and "most_points" in message and any(unit in message for unit in ("hours", "days"))


def test_two_scenarios_are_one_too_many():
    data = to_json(PRESETS["post"]).encode()
    with pytest.raises(InputError, match="2 scenario files"):
        run([Source("a.json", data), Source("b.json", data)])


@pytest.mark.parametrize("settings, words", [
    (["preset=moon"], "preset=moon"), (["streams=3"], "streams=3"), (["drops=0"], "drops=0"), (["snr_low_db=20", "snr_high_db=10"], "lies above"),
    (["snr_low_db=nan"], "snr_low_db=nan"), (["preset=iid", "streams=8"], "streams_per_trp is 8"), (["qam_bits=3"], "qam_bits is 3")])
def test_bad_settings_are_one_line_and_write_nothing(settings, words, tmp_path, capsys):
    out = tmp_path / "out"
    assert command.main(["run", "dmimo", "--out", str(out), "--set", *settings]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and words in told and not out.exists()

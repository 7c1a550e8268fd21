"""The benchmarks' own logic: timing in turns, ratios, a rival's process and environment, the report."""

import itertools
import json
import sys

import pytest

from tests.bench import ONE_THREAD, harness
from tests.bench.harness import Ratio, RivalMissing, Section, Worker, as_json, as_text, interleave, prepare, ratio


def test_calls_take_turns_and_the_order_turns_round():
    seen = []
    ticks = itertools.count()
    times = interleave({name: lambda name=name: seen.append(name) for name in "abc"}, 3, clock=lambda: float(next(ticks)))
    assert "".join(seen) == "abc" + "cba" + "abc"
    assert times == {"a": [1.0] * 3, "b": [1.0] * 3, "c": [1.0] * 3}


def test_ratio_pairs_the_times():
    found = ratio([1, 2, 30], [2, 4, 6])
    assert found.median == 0.5 and found.low == 0.5 and 0.5 < found.high <= 5
    assert str(Ratio(0.5, 0.25, 1.0)) == "0.500 [0.250-1.000]"


@pytest.mark.parametrize("ours, rival", [([1.0], [1.0, 2.0]), ([], [])])
def test_ratio_of_what_does_not_pair_is_refused(ours, rival):
    with pytest.raises(ValueError, match="do not pair"):
        ratio(ours, rival)


ECHO = """
import json, os, sys
print(json.dumps({"ready": True, "threads": os.environ["OMP_NUM_THREADS"]}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    if question["word"] == "die": sys.exit(3)
    if question["word"] == "sleep": import time; time.sleep(60)
    print(json.dumps({"word": question["word"].upper()}), flush=True)
"""


@pytest.fixture
def echo(tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    return script


def test_a_worker_answers_line_by_line_on_one_thread(echo):
    with Worker(sys.executable, echo) as worker:
        assert worker.hello == {"ready": True, "threads": "1"}
        assert [worker.ask(word=word)["word"] for word in ("é\n", "b")] == ["É\n", "B"]
    assert worker.process.returncode == 0


def test_a_worker_that_dies_is_a_rival_missing(echo):
    with Worker(sys.executable, echo) as worker:
        for _ in range(2):
            with pytest.raises(RivalMissing, match="has ended"):
                worker.ask(word="die")


def test_a_worker_that_hangs_is_stopped(echo):
    with Worker(sys.executable, echo) as worker:
        worker.timeout = 0.3
        with pytest.raises(RivalMissing, match="no answer within 0.3 s"):
            worker.ask(word="sleep")


def test_a_script_that_cannot_start_is_a_rival_missing(tmp_path):
    with pytest.raises(RivalMissing, match="has ended"):
        Worker(sys.executable, tmp_path / "absent.py")


def test_a_rival_that_cannot_be_installed_leaves_no_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "list.txt").write_text("no-such-package-as-this==1.0\n")
    with pytest.raises(RivalMissing, match="could not be installed: ERROR"):
        prepare("rival", tmp_path, tmp_path / "list.txt", say=lambda line: None)
    assert not (tmp_path / "rival").exists()


def test_a_whole_environment_is_used_again_until_its_list_changes(tmp_path, monkeypatch):
    def run(command):
        """What venv leaves, and pip in it."""
        if "venv" in command:
            (tmp_path / "rival" / "bin").mkdir(parents=True)
            (tmp_path / "rival" / "bin" / "python").touch()
        ran.append(command)

    ran = []
    monkeypatch.setattr(harness, "_run", run)
    requirements = tmp_path / "list.txt"
    requirements.write_text("one==1.0\n")
    python = prepare("rival", tmp_path, requirements, say=lambda line: None)
    assert python == tmp_path / "rival" / "bin" / "python" and len(ran) == 2
    assert prepare("rival", tmp_path, requirements) == python and len(ran) == 2
    requirements.write_text("one==1.1\n")
    prepare("rival", tmp_path, requirements, say=lambda line: None)
    assert len(ran) == 4 and ran[3][0] == str(python) and ran[3][-1] == str(requirements)


def test_the_report_lists_every_row_and_survives_json():
    section = Section("key", "Title", "how", [{"name": "a", "ratio": Ratio(0.5, 0.25, 1.0), "share": float("nan")}, {"name": "bb", "ms": 0.01234}])
    lines = as_text(section).splitlines()
    assert lines[0] == "Title" and lines[1] == "  (how)"
    assert lines[3].split() == ["a", "0.500", "[0.250-1.000]", "-"] and lines[4].split() == ["bb", "0.0123"]
    again = json.loads(json.dumps(as_json([section])))
    assert again[0]["rows"] == [{"name": "a", "ratio": {"median": 0.5, "low": 0.25, "high": 1.0}, "share": None}, {"name": "bb", "ms": 0.01234}]


def test_the_thread_limits_name_the_common_libraries():
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} <= set(ONE_THREAD) and set(ONE_THREAD.values()) == {"1"}

"""`run` and `train` on the command line: what is written, what is refused in one line, and that nothing is half-written."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import command, registry
from core.exhibit import Outcome, option

ROOT = Path(command.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Config:
    """Settings of the stand-in exhibit."""

    factor: int = option(1, "Factor", low=1, high=9)
    reader: str = option("a", "Reader", choices=("a", "b"))
    beside: str = option("", "Beside", file=True)


def _run(sources, config, progress) -> Outcome:
    progress(0.5, "half of it")
    files = {f"{Path(s.name).stem}.txt": s.data * config.factor for s in sources}
    return Outcome(files, metrics={"inputs": len(sources)}, seconds={"copying": 0.25}, notes=["A note to know."], seed=7)


@pytest.fixture
def exhibit(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A stand-in exhibit `echo` that repeats its inputs."""
    module = types.ModuleType("core.echo.exhibit")
    module.Config, module.run, module.warm = Config, _run, lambda: None
    package = types.ModuleType("core.echo")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "core.echo", package)
    monkeypatch.setitem(sys.modules, "core.echo.exhibit", module)
    row = dataclasses.replace(registry.EXHIBITS[0], slug="echo", core="core.echo.exhibit", max_bytes=1000)
    monkeypatch.setattr(registry, "EXHIBITS", (row,))
    monkeypatch.setattr(command, "EXHIBITS", (row,))
    return module


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "one.png"
    path.write_bytes(b"abc")
    return path


def _start(*words: object) -> int:
    return command.main(["run", *map(str, words)])


def test_files_and_record_are_written_and_summed_up(exhibit, picture, tmp_path, capsys) -> None:
    out = tmp_path / "new" / "out"
    assert _start("echo", picture, "--out", out, "--set", "factor=2", "--set", "reader=b") == 0
    assert sorted(p.name for p in out.iterdir()) == ["one.txt", "run.json"]
    assert (out / "one.txt").read_bytes() == b"abcabc"
    record = json.loads((out / "run.json").read_text("utf8"))
    assert record["config"] == {"factor": 2, "reader": "b", "beside": ""} and record["seed"] == 7 and record["files"] == ["one.txt"]
    assert record["inputs"] == [{"name": "one.png", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]
    assert {"exhibit", "seconds", "versions", "kernel_backend", "metrics"} <= record.keys()
    told = capsys.readouterr()
    assert "2 files in" in told.out and "copying 0.25 s" in told.out and "A note to know." in told.out and told.err == ""


@pytest.mark.parametrize("words", [
    ["echo", "IN", "--set", "factor=3", "reader=b", "--out", "OUT"],
    ["echo", "--set", "factor=3", "IN", "--out", "OUT"],
    ["echo", "--out", "OUT", "IN", "--set", "factor=3"],
    ["--out", "OUT", "echo", "IN", "--set=factor=3"],
])
def test_options_may_stand_anywhere(exhibit, picture, tmp_path, words) -> None:
    places = {"IN": str(picture), "OUT": str(tmp_path / "out")}
    assert _start(*(places.get(word, word) for word in words)) == 0
    assert (tmp_path / "out" / "one.txt").read_bytes() == b"abc" * 3


def test_a_setting_that_is_a_file_is_brought_along_by_name(exhibit, picture, tmp_path, capsys) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "two.png").write_bytes(b"de")
    assert _start("echo", picture, "--out", tmp_path / "out", "--set", f"beside={tmp_path / 'away' / 'two.png'}") == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text("utf8"))
    assert [i["name"] for i in record["inputs"]] == ["one.png", "two.png"] and record["config"]["beside"] == "two.png"
    assert _start("echo", picture, "--out", tmp_path / "none", "--set", "beside=nowhere.png") == 2
    assert "There is no file nowhere.png" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_an_exhibit_whose_input_is_optional_runs_on_its_settings(exhibit, tmp_path, monkeypatch, capsys) -> None:
    rows = (dataclasses.replace(registry.exhibit("echo"), optional_input=True),)
    monkeypatch.setattr(registry, "EXHIBITS", rows)
    assert _start("echo", "--out", tmp_path / "out", "--set", "factor=2") == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text("utf8"))["inputs"] == [] and "1 files in" in capsys.readouterr().out


def test_a_folder_that_is_there_keeps_its_other_files(exhibit, picture, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    (out / "one.txt").write_text("old")
    assert _start("echo", picture, "--out", out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["mine.txt", "one.txt", "run.json"]
    assert (out / "one.txt").read_bytes() == b"abc" and (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("words, part", [
    (["nothing", "IN", "--out", "OUT"], "no exhibit 'nothing'"),
    (["echo", "--out", "OUT"], "at least one input"),
    (["echo", "IN"], "--out"),
    (["echo", "IN", "--out", "OUT", "--set", "factor=99"], "factor=99"),
    (["echo", "IN", "--out", "OUT", "--set", "colour=red"], "colour"),
    (["echo", "IN", "--out", "OUT", "--frob"], "--frob"),
    (["echo", "gone.png", "--out", "OUT"], "no file gone.png"),
    (["echo", ".", "--out", "OUT"], "is a folder"),
    (["echo", "BIG", "--out", "OUT"], "reads files up to"),
    (["echo", "RUN", "--out", "OUT"], "run.json"),
    (["echo", "IN", "--out", "IN"], "takes a folder"),
])
def test_bad_input_is_one_line_and_writes_nothing(exhibit, picture, tmp_path, capsys, words, part, monkeypatch) -> None:
    monkeypatch.setattr(exhibit, "run", lambda s, c, p: Outcome({f"{Path(x.name).stem}.json": b"" for x in s}))
    (tmp_path / "big.png").write_bytes(b"0" * 1001)
    (tmp_path / "run.png").write_bytes(b"0")
    before = sorted(tmp_path.iterdir())
    places = {"IN": picture, "OUT": tmp_path / "out", "BIG": tmp_path / "big.png", "RUN": tmp_path / "run.png"}
    assert _start(*(places.get(word, word) for word in words)) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and part in told.err and told.out == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "a/../../outside.txt", "..\\outside.txt"])
def test_a_result_cannot_leave_its_folder(exhibit, picture, tmp_path, monkeypatch, name) -> None:
    monkeypatch.setattr(exhibit, "run", lambda *_: Outcome({name: b"x"}))
    assert _start("echo", picture, "--out", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists() and not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_is_a_sentence_and_the_old_results_stay(exhibit, picture, tmp_path, capsys, monkeypatch, there) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
        (out / "one.txt").write_text("old")
    before = sorted(tmp_path.rglob("*"))

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert _start("echo", picture, "--out", out) == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told and "Nothing was changed" in told and told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before and (not there or (out / "one.txt").read_text() == "old")


def test_a_folder_in_a_results_place_stops_before_anything_moves(exhibit, tmp_path, capsys) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"new")
    (tmp_path / "out" / "b.txt").mkdir(parents=True)
    assert _start("echo", tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out") == 2
    assert "is a folder where a result belongs" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b.txt"]


def test_a_stop_in_the_middle_writes_nothing(exhibit, picture, tmp_path, capsys, monkeypatch) -> None:
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(exhibit, "run", stopped)
    assert _start("echo", picture, "--out", tmp_path / "out") == 130
    assert "Stopped" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_stop_while_writing_leaves_no_part(exhibit, picture, tmp_path, monkeypatch) -> None:
    def stopped(self, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stopped)
    before = sorted(tmp_path.rglob("*"))
    assert _start("echo", picture, "--out", tmp_path / "out") == 130
    assert sorted(tmp_path.rglob("*")) == before


def test_train_lists_what_can_be_trained(exhibit, capsys) -> None:
    assert command.main(["train", "anything"]) == 2
    assert capsys.readouterr().err == "There is no model 'anything' to train. No model is trained in this version.\n"


def test_train_hands_over_to_the_models_own_module(tmp_path, monkeypatch, capsys) -> None:
    package = tmp_path / "trained_here"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text("import sys\nprint('trained', sys.argv[1:], __name__)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(command, "EXHIBITS", (dataclasses.replace(registry.EXHIBITS[0], slug="model", core="trained_here.exhibit"),))
    assert command.main(["train", "model", "--minutes", "1"]) == 0
    assert capsys.readouterr().out == "trained ['--minutes', '1'] __main__\n"


@pytest.fixture
def sample() -> Path:
    """The first built-in picture of the first exhibit."""
    return registry.EXHIBITS[0].samples[0].path


def test_the_real_table_exhibit_runs_from_the_command_line(sample, tmp_path) -> None:
    out = tmp_path / "out"
    argv = [sys.executable, "-P", "-m", "app.command", "run", "table", str(sample), "--out", str(out), "--set", "ocr=none"]
    done = subprocess.run(argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert {p.name for p in out.iterdir()} == {"run.json"} | {sample.stem + end for end in (".html", ".xlsx", ".csv", ".md", ".otsl.txt", ".json")}
    record, table = json.loads((out / "run.json").read_text("utf8")), json.loads((out / f"{sample.stem}.json").read_text("utf8"))
    assert record["exhibit"] == "table" and table["abstained"] is False and len(table["cells"]) > 3


def test_a_signal_ends_the_real_command_with_nothing_written(tmp_path) -> None:
    """A pipe as input keeps the command reading until it is told to stop."""
    os.mkfifo(tmp_path / "pipe.png")
    argv = [sys.executable, "-P", "-m", "app.command", "run", "table", "pipe.png", "--out", "out"]
    child = subprocess.Popen(argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    with open(tmp_path / "pipe.png", "wb") as writer:  # opens once the command has opened the other end
        child.send_signal(signal.SIGTERM)
        _, told = child.communicate(timeout=60)
        assert not writer.closed
    assert child.returncode == 130 and told == "Stopped; nothing was written.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["pipe.png"]

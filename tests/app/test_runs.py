"""Saved runs: whole or not at all, found by their link, owned by one visitor, and swept when nobody keeps them."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app import runs as module
from app.execute import Run
from app.runs import RUN_ID, RunStore, home, store
from core.errors import ConflictError, RunNotFound, StorageError
from core.exhibit import Source

ROOT = Path(__file__).resolve().parents[2]


def run_of(slug="table", **files) -> Run:
    blobs = {f"{name}.txt": data for name, data in files.items()} or {"a.html": b"<table>", "../../evil.csv": b"1,2"}
    return Run({"exhibit": slug, "metrics": {"cells": 4}, "files": sorted(blobs)}, blobs, {"mask.png": b"\x89PNG"})


@pytest.fixture
def runs(tmp_path) -> RunStore:
    return RunStore(tmp_path / "home")


SOURCES = [Source("scan.png", b"pixels"), Source("scan.png", b"other pixels")]


def folders(runs: RunStore) -> list[str]:
    return sorted(f.name for part in ("runs", "incoming") for f in (runs.root / part).iterdir())


def test_a_run_comes_back_as_it_was(runs):
    run_id = runs.save(run_of(), SOURCES, "ann")
    assert RUN_ID.fullmatch(run_id) and run_id.startswith("table-") and len(run_id) == len("table-") + 16
    back = runs.load(run_id)
    assert (back.id, back.slug, back.owner, back.kept, back.version) == (run_id, "table", "ann", False, 1)
    assert dict(back.files) == {"a.html": b"<table>", "../../evil.csv": b"1,2"} and dict(back.trace) == {"mask.png": b"\x89PNG"}
    assert list(back.sources) == SOURCES and back.sources[-1:] == SOURCES[-1:]
    assert back.record["metrics"] == {"cells": 4} and abs(back.created - time.time()) < 60
    assert [place.parent for place in runs.root.rglob("*.csv")] == []  # a visitor's name never becomes a path


def test_ids_cannot_be_guessed_or_walk_out_of_the_folder(runs):
    ids = {runs.save(run_of(), (), "ann") for _ in range(20)}
    assert len(ids) == 20
    for stale in ("", "table-" + "a" * 16, "../runs.sqlite", "table-../../../etc/passwd", "TABLE-" + "A" * 16, "x" * 9000, None, 7, "table-" + "a" * 15 + "\n"):
        with pytest.raises(RunNotFound, match="There is no run"):
            runs.load(stale)


def test_files_are_read_when_asked_for(runs):
    run_id = runs.save(run_of(), (), "ann")
    back = runs.load(run_id)
    runs.delete(run_id, "ann")
    assert "a.html" in back.files and len(back.files) == 2
    with pytest.raises(RunNotFound, match="deleted while"):
        back.files["a.html"]
    assert folders(runs) == []


def test_only_the_owner_lists_keeps_changes_and_deletes(runs):
    mine, theirs = runs.save(run_of(), (), "ann"), runs.save(run_of(), (), "bob")
    assert [s.id for s in runs.list("ann")] == [mine] and [s.id for s in runs.list("nobody")] == []
    assert runs.load(theirs).owner == "bob"
    for act in (lambda: runs.keep(theirs, "ann"), lambda: runs.delete(theirs, "ann"), lambda: runs.amend(theirs, 1, {"a.html": b"x"}, owner="ann")):
        with pytest.raises(StorageError, match="another visitor"):
            act()
    assert not runs.load(theirs).kept and runs.load(theirs).version == 1


def test_the_list_is_newest_first(runs):
    ids = [runs.save(run_of(), (), "ann", kept=n == 1) for n in range(3)]
    listed = runs.list("ann")
    assert [s.id for s in listed] == ids[::-1] and [s.kept for s in listed] == [False, True, False]
    assert listed[0].bytes == 14 and listed[0].record["metrics"] == {"cells": 4}


def test_a_change_replaces_files_and_counts_up(runs):
    run_id = runs.save(run_of(), (), "ann")
    before = runs.load(run_id)
    assert runs.amend(run_id, 1, {"a.html": b"<table>2", "new.md": b"| |"}, {"edits": 3}, owner="ann") == 2
    after = runs.load(run_id)
    assert after.version == 2 and after.files["a.html"] == b"<table>2" and after.record["metrics"] == {"cells": 4, "edits": 3}
    assert after.record["files"] == sorted(after.files) == ["../../evil.csv", "a.html", "new.md"]
    assert before.files["a.html"] == b"<table>"  # whoever was reading reads on
    for version in (2, 3, 4):
        runs.amend(run_id, version, {"a.html": b"%d" % version}, owner="ann")
    assert len(list((runs.root / "runs" / run_id).iterdir())) == 5  # four blobs and one outdated one


def test_two_editors_do_not_overwrite_each_other(runs):
    run_id = runs.save(run_of(), (), "ann")
    outcomes, start = [], threading.Barrier(8)

    def edit(n):
        start.wait()
        try:
            outcomes.append(runs.amend(run_id, 1, {"a.html": b"editor %d" % n}, owner="ann"))
        except ConflictError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=edit, args=(n,)) for n in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert outcomes.count(2) == 1 and sum("was changed elsewhere at" in str(o) and "nothing was overwritten" in str(o) for o in outcomes) == 7
    assert runs.load(run_id).files["a.html"].startswith(b"editor ")
    assert len(list((runs.root / "runs" / run_id).iterdir())) == 4


def test_sweep_takes_what_nobody_keeps_of_those_who_left(runs):
    left, kept, here = runs.save(run_of(), (), "ann"), runs.save(run_of(), (), "ann", kept=True), runs.save(run_of(), (), "bob")
    assert runs.sweep({"ann", "bob"}, 900) == 0
    with sqlite3.connect(runs.root / "runs.sqlite") as db:
        db.execute("UPDATE owners SET seen = seen - 1000")
    assert runs.sweep({"bob"}, 900) == 1
    assert {s.id for s in runs.list("ann")} == {kept} and {s.id for s in runs.list("bob")} == {here}
    assert folders(runs) == sorted([kept, here]) and left not in folders(runs)


def test_a_restart_gives_everybody_their_time_again(runs):
    run_id = runs.save(run_of(), (), "ann")
    with sqlite3.connect(runs.root / "runs.sqlite") as db:
        db.execute("UPDATE owners SET seen = seen - 1000")
    again = RunStore(runs.root)
    assert again.sweep((), 900) == 0 and again.load(run_id)


def test_forget_deletes_a_visitors_unkept_runs_now(runs):
    gone, kept, other = runs.save(run_of(), (), "ann"), runs.save(run_of(), (), "ann", kept=True), runs.save(run_of(), (), "bob")
    runs.forget("ann")
    assert folders(runs) == sorted([kept, other]) and gone not in folders(runs)


def test_the_oldest_unkept_runs_make_room(tmp_path):
    runs = RunStore(tmp_path, limit_bytes=2500)
    kept = runs.save(run_of(a=b"x" * 2000), (), "ann", kept=True)
    old, middle, new = (runs.save(run_of(a=b"x" * 1000), (), "ann") for _ in range(3))
    assert [s.id for s in runs.list("ann")] == [new, middle, kept] and old not in folders(runs)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(runs, monkeypatch, code):
    write, calls = module._write, []

    def fill_up(path, data):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(data[:1])
            raise OSError(code, os.strerror(code))
        write(path, data)

    monkeypatch.setattr(module, "_write", fill_up)
    with pytest.raises(StorageError, match="disk is full"):
        runs.save(run_of(), SOURCES, "ann")
    assert folders(runs) == [] and runs.list("ann") == []


def test_a_full_disk_while_a_run_is_changed_keeps_the_old_version(runs, monkeypatch):
    run_id = runs.save(run_of(), (), "ann")
    before = sorted((runs.root / "runs" / run_id).iterdir())

    def full(path, data):
        path.write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(StorageError, match="disk is full"):
        runs.amend(run_id, 1, {"a.html": b"new"}, owner="ann")
    assert runs.load(run_id).version == 1 and runs.load(run_id).files["a.html"] == b"<table>"
    assert sorted((runs.root / "runs" / run_id).iterdir()) == before


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", where], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs takes Linux and root")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_a_disk_that_is_really_full(small_disk):
    runs = RunStore(small_disk)
    first = runs.save(run_of(a=b"x" * 300_000), (), "ann")
    with pytest.raises(StorageError, match="disk is full"):
        runs.save(run_of(a=b"x" * 2_000_000), (), "ann")
    assert folders(runs) == [first] and len(runs.load(first).files["a.txt"]) == 300_000
    runs.delete(first, "ann")
    assert runs.save(run_of(a=b"x" * 300_000), (), "ann")


KILLED = """
import os, signal, sys, app.runs as m
from app.execute import Run
runs = m.RunStore(sys.argv[1])
print(runs.save(Run({"exhibit": "table"}, {"a": b"saved before"}), (), "ann"), flush=True)
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "writing":
    write, seen = m._write, []
    m._write = lambda path, data: (write(path, data), seen.append(path), len(seen) == 2 and kill())
else:
    m.RunStore._insert = kill
runs.save(Run({"exhibit": "table"}, {"a": b"1", "b": b"2", "c": b"3"}), (), "ann")
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
@pytest.mark.parametrize("moment", ["writing", "before the row"])
def test_a_server_killed_in_the_middle_of_a_save(tmp_path, monkeypatch, moment):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moment], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGKILL
    first = killed.stdout.strip()
    monkeypatch.setattr(module, "SECONDS_ORPHAN", -1)
    runs = RunStore(tmp_path)
    assert folders(runs) == [first] and [s.id for s in runs.list("ann")] == [first]
    assert dict(runs.load(first).files) == {"a": b"saved before"}


def test_many_threads_save_at_once(runs):
    errors = []

    def work(n):
        try:
            for _ in range(5):
                runs.load(runs.save(run_of(a=b"%d" % n), (), f"v{n}"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert errors == [] and all(len(runs.list(f"v{n}")) == 5 for n in range(8))


def test_a_folder_that_refuses_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="folder of runs could not be opened"):
        RunStore(tmp_path / "file")


def test_home_is_vitrine_home_or_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path / "mine"))
    assert home() == tmp_path / "mine" and store().root == tmp_path / "mine" and store() is store()
    monkeypatch.delenv("VITRINE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home().name == "vitrine"

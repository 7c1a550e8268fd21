"""Saved runs: a row in SQLite and a folder of files each; a run is either there completely or not at all."""

import errno
import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.execute import Run
from core.errors import ConflictError, RunNotFound, StorageError
from core.exhibit import Source

LIMIT_BYTES = 2_000_000_000
SECONDS_ORPHAN = 60
SECONDS_SAVING = 3600
SECONDS_LOCKED = 10.0
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
RUN_ID = re.compile(r"[a-z0-9]{1,40}(?:-[a-z0-9]{1,40}){0,4}-[a-z2-7]{16}")

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, slug TEXT NOT NULL, owner TEXT NOT NULL, kept INTEGER NOT NULL, created REAL NOT NULL,
    changed REAL NOT NULL, version INTEGER NOT NULL, bytes INTEGER NOT NULL, record TEXT NOT NULL, contents TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS runs_of_owner ON runs (owner, created);
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, seen REAL NOT NULL);
"""


class Blobs(Mapping[str, bytes]):
    """name -> bytes, read from disk when asked for. Raises RunNotFound when the run was deleted in the meantime."""

    def __init__(self, folder: Path, places: Mapping[str, str]) -> None:
        self._folder, self._places = folder, places

    def __getitem__(self, name: str) -> bytes:
        return _read(self._folder / self._places[name])

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Inputs(Sequence[Source]):
    """The sources of a run in their order, read from disk when asked for."""

    def __init__(self, folder: Path, places: Sequence[tuple[str, str]]) -> None:
        self._folder, self._places = folder, places

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        name, place = self._places[index]
        return Source(name, _read(self._folder / place))

    def __len__(self) -> int:
        return len(self._places)


@dataclass(frozen=True)
class SavedRun:
    """A run that was read back. `created` in seconds since 1970; `version` counts from 1 and grows with every amendment."""

    id: str
    slug: str
    owner: str
    kept: bool
    created: float
    changed: float
    version: int
    record: dict
    files: Mapping[str, bytes]
    trace: Mapping[str, bytes]
    sources: Sequence[Source]


@dataclass(frozen=True)
class Summary:
    """A line of the History: everything but the files. `bytes` is what the run takes on disk."""

    id: str
    slug: str
    kept: bool
    created: float
    changed: float
    version: int
    bytes: int
    record: dict


class RunStore:
    """The runs under one folder. Every method may be called from any thread; several servers may share the folder."""

    def __init__(self, root: Path | str, limit_bytes: int = LIMIT_BYTES) -> None:
        self.root, self.limit_bytes = Path(root), limit_bytes
        self._runs, self._incoming = self.root / "runs", self.root / "incoming"
        with _explained("the folder of runs could not be opened"):
            self._runs.mkdir(parents=True, exist_ok=True)
            self._incoming.mkdir(exist_ok=True)
            os.chmod(self.root, 0o700)
            with closing(self._connect()) as db, db:
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(SCHEMA)
                # Visitors could not be here while no server was: their time away begins now.
                db.execute("UPDATE owners SET seen = ?", (time.time(),))
            self._remove_debris()

    def save(self, run: Run, sources: Sequence[Source], owner: str, kept: bool = False) -> str:
        """Write a run and return its id. Raises StorageError (nothing is left behind) when the disk is full or refuses."""
        self._make_room(_size(run, sources))
        run_id = f"{run.record['exhibit']}-{''.join(secrets.choice(ALPHABET) for _ in range(16))}"
        if not RUN_ID.fullmatch(run_id):
            raise StorageError(f"The exhibit name {run.record['exhibit']!r} cannot name a run: small letters, digits and hyphens only.")
        incoming = self._incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        final = self._runs / run_id
        try:
            with _explained("the run could not be saved"):
                contents = _write_all(incoming, run, sources)
                os.rename(incoming, final)
                _sync(self._runs)
                self._insert(run_id, run.record, owner, kept, contents)
        except BaseException:
            shutil.rmtree(incoming, ignore_errors=True)
            shutil.rmtree(final, ignore_errors=True)
            raise
        return run_id

    def load(self, run_id: str) -> SavedRun:
        """The run of this id, for whoever holds its link. Raises RunNotFound."""
        row = self._row(run_id)
        contents, folder = json.loads(row["contents"]), self._runs / row["id"]
        return SavedRun(row["id"], row["slug"], row["owner"], bool(row["kept"]), row["created"], row["changed"], row["version"], json.loads(row["record"]),
                        Blobs(folder, contents["files"]), Blobs(folder, contents["trace"]), Inputs(folder, contents["sources"]))

    def list(self, owner: str) -> list[Summary]:
        """This visitor's runs, newest first."""
        with self._transaction("the runs could not be listed") as db:
            rows = db.execute("SELECT * FROM runs WHERE owner = ? ORDER BY created DESC, rowid DESC", (owner,)).fetchall()
        return [Summary(r["id"], r["slug"], bool(r["kept"]), r["created"], r["changed"], r["version"], r["bytes"], json.loads(r["record"])) for r in rows]

    def keep(self, run_id: str, owner: str, kept: bool = True) -> None:
        """Keep a run beyond its owner's visit, or no longer. Raises RunNotFound, StorageError for somebody else's run."""
        self._own(run_id, owner)
        with self._transaction("the run could not be kept") as db:
            db.execute("UPDATE runs SET kept = ? WHERE id = ?", (kept, run_id))

    def delete(self, run_id: str, owner: str) -> None:
        """Delete a run and its files. Raises RunNotFound, StorageError for somebody else's run."""
        self._own(run_id, owner)
        self._drop([run_id])

    def amend(self, run_id: str, version: int, files: Mapping[str, bytes], metrics: Mapping[str, object] | None = None, *, owner: str) -> int:
        """Replace or add files (and metrics) of a run that is still at `version`; returns the new version.

        Raises ConflictError when it was changed since, RunNotFound, StorageError.
        """
        row = self._own(run_id, owner)
        _unchanged(row, version)
        folder, contents, record = self._runs / run_id, json.loads(row["contents"]), json.loads(row["record"])
        fresh = {name: f"{version + 1}-{secrets.token_hex(4)}-{n}" for n, name in enumerate(files)}
        replaced = [contents["files"][name] for name in files if name in contents["files"]]
        outdated = contents.get("outdated", [])
        contents = contents | {"files": contents["files"] | fresh, "outdated": replaced}  # kept for one version: somebody may be reading them
        record = record | {"files": sorted(contents["files"]), "metrics": {**record.get("metrics", {}), **(metrics or {})},
                           "amended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        try:
            with _explained("the run could not be changed"):
                for name, place in fresh.items():
                    _write(folder / place, files[name])
                _sync(folder)
            self._replace(row, contents, record)
        except BaseException:
            _unlink(folder, fresh.values())
            raise
        _unlink(folder, outdated)
        return version + 1

    def forget(self, owner: str) -> None:
        """Delete every run of this visitor that is not kept, now."""
        with self._transaction("the run could not be deleted") as db:
            ids = [r["id"] for r in db.execute("SELECT id FROM runs WHERE owner = ? AND NOT kept", (owner,))]
        self._drop(ids)

    def sweep(self, live_owners: Collection[str], idle_seconds: float) -> int:
        """Delete the runs that are not kept and whose owner left more than `idle_seconds` ago; returns how many."""
        now = time.time()
        with self._transaction("old runs could not be deleted") as db:
            db.executemany("INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET seen = excluded.seen", [(o, now) for o in live_owners])
            gone = db.execute("SELECT id FROM runs LEFT JOIN owners USING (owner) WHERE NOT kept AND coalesce(seen, created) < ?", (now - idle_seconds,))
            ids = [r["id"] for r in gone]
            db.execute("DELETE FROM owners WHERE seen < ? AND owner NOT IN (SELECT owner FROM runs WHERE kept)", (now - idle_seconds,))
        self._drop(ids)
        self._make_room(0)
        self._remove_debris()
        return len(ids)

    # ---- rows

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.root / "runs.sqlite", timeout=SECONDS_LOCKED)
        db.row_factory = sqlite3.Row
        return db

    @contextmanager
    def _transaction(self, failure: str) -> Iterator[sqlite3.Connection]:
        with _explained(failure), closing(self._connect()) as db, db:
            yield db

    def _row(self, run_id: str) -> sqlite3.Row:
        row = None
        if isinstance(run_id, str) and RUN_ID.fullmatch(run_id):
            with self._transaction("the run could not be read") as db:
                row = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise RunNotFound(f"There is no run {str(run_id)[:80]!r} here. It was deleted, its visitor left without keeping it, or the link is not complete.")
        return row

    def _own(self, run_id: str, owner: str) -> sqlite3.Row:
        row = self._row(run_id)
        if row["owner"] != owner:
            raise StorageError("This run was made by another visitor. You can look at it and run its input again; only they can change, keep or delete it.")
        return row

    def _insert(self, run_id: str, record: dict, owner: str, kept: bool, contents: dict) -> None:
        now = time.time()
        with self._transaction("the run could not be saved") as db:
            db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
                       (run_id, record["exhibit"], owner, kept, now, now, _on_disk(self._runs / run_id), json.dumps(record), json.dumps(contents)))
            db.execute("INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET seen = excluded.seen", (owner, now))

    def _replace(self, row: sqlite3.Row, contents: dict, record: dict) -> None:
        with self._transaction("the run could not be changed") as db:
            done = db.execute("UPDATE runs SET contents = ?, record = ?, changed = ?, version = version + 1, bytes = ? WHERE id = ? AND version = ?",
                              (json.dumps(contents), json.dumps(record), time.time(), _on_disk(self._runs / row["id"]), row["id"], row["version"])).rowcount
        if not done:
            _unchanged(self._row(row["id"]), row["version"])

    def _drop(self, ids: Sequence[str]) -> None:
        with self._transaction("the run could not be deleted") as db:
            db.executemany("DELETE FROM runs WHERE id = ?", [(i,) for i in ids])
        for run_id in ids:
            shutil.rmtree(self._runs / run_id, ignore_errors=True)

    # ---- room and debris

    def _make_room(self, wanted: int) -> None:
        """Oldest runs that nobody keeps go first until `wanted` more bytes fit under the limit."""
        with self._transaction("the run could not be saved") as db:
            unkept = db.execute("SELECT id, bytes FROM runs WHERE NOT kept ORDER BY created").fetchall()
        excess = sum(r["bytes"] for r in unkept) + wanted - self.limit_bytes
        going = []
        for row in unkept:
            if excess <= 0:
                break
            going.append(row["id"])
            excess -= row["bytes"]
        self._drop(going)

    def _remove_debris(self) -> None:
        """What a killed server left: folders in the making, and folders that never got their row."""
        for folder in filter(abandoned, self._incoming.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
        with self._transaction("the run could not be read") as db:
            known = {r["id"] for r in db.execute("SELECT id FROM runs")}
        for folder in self._runs.iterdir():
            if folder.name not in known and _age(folder) > SECONDS_ORPHAN:
                shutil.rmtree(folder, ignore_errors=True)


def home() -> Path:
    """Where runs live: VITRINE_HOME, else this user's data folder."""
    if chosen := os.environ.get("VITRINE_HOME"):
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("vitrine", appauthor=False)


def store() -> RunStore:
    """The store of this process."""
    return _store(home())


@lru_cache
def _store(root: Path) -> RunStore:
    return RunStore(root)


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    """Turns what a disk or SQLite says into a sentence that begins with the failure."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(failure) from error
        raise StorageError(f"{failure.capitalize()}: {error.strerror or error}. Check the folder that VITRINE_HOME names.") from error
    except sqlite3.Error as error:
        if "full" in str(error):
            raise _full(failure) from error
        raise StorageError(f"{failure.capitalize()}: {error} (in the list of runs). Try again.") from error


def _full(failure: str) -> StorageError:
    return StorageError(f"The disk is full: {failure}, and nothing was left half-written. Delete runs in History or free some space, then run it again.")


def _unchanged(row: sqlite3.Row, version: int) -> None:
    if row["version"] != version:
        when = time.strftime("%H:%M:%S", time.localtime(row["changed"]))
        raise ConflictError(f"This run was changed elsewhere at {when}, after you opened it; nothing was overwritten. Reload it and make your change again.")


def _write_all(folder: Path, run: Run, sources: Sequence[Source]) -> dict:
    """Write everything under numbered names (a visitor's file name never becomes a path) and say where what is."""
    folder.mkdir()
    places = {"files": {name: f"f{n}" for n, name in enumerate(run.files)}, "trace": {name: f"t{n}" for n, name in enumerate(run.trace)},
              "sources": [(source.name, f"s{n}") for n, source in enumerate(sources)]}
    for group, blobs in (("files", run.files), ("trace", run.trace)):
        for name, place in places[group].items():
            _write(folder / place, blobs[name])
    for source, (_, place) in zip(sources, places["sources"], strict=True):
        _write(folder / place, source.data)
    _sync(folder)
    return places


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as gone:
        raise RunNotFound("This run was deleted while it was being read.") from gone


def _sync(folder: Path) -> None:
    """Make names in a folder last; Windows has no such call and needs none."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unlink(folder: Path, places) -> None:
    for place in places:
        (folder / place).unlink(missing_ok=True)


def _size(run: Run, sources: Sequence[Source]) -> int:
    return sum(map(len, run.files.values())) + sum(map(len, run.trace.values())) + sum(len(s.data) for s in sources)


def _on_disk(folder: Path) -> int:
    """The bytes of all files in it; a file that another editor removes meanwhile counts nothing."""
    total = 0
    for place in folder.iterdir():
        with suppress(FileNotFoundError):
            total += place.stat().st_size
    return total


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def abandoned(folder: Path) -> bool:
    """True when the process that was writing this folder is gone (its number begins the folder's name), or has been at it far too long."""
    maker = folder.name.partition("-")[0]
    if os.name == "posix" and maker.isdigit() and int(maker) != os.getpid():
        try:
            os.kill(int(maker), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # alive, and somebody else's
    return _age(folder) > SECONDS_SAVING

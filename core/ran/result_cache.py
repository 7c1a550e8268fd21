"""Results of sweep points by the hash of what they came from: one SQLite file, JSON values, never anything that could execute."""

import base64
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from core.errors import ConfigError

MOST_BYTES = 200_000_000
SECONDS_LOCKED = 5.0
ARRAY = "__ndarray__"
SCHEMA = "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, created REAL NOT NULL, sha256 TEXT NOT NULL, value TEXT NOT NULL)"

_log = logging.getLogger("vitrine.sweep")


class Cache:
    """key -> text, kept over runs. A damaged entry or file counts as absent; a folder that cannot be written means no cache, never a failure."""

    def __init__(self, path: Path | str, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._lock = Path(path), threading.Lock()
        self._db = self._open()
        self._trim(most_bytes)

    def get(self, key: str) -> str | None:
        """The text kept under this key if it is whole."""
        row = self._ask("SELECT sha256, value FROM results WHERE key = ?", key)
        if not row or not isinstance(row[0][1], str) or _digest(row[0][1]) != row[0][0]:
            return None
        return row[0][1]

    def put(self, key: str, text: str) -> None:
        """Keep a text; the last one wins."""
        self._ask("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", key, time.time(), _digest(text), text)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection | None:
        for last in (False, True):
            db = None
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                db = sqlite3.connect(self._path, timeout=SECONDS_LOCKED, isolation_level=None, check_same_thread=False)
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute(SCHEMA)
                return db
            except (sqlite3.Error, OSError) as error:
                if db is not None:
                    db.close()
                if last or not _damaged(error):
                    _log.warning("Sweep results are not kept: %s", error)
                    return None
                for name in (self._path, *(self._path.with_name(self._path.name + end) for end in ("-wal", "-shm"))):
                    name.unlink(missing_ok=True)
        return None

    def _ask(self, statement: str, *values) -> list:
        if self._db is None:
            return []
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            _log.warning("A sweep result could not be read or kept: %s", error)
            return []

    def _trim(self, most_bytes: int) -> None:
        """Let the oldest go until what is left fits."""
        left = most_bytes
        for key, size in self._ask("SELECT key, length(value) FROM results ORDER BY created DESC"):
            left -= size
            if left < 0:
                self._ask("DELETE FROM results WHERE key = ?", key)


def _damaged(error: Exception) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()


def default_cache() -> Cache:
    """The cache beside the saved runs: in VITRINE_HOME, else in this user's data folder."""
    from platformdirs import user_data_path

    home = os.environ.get("VITRINE_HOME")
    return Cache((Path(home) if home else user_data_path("vitrine", appauthor=False)) / "sweeps.sqlite")


# ---------------------------------------------------------------- values as text

def to_text(value) -> str:
    """A result as JSON: dicts with text keys, lists, numbers, text, None and NumPy arrays. Raises TypeError for anything else."""
    return json.dumps(value, default=_encode, separators=(",", ":"))


def _encode(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {ARRAY: [value.dtype.str, list(value.shape), data]}
    raise TypeError(f"A result holds a {type(value).__name__}, which cannot be kept. Return numbers, text, lists, dicts or NumPy arrays.")


def from_text(text: str):
    """What `to_text` wrote; tuples come back as lists. Raises ValueError for text that is damaged."""
    return json.loads(text, object_hook=_decode)


def _decode(found: dict):
    if set(found) != {ARRAY}:
        return found
    try:
        dtype, shape, data = found[ARRAY]
        return np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape(shape).copy()
    except TypeError as wrong:
        raise ValueError(f"An array in a kept result is damaged: {wrong}") from wrong


# ---------------------------------------------------------------- keys

def canonical(value) -> str:
    """One text per value of parameters: equal values give equal text, whatever the order of keys. Raises ConfigError for what has no such text."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return [ARRAY, value.dtype.str, list(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    raise ConfigError(f"A sweep cannot vary over a {type(value).__name__}. Use numbers, text, lists, dataclasses or NumPy arrays.")


def key_of(work: str, params: dict, seed: int) -> str:
    """The key of one point: work, parameters, seed and the code that would compute it."""
    return hashlib.sha256(f"{work}\n{canonical(params)}\n{seed}\n{code_version(work)}".encode("utf8", "surrogatepass")).hexdigest()


@lru_cache
def code_version(work: str) -> str:
    """A hash over the sources of the package that `work` ("module:function") lies in, of core.ran and the kernels, and over NumPy's version."""
    digest = hashlib.sha256(np.__version__.encode())
    package = work.partition(":")[0].rpartition(".")[0]
    for name in sorted({package, "core.ran", "cython_ext"} - {""}):
        spec = find_spec(name)
        for folder in spec.submodule_search_locations if spec and spec.submodule_search_locations else ():
            for path in sorted(p for p in Path(folder).iterdir() if p.suffix in (".py", ".pyx", ".h")):
                digest.update(f"{name}/{path.name}".encode())
                with contextlib.suppress(OSError):
                    digest.update(path.read_bytes())
    with contextlib.suppress(ImportError):
        from cython_ext import BACKEND
        digest.update(BACKEND.encode())
    return digest.hexdigest()

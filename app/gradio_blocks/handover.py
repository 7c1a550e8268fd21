"""Pictures on their way between a page and the picture editor in its iframe, under an unguessable name, in memory, for minutes."""

import threading
import time
from dataclasses import dataclass

from core.errors import LimitError

SECONDS_KEPT = 900
MOST_PICTURES = 64
MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class _Parcel:
    data: bytes
    owner: str
    since: float


class Counter:
    """A place where parcels are left and fetched: bounded in number, size and time."""

    def __init__(self) -> None:
        self._parcels: dict[str, _Parcel] = {}
        self._lock = threading.Lock()

    def leave(self, sid: str, data: bytes, owner: str) -> None:
        """Leave bytes under a name; a newer parcel replaces the older. Raises LimitError above 50 MB."""
        if len(data) > MOST_BYTES:
            raise LimitError(f"The edited picture takes {len(data) / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} MB is the limit. Cut out a smaller part.")
        with self._lock:
            self._parcels.pop(sid, None)
            self._expire()
            while len(self._parcels) >= MOST_PICTURES:
                del self._parcels[next(iter(self._parcels))]
            self._parcels[sid] = _Parcel(data, owner, time.monotonic())

    def fetch(self, sid: str) -> bytes | None:
        """The bytes under this name, which are gone from here then; None when there are none."""
        with self._lock:
            self._expire()
            parcel = self._parcels.pop(sid, None)
        return parcel.data if parcel else None

    def peek(self, sid: str) -> bytes | None:
        """The bytes under this name, which stay."""
        with self._lock:
            self._expire()
            return self._parcels[sid].data if sid in self._parcels else None

    def forget(self, owner: str) -> None:
        """Drop every parcel of this owner."""
        with self._lock:
            for sid in [s for s, parcel in self._parcels.items() if parcel.owner == owner]:
                del self._parcels[sid]

    def _expire(self) -> None:
        horizon = time.monotonic() - SECONDS_KEPT
        for sid in [s for s, parcel in self._parcels.items() if parcel.since < horizon]:
            del self._parcels[sid]


_to_editor, _to_page = Counter(), Counter()


def offer(sid: str, data: bytes, owner: str) -> None:
    """The page hands the editor the picture of this visitor to begin with."""
    _to_editor.leave(sid, data, owner)


def offered(sid: str) -> bytes | None:
    """The picture the page offered under this name, if any."""
    return _to_editor.peek(sid)


def put(sid: str, data: bytes, owner: str = "") -> None:
    """The editor hands its picture (PNG bytes) to the page."""
    _to_page.leave(sid, data, owner)


def take(sid: str) -> bytes | None:
    """The picture the editor sent under this name, once; None while there is none."""
    data = _to_page.fetch(sid)
    if data is not None:
        _to_editor.fetch(sid)
    return data


def forget(owner: str) -> None:
    """Drop every picture of this visitor."""
    _to_editor.forget(owner)
    _to_page.forget(owner)

"""Live speech: a microphone's blocks in over a WebSocket, restored in a worker process of their own, back a moment later; few places, bounded turns, nothing kept.

The browser says {"rate_hz": N}; the studio answers {"ready": ...}. Then float32 samples come in, and [seconds of a core, seconds of sound] with the restored samples go out.
A last {"over": "sentence", "fault": whether something went wrong} says why a turn has ended.
"""

import asyncio
import contextlib
import json
import logging
import struct
import time
from collections.abc import AsyncIterator
from concurrent.futures import BrokenExecutor

import numpy as np

from app.guard import visitor_of
from app.jobs import default_workers
from app.lanes import ProcessLane
from core.errors import BusyError, InputError, VitrineError, WorkerError

PATH = "/api/live"
SECONDS_OF_A_TURN = 180
SECONDS_UNHEARD = 5.0
"""Without sound for so long the page is taken for gone."""
SECONDS_TO_OPEN = 60.0
SECONDS_FOR_A_BLOCK = 10.0
SECONDS_KEPT_WARM = 120.0
"""How long a place keeps its worker for the next visitor."""
BLOCK_S = 0.15
"""New sound is restored in pieces of at least this; more when the machine was busy meanwhile."""
MOST_AT_ONCE_S, MOST_WAITING_S = 1.0, 4.0
"""Seconds of sound in one message, and before the worker."""
LIVE_NICENESS = 0
"""Before the worker processes of the job line: a voice cannot wait."""

_log = logging.getLogger("vitrine.live")


# ---- in the worker process

_streams: dict[str, object] = {}


def open_stream(session: str, rate_hz: int, progress) -> None:
    """Load the network and begin a stream; a worker has one at a time. Raises InputError, EngineError."""
    from core.speech.live import microphone

    _streams.clear()
    _streams[session] = microphone(rate_hz)


def feed_stream(session: str, block: bytes, progress) -> tuple[float, bytes]:
    """(seconds of a core, restored samples) for the next samples. Raises InputError."""
    begun = time.thread_time()
    made = _streams[session].feed(np.frombuffer(block, "<f4"))
    return time.thread_time() - begun, made.astype("<f4").tobytes()


# ---- in the server

class Place:
    """A seat before one worker process, which starts with the first visitor and goes some time after the last."""

    def __init__(self) -> None:
        self.visitor: str | None = None
        self.until = 0.0
        self.asked_to_leave, self.free = asyncio.Event(), asyncio.Event()
        self._lane: ProcessLane | None = None
        self._count = 0
        self._cooling: asyncio.TimerHandle | None = None

    def sit(self, visitor: str, seconds: float) -> None:
        """Take the place."""
        self.visitor, self.until = visitor, time.monotonic() + seconds
        self.asked_to_leave.clear()
        self.free.clear()
        self._count += 1
        if self._cooling:
            self._cooling.cancel()

    def rise(self) -> None:
        """Leave it to the next one; the worker stays for a while."""
        self.visitor = None
        self.free.set()
        self._cooling = asyncio.get_running_loop().call_later(SECONDS_KEPT_WARM, self.close)

    async def open(self, rate_hz: int) -> None:
        """A fresh stream. Raises InputError, EngineError, WorkerError."""
        if self._lane is None:
            self._lane = await asyncio.to_thread(ProcessLane, LIVE_NICENESS)
        await self._ask("app.live:open_stream", rate_hz, SECONDS_TO_OPEN)

    async def feed(self, block: bytes) -> tuple[float, bytes]:
        """What the worker makes of the next samples. Raises InputError, WorkerError."""
        return await self._ask("app.live:feed_stream", block, SECONDS_FOR_A_BLOCK)

    async def _ask(self, work: str, argument: object, seconds: float):
        try:
            future = self._lane.submit("live", work, (str(self._count), argument))
            state, value = await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except (BrokenExecutor, TimeoutError) as error:
            self.close()
            raise WorkerError("The process that restores live sound died or did not answer. Press the button to start a fresh one.") from error
        self._lane.reports()                                     # nobody looks at its progress; unread, it would fill the pipe
        if state == "crashed":
            _log.error("Live sound could not be restored:\n%s", value)
            raise WorkerError("The live sound could not be restored; the server's log has the details. Press the button to start again.")
        if state == "failed":
            raise value
        return value

    def close(self) -> None:
        """End the worker without waiting for it."""
        lane, self._lane = self._lane, None
        if lane is not None:
            with contextlib.suppress(RuntimeError):              # no loop any more: the worker leaves with its parent
                asyncio.get_running_loop().run_in_executor(None, lane.close)


class Places:
    """As many places as this machine restores for at once: one for every two cores."""

    def __init__(self, count: int | None = None, seconds: float = SECONDS_OF_A_TURN) -> None:
        self.seconds = seconds
        self._places = [Place() for _ in range(count or max(1, default_workers() // 2))]

    @contextlib.asynccontextmanager
    async def take(self, visitor: str) -> AsyncIterator[Place]:
        """A place for one turn; a visitor who has one already moves to the new page. Raises BusyError."""
        own = next((place for place in self._places if place.visitor == visitor), None)
        if own is not None:
            own.asked_to_leave.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(own.free.wait(), SECONDS_UNHEARD)
        place = next((place for place in self._places if place.visitor is None), None)
        if place is None:
            raise BusyError(self._taken())
        place.sit(visitor, self.seconds)
        try:
            yield place
        finally:
            place.rise()

    def _taken(self) -> str:
        left = max(1, round(min(place.until for place in self._places) - time.monotonic()))
        one = len(self._places) == 1
        return f"{'Another visitor is' if one else f'{len(self._places)} visitors are'} live, as many as this machine restores at once. A place is free in {left} s at the latest."

    def close(self) -> None:
        """End every worker."""
        for place in self._places:
            place.close()


async def converse(socket, places: Places) -> None:
    """One turn on an open WebSocket, from the greeting to the sentence at its end; a page that closes just ends it."""
    from starlette.websockets import WebSocketDisconnect

    await socket.accept()
    fault = False
    try:
        try:
            rate_hz = await asyncio.wait_for(_greeting(socket), SECONDS_UNHEARD)
            async with places.take(visitor_of(socket.headers.get("cookie", "")) or f"{id(socket)}") as place:
                await place.open(rate_hz)
                await socket.send_json({"ready": {"seconds": places.seconds}})
                over = await _turn(socket, place, rate_hz, places.seconds)
        except VitrineError as error:
            over, fault = str(error), True
        await socket.send_json({"over": over, "fault": fault})
        await socket.close()
    except (WebSocketDisconnect, RuntimeError, TimeoutError):    # RuntimeError: sent to a page that has gone meanwhile
        pass


async def _greeting(socket) -> int:
    try:
        rate_hz = json.loads(await socket.receive_text())["rate_hz"]
    except (ValueError, KeyError, TypeError):
        rate_hz = None
    if not isinstance(rate_hz, int) or not 8_000 <= rate_hz <= 192_000:
        raise InputError(f"A live microphone says its rate first, 8,000 to 192,000 Hz, not {str(rate_hz)[:20]!r}. Reload the page.")
    return rate_hz


async def _turn(socket, place: Place, rate_hz: int, seconds: float) -> str:
    """Restore until somebody ends it; returns the sentence. Raises VitrineError, WebSocketDisconnect."""
    held = Held(rate_hz)
    tasks = [asyncio.create_task(task) for task in (_listen(socket, held), _answer(socket, place, held, int(BLOCK_S * rate_hz), rate_hz), place.asked_to_leave.wait())]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done & set(tasks[:2]):
            task.result()
        return "Live mode goes on in your other tab." if done else f"Your turn of {seconds / 60:g} minutes is over. Press the button for another one."
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Held:
    """Samples that have come and wait for the worker."""

    def __init__(self, rate_hz: int) -> None:
        self._parts, self._samples, self._rate_hz, self._more = [], 0, rate_hz, asyncio.Event()

    def put(self, part: bytes) -> None:
        """Add float32 samples. Raises InputError where they are none, BusyError where too many wait."""
        if len(part) % 4 or len(part) > 4 * MOST_AT_ONCE_S * self._rate_hz:
            raise InputError(f"A block of live sound had {len(part):,} bytes; float32 samples of at most {MOST_AT_ONCE_S:g} s are taken. Reload the page.")
        if self._samples > MOST_WAITING_S * self._rate_hz:
            raise BusyError(f"This machine is too busy to restore in time: {MOST_WAITING_S:g} s of sound wait. Try again when less is going on.")
        self._parts.append(part)
        self._samples += len(part) // 4
        self._more.set()

    async def take(self, least: int) -> bytes:
        """All that waits, once it is at least so many samples."""
        while self._samples < least:
            self._more.clear()
            await self._more.wait()
        parts, self._parts, self._samples = self._parts, [], 0
        return b"".join(parts)


async def _listen(socket, held: Held) -> None:
    while True:
        try:
            held.put(await asyncio.wait_for(socket.receive_bytes(), SECONDS_UNHEARD))
        except TimeoutError:
            raise InputError(f"No sound has come from the microphone for {SECONDS_UNHEARD:g} s, so live mode has stopped. Press the button to start again.") from None
        except KeyError:
            raise InputError("Live sound comes as float32 samples, not as text. Reload the page.") from None


async def _answer(socket, place: Place, held: Held, least: int, rate_hz: int) -> None:
    while True:
        block = await held.take(least)
        seconds, made = await place.feed(block)
        await socket.send_bytes(struct.pack("<ff", seconds, len(block) / 4 / rate_hz) + made)

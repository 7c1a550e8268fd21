"""Live speech over its WebSocket: sound comes back in step, places and turns are bounded, every end is a sentence; then the running studio with its network."""

import contextlib
import json
import socket as sockets
import struct
import threading
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import core.speech.live
from app import lanes, live
from app.guard import COOKIE, new_token

RATE_HZ = 48_000
GREETING = json.dumps({"rate_hz": RATE_HZ})


class ThreadLane:
    """A lane in a thread of this process; its workers die when told."""

    dies = False

    def __init__(self, niceness: int) -> None:
        self.executor = ThreadPoolExecutor(1)

    def submit(self, key, work, arguments):
        if ThreadLane.dies:
            raise BrokenExecutor
        return self.executor.submit(lanes.perform, key, work, arguments)

    def reports(self):
        return []

    def close(self):
        self.executor.shutdown(wait=False)


@pytest.fixture
def serve(monkeypatch):
    """serve(seconds) -> the address of live mode over a model that changes nothing, with one place."""
    monkeypatch.setattr(live, "ProcessLane", ThreadLane)
    monkeypatch.setattr(ThreadLane, "dies", False)
    monkeypatch.setattr(core.speech.live, "microphone", lambda rate_hz: core.speech.live.Stream(lambda wave: wave, rate_hz))
    with contextlib.ExitStack() as ends:
        yield lambda seconds=60.0: ends.enter_context(_served(live.Places(1, seconds)))


@contextlib.contextmanager
def _served(places):
    port = sockets.socket()
    port.bind(("127.0.0.1", 0))
    app = Starlette(routes=[WebSocketRoute(live.PATH, partial(live.converse, places=places))])
    server = uvicorn.Server(uvicorn.Config(app, ws="websockets-sansio", log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs=dict(sockets=[port]), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"ws://127.0.0.1:{port.getsockname()[1]}{live.PATH}"
    server.should_exit = True
    thread.join(10)


@contextlib.contextmanager
def enter(address: str, visitor: str | None = None, greeting: str | bytes = GREETING):
    """An open socket of a visitor who has said hello."""
    with connect(address, additional_headers={"Cookie": f"{COOKIE}={visitor or new_token()}"}, open_timeout=20) as line:
        line.send(greeting)
        yield line


def told(line) -> dict:
    """The next thing that is said in words."""
    while isinstance(heard := line.recv(timeout=30), bytes):
        pass
    return json.loads(heard)


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(5).standard_normal(int(seconds * RATE_HZ))).astype("<f4")


def test_sound_comes_back_sample_by_sample(serve):
    sound, made, costs = noise(1.0), np.zeros(0, np.float32), []
    with enter(serve()) as line:
        assert told(line) == {"ready": {"seconds": 60.0}}
        for packet in np.split(sound, 50):
            line.send(packet.tobytes())
        while len(made) < 0.8 * RATE_HZ - 1:
            part = line.recv(timeout=30)
            costs.append(struct.unpack("<ff", part[:8]))
            made = np.concatenate([made, np.frombuffer(part, "<f4", offset=8)])
    assert np.allclose(made, sound[:len(made)], atol=1e-6)
    assert all(core_s >= 0 and sound_s >= live.BLOCK_S - 1e-6 for core_s, sound_s in costs)


@pytest.mark.parametrize("greeting", ["hello", "{}", '{"rate_hz": "48000"}', '{"rate_hz": 1000}', b"\0\0\0\0"])
def test_a_greeting_that_is_none_is_a_sentence(serve, greeting):
    with enter(serve(), greeting=greeting) as line:
        assert told(line)["over"].startswith("A live microphone says its rate first, 8,000 to 192,000 Hz, not ")


@pytest.mark.parametrize("block, said", [
    (b"abc", "had 3 bytes"), (noise(1.2).tobytes(), "at most 1 s"), (np.full(9600, np.nan, "<f4").tobytes(), "finite samples"), ("words", "float32 samples, not as text")])
def test_sound_that_is_none_is_a_sentence_and_frees_the_place(serve, block, said):
    address = serve()
    with enter(address) as line:
        assert "ready" in told(line)
        line.send(block)
        end = told(line)
        assert said in end["over"] and end["fault"]
    with enter(address) as line:
        assert "ready" in told(line)


def test_a_taken_place_is_a_sentence_and_leaving_frees_it(serve):
    address = serve()
    with enter(address) as first:
        assert "ready" in told(first)
        with enter(address) as second:
            end = told(second)
            assert end["over"].startswith("Another visitor is live, as many as this machine restores at once. A place is free in ") and end["fault"]
    end = time.monotonic() + 20
    while True:
        with enter(address) as third:
            if "ready" in (said := told(third)):
                break
        assert time.monotonic() < end, said
        time.sleep(0.05)


def test_a_second_tab_takes_over_from_the_first(serve):
    address, visitor = serve(), new_token()
    with enter(address, visitor) as first:
        assert "ready" in told(first)
        with enter(address, visitor) as second:
            assert told(first) == {"over": "Live mode goes on in your other tab.", "fault": False}
            assert "ready" in told(second)


def test_a_turn_ends(serve):
    with enter(serve(0.3)) as line:
        assert "ready" in told(line)
        assert told(line) == {"over": "Your turn of 0.005 minutes is over. Press the button for another one.", "fault": False}


def test_a_page_that_has_fallen_silent_loses_its_place(serve, monkeypatch):
    monkeypatch.setattr(live, "SECONDS_UNHEARD", 0.2)
    with enter(serve()) as line:
        assert "ready" in told(line)
        assert told(line)["over"].startswith("No sound has come from the microphone for 0.2 s")


def test_a_machine_that_does_not_keep_up_says_so(serve, monkeypatch):
    stuck = threading.Event()
    monkeypatch.setattr(live, "MOST_WAITING_S", 0.5)
    monkeypatch.setattr(core.speech.live, "microphone", lambda rate_hz: core.speech.live.Stream(lambda wave: stuck.wait(30) and wave or wave, rate_hz))
    with enter(serve()) as line:
        assert "ready" in told(line)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(8):
                line.send(noise(0.2).tobytes())
        assert told(line)["over"].startswith("This machine is too busy to restore in time: 0.5 s of sound wait.")
        stuck.set()


def test_a_worker_that_dies_or_crashes_is_a_sentence_and_the_next_turn_has_a_fresh_one(serve, monkeypatch):
    address = serve()
    ThreadLane.dies = True
    with enter(address) as line:
        assert told(line)["over"].startswith("The process that restores live sound died")
    ThreadLane.dies = False
    with monkeypatch.context() as broken:
        broken.setattr(core.speech.live, "microphone", lambda rate_hz: 1 / 0)
        with enter(address) as line:
            assert told(line)["over"].startswith("The live sound could not be restored; the server's log")
    with enter(address) as line:
        assert "ready" in told(line)


def test_the_studio_restores_live_with_its_network_and_refuses_foreign_pages(studio):
    address = f"ws://127.0.0.1:{studio.port}{live.PATH}"
    with pytest.raises(InvalidStatus), connect(address, origin="http://evil.example"):
        pass
    sound = noise(1.0)
    with connect(address, origin=studio.url, open_timeout=30) as line:
        line.send(GREETING)
        ready = json.loads(line.recv(timeout=90))
        assert ready == {"ready": {"seconds": live.SECONDS_OF_A_TURN}}
        line.send(sound.tobytes())
        part = line.recv(timeout=60)
        made = np.frombuffer(part, "<f4", offset=8)
        assert len(made) == int(0.88 * RATE_HZ) and struct.unpack("<ff", part[:8])[0] > 0
        assert 0 < made.std() < 0.3 * sound.std()                                  # noise goes

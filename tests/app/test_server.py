"""The server as a process: port first, then ready; nothing looked up; plain refusals; a quick and clean end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from websockets.sync.client import connect

from app import server
from tests.app.studio import Studio, free_port
from tests.app.ws_client import Visitor

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pids, seconds=15) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


async def first_page(url):
    async with Visitor(url) as visitor:
        return await visitor.run()


def test_the_port_opens_before_the_widgets_are_there(tmp_path):
    fresh = Studio(tmp_path / "s", "--workers", "1", "--mode", "projector")
    try:
        early = fresh.wait(ready=False)
        assert not early["ready"] and "widgets" in early["loading"]
        with pytest.raises(urllib.error.HTTPError) as loading:
            urllib.request.urlopen(f"{fresh.url}/widgets/table/", timeout=20)
        page = loading.value.read().decode()
        assert loading.value.code == 503 and "still loading" in page and "refresh" in page
        with urllib.request.urlopen(fresh.url, timeout=20) as home:
            assert home.status == 200
        said = fresh.wait()
        assert said["ready"] and said["loading"] == [] and said["failed"] == {}
        with urllib.request.urlopen(f"{fresh.url}/widgets/table/", timeout=20) as widget:
            assert widget.status == 200
        home = asyncio.run(first_page(fresh.url))
        assert home.ok and home.shows("#4CC3D6") and not home.shows("#00707F")  # a projector is dark
        assert fresh.log.read_text().strip() == f"Vitrine is at {fresh.url}"
        assert {host for _, host in fresh.spied()} <= {"127.0.0.1", "localhost", "::1", "None", ""}
    finally:
        assert fresh.stop() == 0
    assert list((tmp_path / "s" / "home" / "passing").iterdir()) == []


def test_the_spy_would_see_a_look_up(tmp_path):
    folder = tmp_path / "spy"
    folder.mkdir()
    from tests.app.studio import SPY

    (folder / "sitecustomize.py").write_text(SPY)
    code = ("import socket, multiprocessing as m\n"
            "try: socket.create_connection(('127.0.0.9', 1), 0.1)\nexcept OSError: pass\n"
            "try: socket.getaddrinfo('nowhere.invalid', 80)\nexcept OSError: pass\n")
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(folder), "STUDIO_SPY": str(tmp_path / "log")}, check=True)
    seen = (tmp_path / "log").read_text()
    assert "getaddrinfo\tnowhere.invalid" in seen and "connect\t127.0.0.9" in seen


def test_health_says_what_the_studio_is_made_of(studio):
    said = studio.health()
    assert said["ready"] and said["exhibits"][0] == "table" and said["kernel_backend"] in ("compiled", "numpy", "reference", "python")
    assert said["queue"] == {"workers": 1, "waiting": 0, "running": 0, "limit": 32}
    assert said["versions"]["python"] == sys.version.split()[0]


def test_a_taken_port_is_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run([sys.executable, "-m", "app.server", "--port", str(port)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.strip() == f"Port {port} on 127.0.0.1 cannot be opened: Address already in use. Say another with --port (or --host)."


def test_a_port_that_cannot_be_is_a_sentence():
    assert "Ports are" in (server._cannot_bind("127.0.0.1", 70000) or "").replace("ports", "Ports")


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path):
    pytest.importorskip("distributed", reason="distributed is in the test requirements only")
    ended = subprocess.run([sys.executable, "-m", "app.server", "--port", str(free_port()), "--cluster", "tcp://127.0.0.1:9"], cwd=ROOT,
                           capture_output=True, text=True, timeout=90, env={**os.environ, "VITRINE_HOME": str(tmp_path)})
    assert ended.returncode == 2 and ended.stderr.strip().splitlines()[-1].startswith("No Dask scheduler answers at tcp://127.0.0.1:9.")


@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_in_order(tmp_path, number):
    fresh = Studio(tmp_path / "s", "--workers", "2")
    fresh.wait()
    workers = fresh.children()
    assert len(workers) >= 2
    with connect(f"ws://127.0.0.1:{fresh.port}/_stcore/stream", origin=fresh.url, subprotocols=["streamlit"]):
        stream = urllib.request.urlopen(f"{fresh.url}/widgets/table/gradio_api/heartbeat/abc", timeout=20)  # a stream that never ends by itself
        assert fresh.stop(number) == 0
        stream.close()
    assert gone(workers)
    assert "Traceback" not in fresh.log.read_text()


@LINUX
def test_a_killed_server_leaves_no_worker(tmp_path):
    fresh = Studio(tmp_path / "s", "--workers", "1")
    fresh.wait()
    workers = fresh.children()
    assert fresh.stop(signal.SIGKILL) == -signal.SIGKILL and workers and gone(workers)


@pytest.mark.parametrize("argv, theme, size", [
    ([], "light", 16), (["--mode", "projector"], "dark", 20), (["--mode", "booth"], "light", 22), (["--theme", "dark"], "dark", 16)])
def test_mode_and_theme(argv, theme, size):
    said = server.config(server.arguments(argv))
    assert said["theme.base"] == f".streamlit/theme_{theme}.toml" and said["theme.baseFontSize"] == size and said["server.address"] == "127.0.0.1"


def test_further_names_come_from_the_option_and_the_environment(monkeypatch):
    monkeypatch.setenv("VITRINE_HOSTS", "a.local, b.local")
    assert server.arguments(["--allow-host", "c.local"]).allow_host == ["c.local", "a.local", "b.local"]


def test_addresses_to_print():
    assert server.address("0.0.0.0", 1) == "http://localhost:1" and server.address("::1", 2) == "http://[::1]:2" and server.address("10.0.0.5", 3) == "http://10.0.0.5:3"


def test_old_passing_files_are_swept(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    os.utime(tmp_path / "old", (1, 1))
    server._sweep_passing(tmp_path)
    assert [place.name for place in tmp_path.iterdir()] == ["new"]

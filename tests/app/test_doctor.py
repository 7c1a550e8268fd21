"""The doctor: every section says something, nothing that is broken stops the others, and each missing thing has its way out."""

import http.server
import json
import socket
import threading
from pathlib import Path

import pytest

from app import doctor


@pytest.mark.parametrize("title, look", doctor.SECTIONS, ids=[title for title, _ in doctor.SECTIONS])
def test_every_section_has_facts_and_every_gap_a_way_out(title, look) -> None:
    facts = doctor.examine(look)
    assert facts and not [fact.text for fact in facts if "could not be examined" in fact.text]
    assert all(fact.fine or fact.way_out or title == "Kernels" for fact in facts)


def test_a_look_that_breaks_is_a_line_and_the_rest_goes_on(monkeypatch, capsys) -> None:
    def breaks():
        yield doctor.Fact(True, "first")
        raise OSError("the disk is gone")

    monkeypatch.setattr(doctor, "SECTIONS", (("Broken", breaks), ("Python", doctor.python)))
    assert doctor.main() == 0
    told = capsys.readouterr().out
    assert "ok  first" in told and "--  could not be examined: OSError: the disk is gone" in told and "ok  Python 3" in told


def test_missing_programs_are_named_with_their_debian_package(monkeypatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    lines = [str(fact) for look in (doctor.tools, doctor.readers, doctor.browser) for fact in look()]
    assert sum("sudo apt install" in line for line in lines) == 3


def test_another_packages_version_is_named(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for lock in ("requirements.txt", "tests/requirements.txt"):
        (tmp_path / lock).write_text("numpy==0.0.1 \\\n    --hash=sha256:0\nabsent-here==1.0 ; sys_platform == 'nowhere' \\\n", "utf8")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    first = str(next(iter(doctor.packages())))
    assert first.startswith("  --  requirements.txt: 0 of 1 pinned packages; missing or another version: numpy. ")


class Health(http.server.BaseHTTPRequestHandler):
    """Answers as a studio does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"ready": True}).encode())

    def log_message(self, *_) -> None:
        """Say nothing on standard error."""


@pytest.mark.parametrize("kind", ["nobody", "a studio", "another program"])
def test_the_port_says_who_answers(monkeypatch, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(doctor, "PORT", listener.getsockname()[1])
        if kind == "another program":
            threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
            fact = next(iter(doctor.port()))
            assert not fact.fine and "another program" in fact.text and "--port" in fact.way_out
    if kind == "nobody":
        assert "is free" in next(iter(doctor.port())).text
    if kind == "a studio":
        with http.server.ThreadingHTTPServer(("127.0.0.1", doctor.PORT), Health) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            assert "a studio answers, ready" in next(iter(doctor.port())).text
            server.shutdown()


def _hang_up(listener: socket.socket) -> None:
    for _ in range(2):
        listener.accept()[0].close()


def test_the_data_directory_is_the_one_runs_use(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path / "runs"))
    line = str(next(iter(doctor.storage())))
    assert line == f"  ok  data directory {tmp_path / 'runs'} (made when first needed): writable"


def test_a_data_directory_that_is_a_file_is_not_writable(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path / "file"))
    line = str(next(iter(doctor.storage())))
    assert "not writable. Set VITRINE_HOME" in line

"""The doctor: what this machine has, one fact a line, and the way out where something is missing; works before anything is installed."""

import importlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PORT = 8501
RAPIDOCR_MODELS = ("det", "rec", "cls")
NOTABLE_FLAGS = ("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")


@dataclass(frozen=True)
class Fact:
    """One line: whether it is as wanted, what was found, and what to do about it otherwise."""

    fine: bool
    text: str
    way_out: str = ""

    def __str__(self) -> str:
        return f"  {'ok' if self.fine else '--'}  {self.text}" + (f". {self.way_out}" if self.way_out and not self.fine else "")


def _output(*argv: str) -> str | None:
    """What a program prints, standard output before error; None where it is missing, fails or hangs."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout.strip() or done.stderr.strip()) if done.returncode == 0 else None


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version of a lock file, without the lines whose marker names another Python or system."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+) *(;?)", lock.read_text("utf8"), re.M)
    return {name: version for name, version, marker in found if not marker or _version(name)}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def python() -> Iterator[Fact]:
    """The interpreter that looks."""
    inside = sys.prefix != sys.base_prefix
    yield Fact(sys.version_info >= (3, 11), f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}",
               "Vitrine needs 3.11 or later")
    yield Fact(inside, "looking from the environment in .venv" if inside else "looking from outside .venv", "`python3 launch.py` makes it")


def packages() -> Iterator[Fact]:
    """What of the locks is installed, torch, and whether the two OpenCV wheels stand in each other's way."""
    for lock, way_out in (("requirements.txt", "`python3 launch.py` installs them"), ("tests/requirements.txt", "`python3 launch.py test` installs them")):
        wanted = pinned(ROOT / lock)
        off = [name for name, version in wanted.items() if _version(name) != version]
        shown = f"; missing or another version: {', '.join(off[:6])}{' ...' if len(off) > 6 else ''}" if off else ""
        yield Fact(not off, f"{lock}: {len(wanted) - len(off)} of {len(wanted)} pinned packages{shown}",
                   way_out + "; where it stamped them already, delete .venv/stamps first")
    torch = _version("torch")
    cuda = any(d.name.lower().startswith("nvidia-") for d in importlib.metadata.distributions() if d.name)
    build = ", with the CUDA libraries (several GB; VITRINE_TORCH_INDEX names an index with the CPU build)" if cuda else ""
    yield Fact(bool(torch), f"torch {torch}{build}" if torch else "torch is not installed",
               "`python3 launch.py` installs it; VITRINE_TORCH_INDEX or pip's own settings say from which index")
    both = bool(_version("opencv-python") and _version("opencv-python-headless"))
    yield Fact(not both, "two OpenCV wheels share the folder cv2" if both else "one OpenCV wheel, or none", "Delete .venv and start again: only opencv-python-headless belongs here")


def tools() -> Iterator[Fact]:
    """What the kernels are compiled with."""
    name = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    compiler = shutil.which(name)
    line = (_output(compiler, "--version") or name).splitlines()[0] if compiler else f"no C compiler ({name})"
    yield Fact(bool(compiler), line, "The NumPy twins run, slower. Debian: sudo apt install gcc libc6-dev")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    yield Fact(header.exists(), "Python.h" if header.exists() else f"no Python.h in {header.parent}", "The NumPy twins run, slower. Debian: sudo apt install python3-dev")


def processor() -> Iterator[Fact]:
    """The processor and the instruction sets the kernels' clones choose from."""
    text = ""
    if Path("/proc/cpuinfo").exists():
        text = Path("/proc/cpuinfo").read_text("utf8", "replace")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.M)
    have = set(flags[1].split()) if flags else set()
    shown = [flag for flag in NOTABLE_FLAGS if flag in have]
    yield Fact(True, f"{model[1] if model else platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    yield Fact(True, f"instruction sets: {' '.join(shown)}" if shown else "instruction sets: this system does not list them")


def kernels() -> Iterator[Fact]:
    """Compiled kernels or NumPy twins, and why."""
    if not find_spec("numpy"):
        yield Fact(False, "kernels: NumPy is not installed", "`python3 launch.py` installs it")
        return
    ours = importlib.import_module("cython_ext")
    yield Fact(not ours.MISSING, f"kernels: {ours.BACKEND}")
    for reason in dict.fromkeys(ours.MISSING.values()):
        yield Fact(False, f"twin in use for {', '.join(name for name, why in ours.MISSING.items() if why == reason)}: {reason.rstrip('.')}")


def readers() -> Iterator[Fact]:
    """The text readers and the models they bring."""
    found = find_spec("rapidocr")
    folder = Path(found.origin).parent / "models" if found and found.origin else None
    models = sorted(p.name for p in folder.glob("*.onnx")) if folder else []
    whole = all(any(f"_{part}_" in f"_{name}" or f"_{part}." in name for name in models) for part in RAPIDOCR_MODELS)
    yield Fact(bool(models) and whole, f"RapidOCR {_version('rapidocr')}, models in its wheel: {', '.join(models)}" if models else "RapidOCR is not installed",
               "`python3 launch.py` installs it")
    program = shutil.which("tesseract")
    version = (_output(program, "--version") or "tesseract").splitlines()[0] if program else "tesseract is not installed (optional)"
    yield Fact(bool(program), version, "Debian: sudo apt install tesseract-ocr")
    if program:
        languages = [line for line in (_output(program, "--list-langs") or "").splitlines() if line and ":" not in line]
        yield Fact(bool(languages), f"tesseract reads: {', '.join(languages) or 'no language'}", "Debian: sudo apt install tesseract-ocr-eng")


def weights() -> Iterator[Fact]:
    """Trained models that came with the repository."""
    folder = ROOT / "assets" / "weights"
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".md", ".txt") and not p.name.startswith(".")) if folder.is_dir() else []
    total = sum(p.stat().st_size for p in files)
    listed = ", ".join(f"{p.name} {p.stat().st_size / 1e6:.1f} MB" for p in files)
    yield Fact(True, f"weights: {listed} (together {total / 1e6:.1f} MB)" if files else "weights: none in this version; no exhibit needs any")


def browser() -> Iterator[Fact]:
    """The browser of the end-to-end tests."""
    names = (os.environ.get("VITRINE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    version = (_output(found, "--version") or found).splitlines()[0] if found else "no Chromium (only the browser tests need it)"
    yield Fact(bool(found), version, "Debian: sudo apt install chromium, or set VITRINE_CHROMIUM to a browser")


def port() -> Iterator[Fact]:
    """Who answers on the default port."""
    import socket

    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex(("127.0.0.1", PORT)) == 0
    if not taken:
        yield Fact(True, f"port {PORT} is free")
        return
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{PORT}/api/health", timeout=3) as answer:
            health = json.load(answer)
        yield Fact(True, f"port {PORT}: a studio answers, {'ready' if health.get('ready') else 'loading'}")
    except (OSError, ValueError, AttributeError):
        yield Fact(False, f"port {PORT} is taken by another program", "Stop it, or use `python3 launch.py --port 8502`")


def _data_home() -> Path | None:
    """Where runs live; None before the packages that know the user's data folder are there."""
    try:
        return importlib.import_module("app.runs").home()
    except ImportError:
        return None


def storage() -> Iterator[Fact]:
    """The data directory, its free space, and the shared data sets."""
    home = _data_home()
    if home is None:
        yield Fact(False, "data directory: not known before the packages stand", "`python3 launch.py` installs them")
    else:
        stands = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
        free = shutil.disk_usage(stands).free
        writable = stands.is_dir() and os.access(stands, os.W_OK | os.X_OK)
        yield Fact(writable, f"data directory {home}{'' if home.exists() else ' (made when first needed)'}: {'writable' if writable else 'not writable'}",
                   "Set VITRINE_HOME to a folder of yours")
        yield Fact(free > 1e9, f"{free / 1e9:.1f} GB free there", "Runs may not be saved: free some space or set VITRINE_HOME to a larger disk")
    shared = Path(os.environ.get("VITRINE_DATA") or ROOT.parent / "shared" / "data")
    yield Fact(shared.is_dir(), f"shared data {'in ' + str(shared) if shared.is_dir() else 'is absent (benchmarks and some tests need it)'}", "Set VITRINE_DATA to its folder")


SECTIONS: tuple[tuple[str, Callable[[], Iterator[Fact]]], ...] = (
    ("Python", python), ("Packages", packages), ("Processor", processor), ("Compiler", tools), ("Kernels", kernels),
    ("Text readers", readers), ("Models", weights), ("Browser", browser), ("Port", port), ("Storage", storage),
)
INSIDE_ONLY = (packages, kernels)
"""Sections that would describe another Python's packages when looked at from outside the environment."""


def examine(look: Callable[[], Iterator[Fact]]) -> list[Fact]:
    """The facts of one section; a look that breaks is a fact too, and the others go on."""
    facts: list[Fact] = []
    try:
        facts.extend(look())
    except Exception as error:  # the doctor is asked when things are broken: whatever breaks here is worth a line
        facts.append(Fact(False, f"could not be examined: {type(error).__name__}: {error}"))
    return facts


def main(argv: Sequence[str] = ()) -> int:
    """Print every section. Exit code 0, whatever is missing; 1 for a Python that cannot run the studio."""
    for title, look in SECTIONS:
        if look in INSIDE_ONLY and sys.prefix == sys.base_prefix:
            continue
        print(title)
        for fact in examine(look):
            print(fact, flush=True)
    return 0 if sys.version_info >= (3, 11) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

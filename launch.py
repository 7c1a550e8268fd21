"""The one door: sets up what is missing, then serves the studio, tests it, runs one exhibit, measures it or says what this machine has.

Standard library only, Python 3.11 or later. Everything it makes lies in .venv; deleting that folder undoes it all.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Vitrine needs Python 3.11 or later, and this is Python %d.%d. Start it with a newer one: python3.11 launch.py" % sys.version_info[:2])

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
WINDOWS = os.name == "nt"
QUIET_LINE_EVERY_S = 15.0

USAGE = """\
Vitrine: a live showcase for research systems.

  python3 launch.py [serve] [--host H] [--port P] [--mode laptop|projector|booth] [--booth]
                    [--theme light|dark] [--workers N] [--cluster ADDRESS]
                    [--allow-host NAME]...                                       serve the studio (the default)
  python3 launch.py run SLUG INPUT... --out DIR [--set key=value ...]            run one exhibit without a browser
  python3 launch.py bench SLUG [--json FILE]                                     measure it against its rivals
  python3 launch.py train MODEL [options]                                        train or resume a model
  python3 launch.py test [pytest arguments]                                      run the tests
  python3 launch.py doctor                                                       what this machine has

The first start installs the pinned packages into .venv and builds the kernels; what stands is not done again, and a
set-up that was interrupted goes on where it stopped.
  wheelhouse/            a folder of this name, filled with wheels, is used instead of the network
  VITRINE_TORCH_INDEX    the package index that torch comes from (pip's own settings hold otherwise)
  VITRINE_HOME           where the studio keeps its runs
"""


class SetupFailed(Exception):
    """A step of the set-up did not end well; the message says what, shows the last lines and the way out."""


# ---------------------------------------------------------------- the environment and what stands in it

def python_of(root: Path) -> Path:
    """The interpreter of the environment, whether or not it exists."""
    return root / ".venv" / ("Scripts/python.exe" if WINDOWS else "bin/python")


def clean_environment(root: Path) -> dict[str, str]:
    """The variables children get: the repository importable from any folder, and nothing that sends pip elsewhere."""
    env = {k: v for k, v in os.environ.items() if k not in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONHOME")}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), env.get("PYTHONPATH"))))
    env["PYTHONUNBUFFERED"] = "1"
    return env


def site_packages(root: Path) -> Path | None:
    """The folder pip installs into, or None while there is no environment."""
    return next((root / ".venv").glob("Lib/site-packages" if WINDOWS else "lib/python3*/site-packages"), None)


def installed(root: Path) -> int:
    """Number of packages that stand complete: pip writes INSTALLER last but one, so a torn package has none."""
    folder = site_packages(root)
    return sum(1 for _ in folder.glob("*.dist-info/INSTALLER")) if folder else 0


def clear_torn_packages(root: Path) -> None:
    """Remove what a killed pip leaves: a half-written package passes for an installed one, and a half-removed one is named ~ackage."""
    folder = site_packages(root)
    if folder is None:
        return
    torn = [p for p in folder.glob("*.dist-info") if not (p / "INSTALLER").exists()]
    for path in torn + list(folder.glob("~*")):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def venv_version(root: Path) -> str:
    """The version line of the environment ("3.11.7"), empty if there is none."""
    with contextlib.suppress(OSError):
        for line in (root / ".venv" / "pyvenv.cfg").read_text("utf8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() in ("version", "version_info"):
                return value.strip()
    return ""


def compiler_found() -> str | None:
    """The path of the C compiler the kernels would be built with, or None."""
    return shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0])


def python_header() -> Path:
    """Where Python.h of this interpreter lies if its development files are installed."""
    return Path(sysconfig.get_path("include")) / "Python.h"


def locked(lock: Path) -> int:
    """How many packages a lock file pins."""
    return sum("==" in line and line[:1].isalnum() for line in lock.read_text("utf8").splitlines())


# ---------------------------------------------------------------- steps

@dataclass(frozen=True)
class Step:
    """One step of the set-up, done again only when what goes into it changes.

    name      the stamp's file name
    title     what a visitor reads
    inputs    everything the result depends on
    work      does it, given a function that runs one child process; raises SetupFailed
    products  glob of the files it makes: one that has gone since means doing it again
    """

    name: str
    title: str
    inputs: Callable[[Path], Sequence[bytes]]
    work: Callable[[Path, "Runner"], None]
    products: str = ""

    def fingerprint(self, root: Path) -> str:
        digest = hashlib.sha256()
        for part in self.inputs(root):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    def stamp(self, root: Path) -> Path:
        return root / ".venv" / "stamps" / self.name

    def fresh(self, root: Path) -> bool:
        """True if the stamp says so and what it lists is there."""
        try:
            first, *made = self.stamp(root).read_text("utf8").splitlines()
            return first == self.fingerprint(root) and all((root / path).exists() for path in made)
        except (OSError, ValueError):
            return False

    def done(self, root: Path) -> None:
        """Write the stamp, whole or not at all."""
        made = sorted(p.relative_to(root).as_posix() for p in root.glob(self.products)) if self.products else []
        stamp = self.stamp(root)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        part = stamp.with_suffix(".part")
        part.write_text("\n".join([self.fingerprint(root), *made]) + "\n", "utf8")
        part.replace(stamp)


def _usable(root: Path, env: dict[str, str]) -> bool:
    """True if an environment without a stamp (made by hand) can be taken over: new enough, whole, with a pip that answers."""
    version = tuple(int(n) for n in venv_version(root).split(".")[:2] if n.isdigit())
    if version < (3, 11) or (root / ".venv" / "unfinished").exists() or not python_of(root).exists():
        return False
    with contextlib.suppress(OSError):
        return subprocess.run([python_of(root), "-m", "pip", "--version"], env=env, capture_output=True).returncode == 0
    return False


def make_venv(root: Path, runner: "Runner") -> None:
    """Create .venv, or clear a half-made one and create it anew; the lock, the log and the mark that it is unfinished stay."""
    venv, env = root / ".venv", clean_environment(root)
    mark = venv / "unfinished"
    if _usable(root, env):
        return
    mark.touch()
    for path in venv.iterdir():
        if path.name not in ("launch.lock", "launch.log", "unfinished"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    runner([getattr(sys, "_base_executable", None) or sys.executable, "-m", "venv", str(venv)])
    mark.unlink()


def _pip(root: Path, *arguments: str) -> list[str]:
    wheels = root / "wheelhouse"
    offline = ["--no-index", "--find-links", str(wheels)] if wheels.is_dir() else []
    return [str(python_of(root)), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
            "--no-warn-script-location", *offline, *arguments]


def pip_lock(name: str) -> Callable[[Path, "Runner"], None]:
    """A step's work: install exactly what a lock file pins, each file checked against its hash."""
    def work(root: Path, runner: "Runner") -> None:
        clear_torn_packages(root)
        runner(_pip(root, "--no-deps", "--require-hashes", "-r", name), packages=locked(root / name))
    return work


def pip_torch(root: Path, runner: "Runner") -> None:
    """Install torch: its build differs per machine, so it has no hash; what it shares with the lock is already there and stays."""
    clear_torn_packages(root)
    index = os.environ.get("VITRINE_TORCH_INDEX")
    runner(_pip(root, TORCH, *(["--index-url", index] if index else [])), packages=0)


def build_kernels(root: Path, runner: "Runner") -> None:
    """Compile the kernels; without a compiler the builder says why and the NumPy twins run instead."""
    runner([str(python_of(root)), "-m", "cython_ext.build", "--optional"], tell=True)


def _kernel_inputs(root: Path) -> list[bytes]:
    sources = sorted(p for p in (root / "cython_ext").glob("*") if p.suffix in (".pyx", ".pxd", ".h") or p.name == "build.py")
    tools = f"{venv_version(root)} {compiler_found()} {python_header().exists()}"
    return [tools.encode(), *(part for p in sources for part in (p.name.encode(), p.read_bytes()))]


def _lock_inputs(name: str) -> Callable[[Path], list[bytes]]:
    return lambda root: [venv_version(root).encode(), (root / name).read_bytes()]


ENVIRONMENT = Step("environment", "Python environment in .venv", lambda root: [venv_version(root).encode()], make_venv,
                   products=".venv/Scripts/python.exe" if WINDOWS else ".venv/bin/python")
PACKAGES = Step("packages", "Packages", _lock_inputs("requirements.txt"), pip_lock("requirements.txt"))
TORCH_STEP = Step("torch", "PyTorch", lambda root: [venv_version(root).encode(), TORCH.encode()], pip_torch)
KERNELS = Step("kernels", "Kernels", _kernel_inputs, build_kernels, products="cython_ext/*.pyd" if WINDOWS else "cython_ext/*.so")
TEST_PACKAGES = Step("test-packages", "Packages of the tests", _lock_inputs("tests/requirements.txt"), pip_lock("tests/requirements.txt"))


def steps_for(command: str) -> list[Step]:
    """What has to stand before a command can run, in order."""
    return [ENVIRONMENT, PACKAGES, TORCH_STEP, KERNELS, *([TEST_PACKAGES] if command == "test" else [])]


# ---------------------------------------------------------------- running a step, with progress and a plain message

def ignorable(line: str) -> bool:
    """True for pip's harmless warning about configured locations that do not exist."""
    return not line.strip() or ("Location" in line and "is ignored" in line)


HINTS = (
    ("No space left on device", "The disk is full. About 3 GB are needed here; free some, then start again."),
    ("ensurepip is not", "This Python lacks its venv module. Install it (Debian: sudo apt install python3-venv) or use another Python 3.11."),
    ("No module named venv", "This Python lacks its venv module. Install it (Debian: sudo apt install python3-venv) or use another Python 3.11."),
    ("DO NOT MATCH THE HASHES", "A download differs from what is pinned: damaged on its way, or another file. Empty pip's cache (pip cache purge), then start again."),
    ("Permission denied", "This folder or pip's cache cannot be written. Give yourself the right to write there, then start again."),
    ("No matching distribution", "The package index has no such file for this Python and system, or cannot be reached. Check the network, or put the wheels into wheelhouse/."),
    ("ConnectionError", "The package index cannot be reached. Check the network, or put the wheels into wheelhouse/, then start again."),
    ("Failed to establish a new connection", "The package index cannot be reached. Check the network, or put the wheels into wheelhouse/, then start again."),
)


def way_out(lines: Sequence[str]) -> str:
    """The advice that fits the last lines of a failed step."""
    text = "\n".join(lines)
    return next((advice for sign, advice in HINTS if sign in text), "Start again to go on from this step; deleting .venv begins from nothing.")


class Runner:
    """Runs the child processes of one step: the log in full, progress on one moving line (or one line now and then), a message when it fails."""

    def __init__(self, root: Path, label: str, keep_open: int | None) -> None:
        self.root, self.label, self.keep_open = root, label, keep_open
        self.begun = time.monotonic()
        self.collected = self.not_for_here = 0
        self.installing = False
        self.last_shown = self.begun
        self.tail: deque[str] = deque(maxlen=400)

    def __call__(self, argv: Sequence[str], packages: int | None = None, tell: bool = False) -> None:
        """Run one command to its end. `packages` (0: unknown) turns the count on; `tell` repeats its last line. Raises SetupFailed."""
        before = installed(self.root)
        inherit = {} if WINDOWS or self.keep_open is None else {"pass_fds": (self.keep_open,)}
        child = subprocess.Popen(argv, cwd=self.root, env=clean_environment(self.root), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, encoding="utf8", errors="replace", **inherit)
        reader = threading.Thread(target=self._read, args=(child,), daemon=True)
        reader.start()
        try:
            while child.poll() is None:
                self.show(packages, before)
                reader.join(0.25)
        except BaseException:
            child.terminate()
            child.wait()
            raise
        finally:
            reader.join(2)
            self.wipe()
        if child.returncode:
            raise SetupFailed(self._failure(child.returncode))
        if tell and self.tail:
            print(f"  {self.tail[-1]}", flush=True)

    def _read(self, child: subprocess.Popen) -> None:
        with open(self.root / ".venv" / "launch.log", "a", encoding="utf8") as log:
            for line in child.stdout:
                log.write(line)
                if ignorable(line):
                    continue
                self.tail.append(line.rstrip())
                self.collected += line.startswith(("Collecting ", "Requirement already satisfied"))
                self.not_for_here += line.startswith("Ignoring ")
                self.installing |= line.startswith("Installing collected")

    def _counts(self, packages: int | None, before: int) -> str:
        if packages is None:
            return ""
        count = installed(self.root) - before if self.installing else self.collected
        total = f" of {packages - self.not_for_here}" if packages else ""
        return f"{count}{total} {'installed' if self.installing else 'fetched'}, "

    def show(self, packages: int | None, before: int) -> None:
        """One moving line on a terminal; elsewhere a plain line every quarter of a minute."""
        now = time.monotonic()
        moving = sys.stdout.isatty()
        if now - self.last_shown < (0.5 if moving else QUIET_LINE_EVERY_S):
            return
        self.last_shown = now
        text = f"{self.label}: {self._counts(packages, before)}{now - self.begun:.0f} s"
        print(f"\r\x1b[K{text}" if moving else text, end="" if moving else "\n", flush=True)

    def wipe(self) -> None:
        if sys.stdout.isatty():
            print("\r\x1b[K", end="", flush=True)

    def _failure(self, code: int) -> str:
        lines = list(self.tail)
        shown = "\n".join(f"    {line[:200]}" for line in lines[-8:])
        return f"{self.label} failed (exit {code}). It ended with:\n{shown}\n{way_out(lines)}\nThe whole log is .venv/launch.log."


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[int | None]:
    """Hold the set-up's lock; somebody else's set-up is waited for. Yields the lock's descriptor, which children keep open too."""
    (root / ".venv").mkdir(exist_ok=True)
    with open(root / ".venv" / "launch.lock", "a+", encoding="utf8") as lock:
        if WINDOWS:
            _wait_windows(lock)
            yield None
            return
        import fcntl
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            print(f"Another start (process {lock.read().strip() or 'unknown'}) is setting up this folder. Waiting for it; Ctrl-C stops waiting.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock.fileno()


def _wait_windows(lock) -> None:
    import msvcrt
    told = False
    while True:
        try:
            lock.seek(0)
            return msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            if not told:
                print("Another start is setting up this folder. Waiting for it; Ctrl-C stops waiting.", flush=True)
            told = True
            time.sleep(0.5)


def set_up(root: Path, steps: Sequence[Step]) -> None:
    """Do the steps that are not fresh, in order, each stamped as it ends. Raises SetupFailed; nothing is printed when all stand."""
    if all(step.fresh(root) for step in steps):
        return
    with only_one(root) as descriptor:
        (root / ".venv" / "launch.log").write_text("", "utf8")
        for number, step in enumerate(steps, 1):
            if step.fresh(root):
                continue
            label = f"[{number}/{len(steps)}] {step.title}"
            print(f"{label} ...", flush=True)
            runner = Runner(root, label, descriptor)
            step.work(root, runner)
            step.done(root)
            print(f"{label}: done, {time.monotonic() - runner.begun:.0f} s", flush=True)


# ---------------------------------------------------------------- commands

class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit 2."""

    def error(self, message: str) -> NoReturn:
        bad_input(message[:1].upper() + message[1:].rstrip("."))


def bad_input(sentence: str) -> NoReturn:
    """End with exit 2 and one line."""
    print(f"{sentence}. `python3 launch.py --help` lists the commands.", file=sys.stderr)
    raise SystemExit(2)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """An option's type: a whole number from low to high."""
    def convert(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {high}")
        return int(text)
    return convert


def serve_arguments(rest: Sequence[str]) -> list[str]:
    """Check the options of `serve` before anything is installed, and spell them as app.server takes them."""
    parser = OneLineParser(prog="launch.py serve", add_help=False, allow_abbrev=False)
    parser.add_argument("--host")
    parser.add_argument("--port", type=whole_number(1, 65535))
    parser.add_argument("--mode", choices=("laptop", "projector", "booth"))
    parser.add_argument("--booth", dest="mode", action="store_const", const="booth")
    parser.add_argument("--theme", choices=("light", "dark"))
    parser.add_argument("--workers", type=whole_number(1, 1024))
    parser.add_argument("--cluster", metavar="ADDRESS")
    parser.add_argument("--allow-host", metavar="NAME", action="append")
    given = vars(parser.parse_args(rest))
    pairs = [(name, value) for name, values in given.items() if values is not None for value in (values if isinstance(values, list) else [values])]
    return [text for name, value in pairs for text in (f"--{name.replace('_', '-')}", str(value))]


MODULES = {"serve": "app.server", "test": "pytest", "run": "app.command", "train": "app.command", "bench": "tests.bench", "doctor": "app.doctor"}
IN_ROOT = ("serve", "test")


def hand_over(root: Path, command: str, rest: Sequence[str]) -> int:
    """Become the environment's Python. `serve` and `test` run in the repository, the others where the visitor stands (paths stay theirs)."""
    names = [command, *rest] if MODULES[command] == "app.command" else list(rest)
    argv = [str(python_of(root)), *([] if command in IN_ROOT else ["-P"]), "-m", MODULES[command], *names]
    env = clean_environment(root)
    sys.stdout.flush()
    if command in IN_ROOT:
        os.chdir(root)
    if WINDOWS:
        return subprocess.run(argv, env=env).returncode
    os.execve(argv[0], argv, env)


def doctor(root: Path, rest: Sequence[str]) -> int:
    """Say how far the set-up is, then let app.doctor go on: in the environment if there is one, else in this Python."""
    print("Set-up")
    for step in steps_for("test"):
        stands = step.fresh(root)
        needed = "done before the tests run" if step is TEST_PACKAGES else "`python3 launch.py` does it"
        print(f"  {'ok' if stands else '--'}  {step.title}: {'stands' if stands else f'to do; {needed}'}")
    if ENVIRONMENT.fresh(root) or _usable(root, clean_environment(root)):
        return hand_over(root, "doctor", rest)
    sys.path.insert(0, str(root))
    from app.doctor import main as examine
    return examine(rest)


def split(argv: Sequence[str]) -> tuple[str, list[str]]:
    """The command and what follows it; options alone mean `serve`."""
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        return "serve", list(argv)
    return argv[0], list(argv[1:])


def _stop(*_) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str]) -> int:
    """Do one command; returns its exit code (0, 1 for a set-up that failed, 2 for bad input, 130 when stopped)."""
    command, rest = split(argv)
    if command in ("help", "-h", "--help") or (command in ("serve", "doctor") and {"-h", "--help"} & set(rest)):
        print(USAGE, end="")
        return 0
    if command not in MODULES:
        bad_input(f"There is no command {command!r}")
    if command in ("run", "bench", "train") and not rest:
        bad_input(f"`{command}` needs the name of {'a model' if command == 'train' else 'an exhibit'}")
    rest = serve_arguments(rest) if command == "serve" else rest
    signal.signal(signal.SIGTERM, _stop)
    try:
        if command == "doctor":
            return doctor(ROOT, rest)
        set_up(ROOT, steps_for(command))
    except SetupFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next start goes on from this step.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"The set-up could not read or write {error.filename or 'a file'}: {error.strerror or error}.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return hand_over(ROOT, command, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

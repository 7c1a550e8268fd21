"""launch.py from outside: a copy in a folder of its own, with a stand-in for the environment's Python that writes down what it is asked."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import launch

ROOT = Path(launch.__file__).resolve().parent

# The stand-in: notes every call, "installs" what a lock pins, and fails, hangs or warns when a file of that name asks for it.
STAND_IN = """\
#!/bin/sh
here="$(dirname "$0")/.."
root="$here/.."
echo "$*" >> "$root/calls"
site="$here/lib/python3.11/site-packages"
case "$*" in
  *"pip --version"*) exit 0 ;;
  *"pip install"*)
    echo "WARNING: Location 'file:///nowhere/' is ignored: it is neither a file nor a directory." >&2
    echo "Collecting alpha==1.0"
    if [ -e "$root/hang" ]; then touch "$root/hanging"; exec sleep 60; fi
    if [ -e "$root/fail" ]; then echo "ERROR: No space left on device" >&2; exit 1; fi
    mkdir -p "$site/alpha-1.0.dist-info"; echo pip > "$site/alpha-1.0.dist-info/INSTALLER"
    echo "Successfully installed alpha-1.0" ;;
  *cython_ext.build*)
    if [ -e "$root/no-compiler" ]; then echo "No compiled kernels: there is no C compiler here." >&2
    else touch "$root/cython_ext/kernel.so"; echo "Compiled kernels: kernel"; fi ;;
  *) echo "handed over: $*" ;;
esac
"""


class House:
    """A copy of launch.py with a little lock, one kernel source and a stand-in environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "launch.py").write_text((ROOT / "launch.py").read_text("utf8"), "utf8")
        (root / "requirements.txt").write_text("alpha==1.0 \\\n    --hash=sha256:00\n", "utf8")
        (root / "tests").mkdir()
        (root / "tests" / "requirements.txt").write_text("beta==1.0\n", "utf8")
        (root / "cython_ext").mkdir()
        (root / "cython_ext" / "kernel.pyx").write_text("x = 1\n", "utf8")
        (root / ".venv" / "bin").mkdir(parents=True)
        self.site.mkdir(parents=True)
        (root / ".venv" / "pyvenv.cfg").write_text("version = 3.11.7\n", "utf8")
        (root / ".venv" / "bin" / "python").write_text(STAND_IN, "utf8")
        (root / ".venv" / "bin" / "python").chmod(0o755)

    @property
    def site(self) -> Path:
        return self.root / ".venv" / "lib" / "python3.11" / "site-packages"

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.root / "launch.py"), *arguments]

    def start(self, *arguments: str, **env: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.argv(*arguments), cwd=self.root.parent, capture_output=True, text=True, timeout=60, env={**os.environ, **env})

    def calls(self) -> list[str]:
        """What the stand-in was asked since the last time this was called."""
        path = self.root / "calls"
        lines = path.read_text("utf8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for Python is a shell script")


@pytest.fixture
def house(tmp_path: Path) -> House:
    root = tmp_path / "house"
    root.mkdir()
    return House(root)


def _which(calls: list[str]) -> list[str]:
    kinds = {"-r requirements.txt": "packages", launch.TORCH: "torch", "cython_ext.build": "kernels", "-r tests/requirements.txt": "test-packages"}
    return [kind for call in calls for sign, kind in kinds.items() if sign in call]


def test_first_start_does_every_step_in_order_and_the_second_none(house: House) -> None:
    first = house.start("train", "x")
    assert first.returncode == 0, first.stderr
    assert _which(house.calls()) == ["packages", "torch", "kernels"]
    assert "[2/4] Packages" in first.stdout and "Compiled kernels: kernel" in first.stdout
    second = house.start("train", "x")
    assert second.stdout == "handed over: -P -m app.command train x\n"
    assert house.calls() == ["-P -m app.command train x"]


def test_packages_are_installed_from_the_hashed_lock_alone(house: House) -> None:
    house.start("train", "x")
    call = next(c for c in house.calls() if "-r requirements.txt" in c)
    assert "--require-hashes" in call and "--no-deps" in call and "--no-index" not in call


@pytest.mark.parametrize("command, words", [
    (["serve", "--port", "9000"], "-m app.server --port 9000"),
    (["--booth"], "-m app.server --mode booth"),
    ([], "-m app.server"),
    (["--mode", "projector", "--theme", "dark", "--workers", "3", "--cluster", "tcp://a:1", "--host", "0.0.0.0"],
     "-m app.server --host 0.0.0.0 --mode projector --theme dark --workers 3 --cluster tcp://a:1"),
    (["--allow-host", "a.local", "--allow-host", "b.local"], "-m app.server --allow-host a.local --allow-host b.local"),
    (["test", "-k", "otsl"], "-m pytest -k otsl"),
    (["run", "table", "a.png", "--out", "o", "--set", "ocr=none"], "-P -m app.command run table a.png --out o --set ocr=none"),
    (["bench", "table", "--json", "f"], "-P -m tests.bench table --json f"),
    (["train", "m", "--minutes", "3"], "-P -m app.command train m --minutes 3"),
])
def test_every_command_is_handed_over(house: House, command: list[str], words: str) -> None:
    done = house.start(*command)
    assert done.returncode == 0, done.stderr
    assert house.calls()[-1] == words


def test_only_the_tests_need_their_own_packages(house: House) -> None:
    house.start("serve")
    assert "test-packages" not in _which(house.calls())
    house.start("test")
    assert _which(house.calls()) == ["test-packages"]


def test_a_failed_step_says_what_and_how_to_go_on_and_the_next_start_resumes_there(house: House) -> None:
    house.start("serve")
    (house.root / "requirements.txt").write_text("alpha==1.1\n", "utf8")
    (house.root / "fail").touch()
    house.calls()
    failed = house.start("serve")
    assert failed.returncode == 1 and "handed over" not in failed.stdout
    assert "[2/4] Packages failed" in failed.stderr and "No space left" in failed.stderr and "The disk is full" in failed.stderr
    assert "is ignored" not in failed.stderr and "Traceback" not in failed.stderr
    (house.root / "fail").unlink()
    house.calls()
    assert house.start("serve").returncode == 0
    assert _which(house.calls()) == ["packages"]


def test_no_compiler_is_a_sentence_and_a_compiler_found_later_builds(house: House) -> None:
    (house.root / "no-compiler").touch()
    done = house.start("serve", CC="/nonexistent/cc")
    assert done.returncode == 0 and "there is no C compiler here" in done.stdout
    (house.root / "no-compiler").unlink()
    house.calls()
    house.start("serve", CC="/bin/sh")
    assert _which(house.calls()) == ["kernels"]


@pytest.mark.parametrize("change", ["source", "product"])
def test_a_changed_source_or_a_lost_kernel_is_built_again(house: House, change: str) -> None:
    house.start("serve")
    house.calls()
    if change == "source":
        (house.root / "cython_ext" / "kernel.pyx").write_text("x = 2\n", "utf8")
    else:
        (house.root / "cython_ext" / "kernel.so").unlink()
    house.start("serve")
    assert _which(house.calls()) == ["kernels"]


def test_half_written_packages_are_cleared_before_pip_runs(house: House) -> None:
    torn, whole, removed = house.site / "beta-2.0.dist-info", house.site / "gamma-1.0.dist-info", house.site / "~amma"
    for folder in (torn, whole, removed):
        folder.mkdir()
    (torn / "METADATA").touch()
    (whole / "INSTALLER").write_text("pip\n", "utf8")
    house.start("serve")
    assert not torn.exists() and not removed.exists() and whole.exists()


def test_a_stopped_set_up_leaves_no_stamp_and_says_so(house: House) -> None:
    (house.root / "hang").touch()
    child = subprocess.Popen(house.argv("serve"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _until((house.root / "hanging").exists)
    child.send_signal(signal.SIGTERM)
    _, told = child.communicate(timeout=30)
    assert child.returncode == 130 and "Stopped" in told
    assert not (house.root / ".venv" / "stamps" / "packages").exists()
    (house.root / "hang").unlink()
    house.calls()
    house.start("serve")
    assert _which(house.calls()) == ["packages", "torch", "kernels"]


def test_a_second_start_waits_for_the_first(house: House) -> None:
    (house.root / "hang").touch()
    first = subprocess.Popen(house.argv("serve"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _until((house.root / "hanging").exists)
    second = subprocess.Popen(house.argv("serve"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = second.stdout.readline()
    assert f"process {first.pid}" in line and "Waiting" in line
    (house.root / "hang").unlink()
    first.terminate()
    first.communicate(timeout=30)
    told, _ = second.communicate(timeout=30)
    assert second.returncode == 0 and "handed over: -m app.server" in told


def _until(ready, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize("arguments, word", [
    (["nonsense"], "nonsense"), (["--port", "0"], "65535"), (["--port", "x"], "x"), (["--mode", "wall"], "wall"), (["--workers", "0"], "1024"),
    (["serve", "extra"], "extra"), (["run"], "exhibit"), (["bench"], "exhibit"), (["train"], "model"), (["--theme"], "theme"),
])
def test_bad_options_are_one_line_and_exit_2_before_anything_is_installed(house: House, arguments: list[str], word: str) -> None:
    done = house.start(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and word in done.stderr
    assert house.calls() == []


def test_help_lists_every_command(house: House) -> None:
    done = house.start("--help")
    assert done.returncode == 0 and house.calls() == []
    assert all(command in done.stdout for command in launch.MODULES)


def test_wheelhouse_and_torch_index_reach_pip(house: House) -> None:
    (house.root / "wheelhouse").mkdir()
    house.start("serve", VITRINE_TORCH_INDEX="file:///some/index")
    installs = [c for c in house.calls() if "pip install" in c]
    assert len(installs) == 2 and all(f"--no-index --find-links {house.root / 'wheelhouse'}" in c for c in installs)
    assert [("--index-url file:///some/index" in c) for c in installs] == [False, True]


def test_doctor_works_where_nothing_stands(house: House) -> None:
    (house.root / ".venv" / "bin" / "python").unlink()
    (house.root / "app").mkdir()
    (house.root / "app" / "__init__.py").touch()
    (house.root / "app" / "doctor.py").write_text((ROOT / "app" / "doctor.py").read_text("utf8"), "utf8")
    done = house.start("doctor")
    assert done.returncode == 0, done.stderr
    assert "to do; `python3 launch.py` does it" in done.stdout and "Python 3." in done.stdout and "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("damage", ["interpreter gone", "killed while made", "too old"])
def test_a_half_made_environment_is_made_anew(house: House, damage: str) -> None:
    venv = house.root / ".venv"
    if damage == "interpreter gone":
        (venv / "bin" / "python").unlink()
    elif damage == "killed while made":
        (venv / "unfinished").touch()
    else:
        (venv / "pyvenv.cfg").write_text("version = 3.9.2\n", "utf8")
    (venv / "leftover").touch()
    asked = []

    def runner(argv):
        asked.append(argv)

    launch.make_venv(house.root, runner)
    assert asked == [[getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(venv)]]
    assert list(venv.iterdir()) == []


def test_a_hand_made_environment_is_taken_over(house: House) -> None:
    (house.root / ".venv" / "keep").touch()
    house.start("serve")
    assert (house.root / ".venv" / "keep").exists() and (house.root / ".venv" / "stamps" / "environment").exists()


def test_a_real_environment_is_created_and_a_missing_wheel_is_a_plain_message(house: House) -> None:
    """Real venv and real pip, no network: torch cannot be found in an empty wheelhouse."""
    (house.root / "requirements.txt").write_text("", "utf8")
    launch.shutil.rmtree(house.root / ".venv")
    (house.root / "wheelhouse").mkdir()
    cut_off = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    done = house.start("serve", **cut_off)
    assert done.returncode == 1
    assert "[1/4] Python environment in .venv: done" in done.stdout and "[2/4] Packages: done" in done.stdout
    assert "[3/4] PyTorch failed" in done.stderr and "wheelhouse" in done.stderr and "Traceback" not in done.stderr


def test_it_can_at_least_be_read_by_an_old_python() -> None:
    """The sentence that asks for a newer Python is only printed if the file parses."""
    tree = ast.parse((ROOT / "launch.py").read_text("utf8"), feature_version=(3, 7))
    check = next(i for i, node in enumerate(tree.body) if isinstance(node, ast.If))
    assert check < next(i for i, node in enumerate(tree.body) if isinstance(node, ast.ImportFrom)), "the check comes before other imports"


def test_it_imports_the_standard_library_alone() -> None:
    names = {n for node in ast.walk(ast.parse((ROOT / "launch.py").read_text("utf8"))) for n in _imported(node)}
    assert names - sys.stdlib_module_names == {"app"}  # the doctor, when there is no environment to ask


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [node.module.split(".")[0]] if isinstance(node, ast.ImportFrom) else []


def test_the_kernels_stamp_counts_sources_and_not_what_is_generated(house: House) -> None:
    before = launch.KERNELS.fingerprint(house.root)
    (house.root / "cython_ext" / "a.h").write_text("1", "utf8")
    between = launch.KERNELS.fingerprint(house.root)
    (house.root / "cython_ext" / "a.h").unlink()
    (house.root / "cython_ext" / "kernel.c").write_text("generated", "utf8")
    assert before != between and before == launch.KERNELS.fingerprint(house.root)

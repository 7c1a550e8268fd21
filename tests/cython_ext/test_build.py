"""The build compiles every kernel into its place, and leaves nothing when it cannot."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cython_ext import build

SOURCES = Path(build.__file__).parent


@pytest.fixture
def package(tmp_path):
    """A copy of the sources, without what was compiled."""
    copy = tmp_path / "cython_ext"
    copy.mkdir()
    for path in SOURCES.iterdir():
        if path.suffix in (".py", ".pyx", ".h"):
            shutil.copy(path, copy)
    return copy


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts)


def run_build(package, *options, **environment):
    import os
    return subprocess.run([sys.executable, "-m", "cython_ext.build", *options], cwd=package.parent, env={**os.environ, **environment},
                          capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("options, code", [((), 1), (("--optional",), 0)])
def test_without_a_compiler_it_says_why_and_leaves_nothing(package, options, code):
    before = files(package.parent)
    result = run_build(package, *options, CC="/nonexistent")
    assert result.returncode == code
    assert result.stderr == "No compiled kernels: There is no C compiler here (/nonexistent was not found).\n"
    assert files(package.parent) == before


def test_a_compiler_that_fails_leaves_nothing(package):
    before = files(package.parent)
    result = run_build(package, CC="false")
    assert result.returncode == 1
    assert "did not compile" in result.stderr.splitlines()[-1]
    assert files(package.parent) == before


def test_a_source_that_is_wrong_leaves_nothing(package):
    for path in package.glob("*.pyx"):
        path.unlink()
    (package / "broken.pyx").write_text("cdef int f(:\n")
    before = files(package.parent)
    result = run_build(package)
    assert result.returncode == 1 and "broken.pyx did not compile" in result.stderr
    assert files(package.parent) == before


def test_a_missing_header_is_named(monkeypatch, tmp_path):
    build.sysconfig.get_config_vars()              # reads its own paths once, before they are replaced
    monkeypatch.setattr(build.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(build.CannotBuild, match="Python.h"):
        build.build(tmp_path, force=True)
    assert files(tmp_path) == []


def test_any_new_pyx_is_compiled_and_a_second_build_keeps_it(package):
    if shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is None:
        pytest.skip("There is no C compiler here.")
    for path in package.glob("*.pyx"):
        path.unlink()
    (package / "doubling.pyx").write_text("def double(int x):\n    return 2 * x\n")
    before = files(package.parent)
    assert run_build(package).stdout == "Compiled kernels: doubling\n"
    made = sorted(set(files(package.parent)) - set(before))
    assert made == ["cython_ext/doubling" + sysconfig.get_config_var("EXT_SUFFIX")]
    stamp = (package.parent / made[0]).stat().st_mtime_ns
    assert run_build(package).returncode == 0
    assert (package.parent / made[0]).stat().st_mtime_ns == stamp
    used = subprocess.run([sys.executable, "-c", "from cython_ext.doubling import double; print(double(21))"], cwd=package.parent,
                          capture_output=True, text=True, timeout=60)
    assert used.stdout == "42\n"

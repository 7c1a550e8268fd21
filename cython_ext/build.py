"""Compile every .pyx of this folder: all compiler directives and flags live here, nothing is left behind when it fails."""

import argparse
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
DIRECTIVES = {"language_level": 3, "binding": True, "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}
UNIX_FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
"""-g0: what debuggers want is a third of the time and two thirds of the file. No -march: what is built here loads on any processor of its family.
A kernel that gains from newer ones takes target_clones in its header."""
MORE_FLAGS = {"radio": ["-ffp-contract=off"], "tridiagonal": ["-ffp-contract=off"]}
"""radio promises the bits of its twin; tridiagonal the same bits for a system alone and in a batch."""
VECTOR_TYPES = {"combining", "radio", "tridiagonal"}
"""Written with the vector types of GCC and Clang: left to the twin on Windows."""


class CannotBuild(Exception):
    """One line that says why."""


def build(target: Path = FOLDER, force: bool = False) -> list[Path]:
    """Compile each .pyx into `target`, one at a time, and return the files made (or, unless `force`, found newer than their sources).

    Raises CannotBuild with the reason in one line; no file of a failed kernel is left, and the kernels before it stand.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    made = []
    for source in sorted(FOLDER.glob("*.pyx")):
        if os.name == "nt" and source.stem in VECTOR_TYPES:
            continue
        finished = target / (source.stem + suffix)
        if force or not _fresh(finished, source):
            _require()
            with tempfile.TemporaryDirectory(prefix="vitrine-kernels-") as place:
                _replace(_compile(source, Path(place)), finished)
        made.append(finished)
    return made


def _fresh(finished: Path, source: Path) -> bool:
    """Whether the compiled file is newer than its source, the headers it names or that bear its name, those that all these name, and this file."""
    headers, sources = set(FOLDER.glob("*.h")), [source]
    for known in sources:                      # grows while it is walked: a header may name others
        text = known.read_text("utf8")
        found = sorted(path for path in headers if path.name in text or path.stem.startswith(source.stem))
        headers -= set(found)
        sources += found
    sources.append(Path(__file__))
    return finished.exists() and finished.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def _require() -> None:
    """What has to be there before anything is tried."""
    try:
        import Cython  # noqa: F401
        import setuptools  # noqa: F401
    except ImportError as error:
        raise CannotBuild(f"The package {error.name} is not installed.") from None
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        raise CannotBuild("Python.h, the header of this Python, is not installed (Debian: python3-dev).")
    if os.name == "posix":
        command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
        if shutil.which(command) is None:
            raise CannotBuild(f"There is no C compiler here ({command} was not found).")


def _compile(source: Path, place: Path) -> Path:
    """Build one extension inside `place`; the finished file."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    name = f"{FOLDER.name}.{source.stem}"
    flags = ["/O2"] if os.name == "nt" else UNIX_FLAGS + MORE_FLAGS.get(source.stem, [])
    extension = Extension(name, [os.path.relpath(source, FOLDER.parent)], include_dirs=[str(FOLDER)], extra_compile_args=flags)
    here = Path.cwd()
    os.chdir(FOLDER.parent)                    # Cython names the package, and the .c file, after the path it is given
    try:
        modules = cythonize([extension], build_dir=str(place), compiler_directives=DIRECTIVES, quiet=True)
        command = build_ext(Distribution({"ext_modules": modules}))
        command.build_lib, command.build_temp = str(place / "lib"), str(place / "temp")
        command.ensure_finalized()
        command.run()
    except Exception as error:                 # Cython and every compiler class have roots of their own
        raise CannotBuild(f"{source.name} did not compile: {_one_line(error)}") from error
    finally:
        os.chdir(here)
    return Path(command.get_ext_fullpath(name))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _replace(built: Path, finished: Path) -> None:
    """Put the file in place in one step: whoever imports meanwhile sees the old one or the new one."""
    beside = finished.with_name(f".{finished.name}.{os.getpid()}")
    try:
        shutil.copyfile(built, beside)
        os.replace(beside, finished)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CannotBuild(f"{finished.name} could not be written: {error.strerror or error}.") from error


def main(arguments: list[str] | None = None) -> int:
    """`python -m cython_ext.build [--optional] [--force]`: 0 when all kernels are compiled, or may be missing; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m cython_ext.build", description=__doc__)
    parser.add_argument("--optional", action="store_true", help="exit 0 when nothing can be compiled here: the NumPy twins run instead")
    parser.add_argument("--force", action="store_true", help="compile also what is newer than its source")
    options = parser.parse_args(arguments)
    try:
        made = build(force=options.force)
    except CannotBuild as reason:
        print(f"No compiled kernels: {reason}", file=sys.stderr)
        return 0 if options.optional else 1
    print("Compiled kernels: " + ", ".join(path.name.split(".")[0] for path in made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
